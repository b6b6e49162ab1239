"""A key for development, in a file in the clear."""
