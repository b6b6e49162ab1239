"""Constant-product pairs of the Uniswap V2 kind, whatever deployment and fee."""
