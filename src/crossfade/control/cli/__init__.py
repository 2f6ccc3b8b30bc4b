"""The command line: one thin file a command; it parses, asks, prints."""
