"""An EVM chain whose tip follows its base fee."""
