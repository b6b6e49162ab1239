"""A key for development, derived from a phrase and held in memory."""
