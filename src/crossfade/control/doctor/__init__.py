"""`doctor`: everything that can be found wrong before anything runs."""
