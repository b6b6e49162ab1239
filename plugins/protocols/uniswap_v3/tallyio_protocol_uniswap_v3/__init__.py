"""Concentrated-liquidity pools of the Uniswap V3 kind."""
