"""Round trips between two tokens, searched in plain Python."""
