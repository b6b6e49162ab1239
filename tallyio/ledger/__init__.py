"""The crash-safe journal of intents, transactions and outcomes."""
