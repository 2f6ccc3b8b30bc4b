"""Every ledger transaction, as a deterministic function over rows; no I/O, no clock."""
