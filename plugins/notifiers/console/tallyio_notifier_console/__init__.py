"""Notices on the terminal."""
