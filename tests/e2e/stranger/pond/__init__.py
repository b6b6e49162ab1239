"""Ponds: pairs that keep the product of their reserves and take three thousandths."""
