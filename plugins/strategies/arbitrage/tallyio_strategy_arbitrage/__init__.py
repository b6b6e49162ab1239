"""Cycles that end with more than they began with."""
