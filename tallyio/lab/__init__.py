"""A world to practise in: real contracts on a local chain."""
