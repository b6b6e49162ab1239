"""ERC-4626 vaults as pools: assets into shares and back, with the rounding of each kind of vault."""
