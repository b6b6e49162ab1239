"""Recipes of lending markets, and price feeds for them."""
