"""Storage: one small interface, one module for each kind of store."""
