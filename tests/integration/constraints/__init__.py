"""Foreign keys and values that must be unique, on real engines."""
