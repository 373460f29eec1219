"""What a JPEG file says of itself, and whether it is whole, without decoding it.

Decoding an image of COCO takes 3 ms, reading its markers 0.06 ms. What the markers show: that the
file begins and ends as it must, that no segment is cut off, and that nothing but restart markers
lies within the compressed data (overwritten data rarely looks so). What only decoding shows is
left to `images.py`. The format: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

_START = b"\xff\xd8"
_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive, with Huffman codes
_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}

# A marker may have any number of fill bytes before it.
_HERE = re.compile(rb"\xff+([^\xff])", re.DOTALL)

# Where nothing was written a file has a disk block of zeros or more; a picture of one colour may
# have them too.
_HOLE = bytes(2048)


@dataclass(frozen=True, slots=True)
class Jpeg:
    """The frame of a JPEG file.

    Attributes:
        width: Pixels.
        height: Pixels.
        components: 1 for grey, 3 for colour, 4 for CMYK.
    """

    width: int
    height: int
    components: int


def whole_jpeg(data: bytes) -> Jpeg | None:
    """Read the frame of a JPEG file that is whole.

    Returns:
        The frame; None if the data is not JPEG, is damaged, or is of a rare kind (lossless,
        arithmetic or 12-bit coding, height in the data), which only a decoder can tell apart.
    """
    if not data.startswith(_START):
        return None
    ends = _ends(data)
    frame: Jpeg | None = None
    scanned = False
    position = 2
    while True:
        marker, position = _marker(data, position)
        if marker == _END:
            return frame if scanned else None
        if marker in _ALONE:
            continue
        end = position + int.from_bytes(data[position : position + 2], "big")
        if marker is None or marker in _OTHER_FRAMES or not position + 2 <= end <= len(data):
            return None
        if marker in _FRAMES:
            if frame is not None or (frame := _frame(data[position:end])) is None:
                return None
        elif marker == _SCAN:
            after = bisect_left(ends, end)
            if frame is None or after == len(ends) or _has_hole(data, end, ends[after]):
                return None
            scanned, end = True, ends[after]
        position = end


def _ends(data: bytes) -> list[int]:
    """Return where compressed data would end: in it 0xFF is followed by 0 or a restart marker."""
    values = np.frombuffer(data, dtype=np.uint8)
    at = np.flatnonzero(values[:-1] == 0xFF)
    following = values[at + 1]
    ends = (following != 0) & (following & 0xF8 != 0xD0) & (following != 0xFF)
    result: list[int] = at[ends].tolist()
    return result


def _has_hole(data: bytes, start: int, end: int) -> bool:
    """Tell whether a long run of zeros lies between; mostly a look at some bytes suffices."""
    some = data[start : end : len(_HOLE) // 2]
    return b"\0\0" in some and data.find(_HOLE, start, end) >= 0


def _marker(data: bytes, position: int) -> tuple[int | None, int]:
    """Return the marker here and where it ends; None if there is none."""
    found = _HERE.match(data, position)
    return (found[1][0], found.end()) if found else (None, position)


def _frame(segment: bytes) -> Jpeg | None:
    if len(segment) < 8 or segment[2] != 8:
        return None
    height, width = (int.from_bytes(segment[at : at + 2], "big") for at in (3, 5))
    components = segment[7]
    if not height or not width or len(segment) != 8 + 3 * components:
        return None
    return Jpeg(width, height, components)
