"""Moves of stage: gates, barrier, flip, forced roll-back, recovery."""
