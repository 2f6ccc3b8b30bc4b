"""What the outside world gives: time, randomness, tasks, failpoints; always passed in."""
