"""Settle what was left open: intents without an end, dirty keys, stores that lag behind."""
