"""Pools that trade two tokens one for one, less a fee."""
