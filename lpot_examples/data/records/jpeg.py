"""What a JPEG file says of itself, and whether it is whole, without decoding it.

Decoding an image of COCO takes 3 ms, reading its markers 0.1 ms. What the markers show: that the
file begins and ends as it must, that no segment is cut off, and that nothing but restart markers
lies within the compressed data (overwritten data rarely looks so). What only decoding shows is
left to `images.py`. The format: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

_START = b"\xff\xd8"
_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive, with Huffman codes
_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}

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
    markers, smooth = _markers(data)
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
            after = bisect_left(markers, end)
            if frame is None or after == len(markers):
                return None
            if not smooth and data.find(_HOLE, end, markers[after]) >= 0:
                return None
            scanned, end = True, markers[after]
        position = end


def _markers(data: bytes) -> tuple[list[int], bool]:
    """Return where compressed data could end, and whether a hole is out of the question.

    In compressed data 0xFF is followed by 0 or is a restart marker. NumPy looks for the others in
    half of the time that a regular expression takes. As 0xFF is frequent, a hole shows as a gap.
    """
    values = np.frombuffer(data, dtype=np.uint8)
    at = np.flatnonzero(values[:-1] == 0xFF)
    following = values[at + 1]
    ends = (following != 0) & (following & 0xF8 != 0xD0) & (following != 0xFF)
    markers: list[int] = at[ends].tolist()
    return markers, len(at) > 1 and int(np.diff(at).max()) < len(_HOLE)


def _marker(data: bytes, position: int) -> tuple[int | None, int]:
    """Return the marker here and where it ends; None if there is none."""
    if data[position : position + 1] != b"\xff":
        return None, position
    while data[position : position + 1] == b"\xff":  # any number of fill bytes
        position += 1
    return (data[position] if position < len(data) else None), position + 1


def _frame(segment: bytes) -> Jpeg | None:
    if len(segment) < 8 or segment[2] != 8:
        return None
    height, width = (int.from_bytes(segment[at : at + 2], "big") for at in (3, 5))
    components = segment[7]
    if not height or not width or len(segment) != 8 + 3 * components:
        return None
    return Jpeg(width, height, components)
