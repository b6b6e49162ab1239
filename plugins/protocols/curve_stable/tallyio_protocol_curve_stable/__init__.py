"""Curve's StableSwap pools: plain ones, metapools and StableSwap-NG, each by its source template."""
