"""From a cleaned graph, statistics and a configuration to an int8 graph."""

from lpot_examples.backends.tensorflow.emit.emitter import Emitted, Emitter

__all__ = ["Emitted", "Emitter"]
