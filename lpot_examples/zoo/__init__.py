"""Known topologies: their folders, their networks, and the loading of their Python files."""
