"""The runtimes that a network can be run on, whatever framework it is of."""
