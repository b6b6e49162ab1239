"""Liquidations that pay after bonus, loan, swaps and gas."""
