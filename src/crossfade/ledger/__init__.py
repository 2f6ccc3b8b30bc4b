"""The durable record of what was promised and is not yet proved."""
