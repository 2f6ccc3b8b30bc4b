"""The control room: use cases over a node, and two skins over them, API and command line."""
