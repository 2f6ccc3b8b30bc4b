"""Benchmarks: `python -m bench NAME --json` runs one and prints one document."""
