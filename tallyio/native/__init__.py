"""What compiled code is built from."""
