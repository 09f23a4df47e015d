"""File formats: bytes to rows and Arrow batches, and back."""
