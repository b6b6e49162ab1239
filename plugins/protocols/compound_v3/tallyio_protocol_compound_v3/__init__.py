"""The markets of Compound III, called Comets."""
