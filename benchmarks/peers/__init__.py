"""The parts of compile_peers.py: networks, peers, their environments, timing and tables."""
