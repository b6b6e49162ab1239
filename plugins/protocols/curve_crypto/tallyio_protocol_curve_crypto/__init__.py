"""Curve's CryptoSwap pools: two and three coins that float against each other, old pools and NG."""
