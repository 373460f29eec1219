"""What a network takes and gives, without the network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Shape = tuple[int | None, ...]

_COLOURS = (1, 3)


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output.

    Attributes:
        name: Its name in the graph.
        shape: Its dimensions, None for a free one; None where not even their number is known.
        dtype: NumPy's name of its type.
    """

    name: str
    shape: Shape | None
    dtype: str

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype} of any shape"
        return f"{self.dtype} [{', '.join('?' if d is None else str(d) for d in self.shape)}]"

    @property
    def plain_name(self) -> str:
        """The name without scopes and port, such as ``detection_boxes``."""
        return self.name.rpartition("/")[2].partition(":")[0]

    @property
    def batch(self) -> int | None:
        """The number of samples that it is fixed to; None where that is free."""
        return self.shape[0] if self.shape else None

    @property
    def classes(self) -> int | None:
        """How many class scores it holds for each sample; None where it holds something else."""
        if self.shape is None or self.dtype not in ("float16", "float32", "float64"):
            return None
        sides = self.shape[1:]
        if len(sides) < 1 or None in sides:
            return None
        size = math.prod(side for side in sides if side is not None)
        return size if size > 1 and max(sides, key=lambda side: side or 0) == size else None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An input that is an image.

    Attributes:
        layout: Whether channels come last or first.
        height: Rows, pixels; None where any number will do.
        width: Columns, pixels; None where any number will do.
        channels: 1 or 3.
        whole: Whether it takes integers: pixels as they are.
    """

    layout: Literal["NHWC", "NCHW"]
    height: int | None
    width: int | None
    channels: int
    whole: bool


def picture(tensor: Tensor) -> Picture | None:
    """Tell how an input is an image; None if it is none.

    An input of unknown shape counts as one in colour, of any size.
    """
    whole = tensor.dtype.startswith(("uint", "int"))
    if not whole and not tensor.dtype.startswith("float"):
        return None
    shape = (None, None, None, 3) if tensor.shape is None else tensor.shape
    if len(shape) != 4:
        return None
    last, second = shape[3], shape[1]
    if last in _COLOURS or (last is None and second not in _COLOURS):
        return Picture(
            layout="NHWC", height=second, width=shape[2], channels=last or 3, whole=whole
        )
    if second in _COLOURS:
        return Picture(
            layout="NCHW", height=shape[2], width=last, channels=second or 3, whole=whole
        )
    return None
