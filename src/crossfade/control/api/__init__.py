"""The control API of a running node: loopback, a token, plain documents."""
