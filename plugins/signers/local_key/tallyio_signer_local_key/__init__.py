"""A key in an encrypted file, held by a process of its own."""
