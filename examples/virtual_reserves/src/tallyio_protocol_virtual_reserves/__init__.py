"""Pools on the curve (x + X) * (y + Y) = k: reserves raised by virtual ones."""
