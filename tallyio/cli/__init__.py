"""One file per command, imported only when it runs."""
