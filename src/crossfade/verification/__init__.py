"""Prove the sides equal: compare the mapped fields of every key, and tell lag from difference."""
