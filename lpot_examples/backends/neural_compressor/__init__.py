"""Neural Compressor's graph rewriting as an engine beside this project's own; an optional extra."""
