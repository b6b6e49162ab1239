"""Concentrated-liquidity pools of Uniswap V4, as far as their hooks leave swaps alone."""
