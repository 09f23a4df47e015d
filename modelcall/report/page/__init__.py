"""The HTML page: built as a tree of elements; sections without data are left out."""
