"""How real numbers are encoded in eight bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Below this span a tensor is constant; a scale of zero would divide by zero in every kernel.
_MIN_SPAN = 1e-8


@dataclass(frozen=True)
class Encoding:
    """An affine map between eight-bit codes and reals: real = scale · (code − zero_point).

    Attributes:
        dtype: ``u8`` for codes 0…255, ``s8`` for codes −127…127.
        scale: Positive step between two codes.
        zero_point: The code of 0.0; always 0 for ``s8``.
    """

    dtype: Literal["u8", "s8"]
    scale: float
    zero_point: int = 0

    @property
    def offset(self) -> float:
        """What must be added to a real so that code 0 stands for zero (``u8``): scale·zp."""
        return self.scale * self.zero_point

    @property
    def low(self) -> float:
        """The least real that has a code of its own."""
        return -127 * self.scale if self.dtype == "s8" else -self.offset

    @property
    def high(self) -> float:
        """The greatest real that has a code of its own."""
        return 127 * self.scale if self.dtype == "s8" else self.scale * (255 - self.zero_point)

    def quantize(self, values: Array) -> Array:
        """Return the codes, rounded half to even and saturated; uint8 or int8."""
        codes: Array = np.rint(np.asarray(values, np.float64) / self.scale) + self.zero_point
        if self.dtype == "s8":
            return np.clip(codes, -127, 127).astype(np.int8)
        return np.clip(codes, 0, 255).astype(np.uint8)

    def dequantize(self, codes: Array) -> NDArray[np.float32]:
        """Return the reals that codes stand for."""
        real = (codes.astype(np.float64) - self.zero_point) * self.scale
        return real.astype(np.float32)


def unsigned(high: float) -> Encoding:
    """Encode [0, high] in ``u8`` with zero at code 0."""
    return Encoding("u8", float(np.float32(max(high, _MIN_SPAN) / 255)))


def asymmetric(low: float, high: float) -> Encoding:
    """Encode [low, high], widened to hold 0, in ``u8`` with an exact code for zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max(high - low, _MIN_SPAN) / 255))
    return Encoding("u8", scale, int(np.clip(round(-low / scale), 0, 255)))


def symmetric(low: float, high: float) -> Encoding:
    """Encode [−m, m] with m = max(|low|, |high|) in ``s8``."""
    return Encoding("s8", float(np.float32(max(abs(low), abs(high), _MIN_SPAN) / 127)))
