"""Frozen records with units. Imports nothing of ours above it."""
