"""The way of a request: reads and writes as the stage, the operation and the key demand."""
