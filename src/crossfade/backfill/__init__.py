"""Copy history: sweep every entity once per generation, in chunks, beside live writes."""
