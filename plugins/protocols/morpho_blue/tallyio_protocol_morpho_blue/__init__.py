"""The markets of Morpho Blue."""
