"""The contracts with plugins: specifications, typed calls, loading. Uses model."""
