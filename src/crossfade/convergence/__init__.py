"""Bring both sides of one key to agree; used by the writer and by every worker."""
