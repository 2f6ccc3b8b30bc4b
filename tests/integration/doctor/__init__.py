"""`doctor` and `init` on real servers."""
