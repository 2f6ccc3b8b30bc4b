"""For users and for us: a clock that a test moves, and other stand-ins for the outside world."""
