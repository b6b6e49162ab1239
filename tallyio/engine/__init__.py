"""The way of one opportunity, from bytes to settled profit."""
