"""State in native memory and fused quoting. Uses native and model."""
