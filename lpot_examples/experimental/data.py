"""``lpot.experimental.data``: data sets, transforms and filters by LPOT's names."""

from __future__ import annotations

from lpot_examples.data import *  # noqa: F403 - the same names
from lpot_examples.data import __all__ as __all__
