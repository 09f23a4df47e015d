"""Read, score, write: the life of a file and of a row; publishing and verifying."""
