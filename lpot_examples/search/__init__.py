"""Search: from a space of configurations to the ones worth a full evaluation.

Strategies propose (`ask`) and learn (`tell`). They see the op graph, a label-free probe and the
results of trials; never a backend.
"""

from lpot_examples.search.space import SearchSpace, build_space
from lpot_examples.search.trial import Trial

__all__ = ["SearchSpace", "Trial", "build_space"]
