"""A shop with two services, its traffic and its judge: crossfade shown end to end."""
