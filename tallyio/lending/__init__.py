"""Positions of lending protocols in native memory: who can be liquidated. Uses native, model."""
