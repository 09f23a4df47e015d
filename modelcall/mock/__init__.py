"""The embedded servers, for tests, demo and users' own dry runs."""
