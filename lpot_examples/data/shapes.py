"""Rendered scenes of coloured shapes with COCO annotations: detection data that needs no download.

A scene is a function of its seed alone, bit for bit, on every machine, Python and NumPy. Only the
raw PCG64 stream is used, whose stability NumPy promises (NEP 19), and only arithmetic that IEEE 754
rounds exactly: no sines, powers, matrix products or floating-point sums. Pixels are blended in
integers from the number of covered sub-pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import DataError, nearest

CLASSES = ("circle", "square", "triangle", "star", "ring", "cross", "crescent", "hexagon")
"""Class names; class ``i`` has the COCO category id ``i + 1``."""

IMAGE_SIZE = 96
"""Height and width of a scene, pixels."""

SPLITS = {
    "train": range(0, 1_000_000),
    "dev": range(1_000_000, 2_000_000),
    "calibration": range(2_000_000, 3_000_000),
    "validation": range(3_000_000, 4_000_000),
}
"""The seeds of each split. They are disjoint, so no scene is in two splits."""

_SUB = 4  # sub-pixels per pixel and direction
_MIN_VISIBLE = 0.6  # of every shape's pixels inside the image
_MAX_SHAPES = 6

_Floats = NDArray[np.float32]
_Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One rendered image and the shapes that are visible in it.

    Attributes:
        image: uint8 [96, 96, 3], RGB.
        boxes: float32 [shapes, 4], x, y, width, height of the visible part in pixels.
        labels: int64 [shapes], indices into `CLASSES`.
        areas: int64 [shapes], visible pixels.
        seed: The seed that renders it again.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    areas: NDArray[np.int64]
    seed: int


def split_seeds(split: str, count: int) -> range:
    """Return the seeds of the first ``count`` scenes of a split.

    Args:
        split: A key of `SPLITS`.
        count: How many scenes, at most 1,000,000.

    Raises:
        DataError: If the split is unknown or has fewer scenes.
    """
    if split not in SPLITS:
        raise DataError(
            f"The split must be one of {', '.join(SPLITS)}; got '{split}'.{nearest(split, SPLITS)}"
        )
    seeds = SPLITS[split]
    if not 0 < count <= len(seeds):
        raise DataError(f"The split '{split}' has {len(seeds)} scenes; {count} were asked for.")
    return seeds[:count]


def render_split(split: str, count: int) -> list[Scene]:
    """Render the first ``count`` scenes of a split, in order (about 3 ms each)."""
    return [render_scene(seed) for seed in split_seeds(split, count)]


def coco_annotations(scenes: Sequence[Scene]) -> dict[str, Any]:
    """Return the COCO ``instances`` dictionary of scenes; a scene's image id is its seed.

    Args:
        scenes: Scenes with distinct seeds.
    """
    images = [
        {"id": s.seed, "file_name": f"{s.seed:07d}.png", "height": IMAGE_SIZE, "width": IMAGE_SIZE}
        for s in scenes
    ]
    shapes = [
        (s.seed, box.tolist(), int(label) + 1, int(area))
        for s in scenes
        for box, label, area in zip(s.boxes, s.labels, s.areas, strict=True)
    ]
    annotations = [
        {"id": i, "image_id": seed, "category_id": k, "bbox": box, "area": area, "iscrowd": 0}
        for i, (seed, box, k, area) in enumerate(shapes, start=1)
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES, start=1)]
    return {
        "info": {"description": "Rendered shapes"},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def render_scene(seed: int) -> Scene:
    """Render the scene of a seed.

    One to six shapes, 16 to 60 pixels wide, rotated, stretched, striped and partly hiding each
    other, lie on a noisy texture crossed by thin lines that are not annotated.

    Args:
        seed: Any non-negative integer; see `SPLITS` for those in use.
    """
    dice = _Dice(seed)
    canvas = _background(dice)
    for _ in range(dice.integer(4)):
        _draw_line(canvas, dice)
    owner = np.full((IMAGE_SIZE, IMAGE_SIZE), -1, dtype=np.int64)
    labels: list[int] = []
    full_areas: list[int] = []
    for _ in range(1 + dice.integer(_MAX_SHAPES)):
        label = dice.integer(len(CLASSES))
        coverage = _coverage(label, dice)
        solid = coverage * 2 >= _SUB * _SUB
        if _leaves_visible(owner, solid, full_areas):
            _blend(canvas, coverage, _fill(canvas, solid, dice))
            owner[solid] = len(labels)
            labels.append(label)
            full_areas.append(int(np.count_nonzero(solid)))
    boxes, areas = _visible_boxes(owner, len(labels))
    return Scene(
        image=_expose(canvas, dice),
        boxes=boxes,
        labels=np.asarray(labels, dtype=np.int64),
        areas=areas,
        seed=seed,
    )


class _Dice:
    """Random numbers from the raw PCG64 stream, without NumPy's (changeable) distributions."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * ((int(self._bits.random_raw()) >> 11) * 2.0**-53)

    def integer(self, bound: int) -> int:
        return int(self.uniform() * bound)

    def bytes(self, *shape: int) -> NDArray[np.int32]:
        """Return integers in [0, 255]."""
        count = int(np.prod(shape))
        words = np.asarray(self._bits.random_raw((count + 7) // 8), dtype="<u8")
        return words.view(np.uint8)[:count].reshape(shape).astype(np.int32)

    def color(self) -> NDArray[np.int32]:
        return self.bytes(3)

    def direction(self) -> tuple[float, float]:
        """Return (cos, sin) of a random angle, from the rational points of the circle."""
        t = self.uniform(-0.41421356, 0.41421356)
        cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
        turns = ((cos, sin), (-sin, cos), (-cos, -sin), (sin, -cos))
        return turns[self.integer(4)]


def _grid(low: int, high: int) -> _Floats:
    """Return the sub-pixel centres of the pixels [low, high)."""
    centres = np.arange((high - low) * _SUB, dtype=np.float32) + np.float32(0.5)
    return centres / np.float32(_SUB) + np.float32(low)


def _background(dice: _Dice) -> NDArray[np.int32]:
    """Return int32 [96, 96, 3]: two colours mixed by value noise or stripes, with grain."""
    first, second = dice.color(), dice.color()
    mix = _stripes(dice) if dice.integer(3) == 0 else _value_noise(dice)
    mix256 = (mix * 256).astype(np.int32)[..., None]
    canvas = (first * (256 - mix256) + second * mix256) >> 8
    strength = dice.integer(64)
    grain = dice.bytes(IMAGE_SIZE, IMAGE_SIZE, 1) - 128
    return canvas + ((grain * strength) >> 8)


def _value_noise(dice: _Dice) -> _Floats:
    """Return float32 [96, 96] in [0, 1]: random values on a coarse grid, joined linearly."""
    cells = (2, 3, 4, 6, 8, 12)[dice.integer(6)]
    values = dice.bytes(cells + 1, cells + 1).astype(np.float32) / np.float32(255)
    at = np.arange(IMAGE_SIZE, dtype=np.float32) * np.float32(cells / IMAGE_SIZE)
    low = at.astype(np.int64)
    part = at - low.astype(np.float32)
    rows = values[low] * (1 - part)[:, None] + values[low + 1] * part[:, None]
    mixed: _Floats = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    return mixed


def _stripes(dice: _Dice) -> _Floats:
    """Return float32 [96, 96] in [0, 1]: a triangle wave of random direction and period."""
    cos, sin = (np.float32(part) for part in dice.direction())
    period, offset = np.float32(dice.uniform(6, 40)), np.float32(dice.uniform())
    at = np.arange(IMAGE_SIZE, dtype=np.float32)
    phase = (at * cos + (at * sin)[:, None]) / period + offset
    wave: _Floats = np.abs(2 * (phase - np.floor(phase)) - 1)
    return wave


def _draw_line(canvas: NDArray[np.int32], dice: _Dice) -> None:
    """Draw a line across the whole image: clutter that is not annotated."""
    cos, sin = (np.float32(part) for part in dice.direction())
    at = np.arange(IMAGE_SIZE, dtype=np.float32) - np.float32(IMAGE_SIZE / 2)
    offset = np.float32(dice.uniform(-40, 40))
    width = np.float32(dice.uniform(0.5, 2.0))
    distance = np.abs(at * cos + (at * sin)[:, None] - offset)
    covered = np.clip(width + np.float32(0.5) - distance, 0, 1)
    _blend(canvas, (covered * (_SUB * _SUB)).astype(np.int32), dice.color())


def _count(inside: _Bools) -> NDArray[np.int32]:
    """Return how many sub-pixels of each pixel are inside, 0 to 16."""
    bits = inside.view(np.uint8)
    rows = bits[0::_SUB] + bits[1::_SUB] + bits[2::_SUB] + bits[3::_SUB]
    count: NDArray[np.uint8] = (
        rows[:, 0::_SUB] + rows[:, 1::_SUB] + rows[:, 2::_SUB] + rows[:, 3::_SUB]
    )
    return count.astype(np.int32)


def _blend(
    canvas: NDArray[np.int32], coverage: NDArray[np.int32], color: NDArray[np.int32]
) -> None:
    """Paint over the canvas; ``color`` is [3] or [96, 96, 3]."""
    where = coverage.nonzero()
    part, whole = coverage[where][:, None], _SUB * _SUB
    paint = color[where] if color.ndim == 3 else color
    canvas[where] = (canvas[where] * (whole - part) + paint * part + whole // 2) // whole


def _coverage(label: int, dice: _Dice) -> NDArray[np.int32]:
    """Place one shape; return int32 [96, 96], covered sub-pixels of each pixel."""
    skewed = dice.uniform()
    radius = 8 + 22 * skewed * skewed
    stretch = dice.uniform(0.85, 1.18)
    margin = radius * 0.6
    cx, cy = (dice.uniform(margin, IMAGE_SIZE - margin) for _ in range(2))
    cos, sin = (np.float32(part) for part in dice.direction())
    reach = radius * 1.2 + 1
    left, top = (max(0, int(centre - reach)) for centre in (cx, cy))
    right, bottom = (min(IMAGE_SIZE, int(centre + reach) + 1) for centre in (cx, cy))
    x = _grid(left, right)[None, :] - np.float32(cx)
    y = _grid(top, bottom)[:, None] - np.float32(cy)
    u = np.divide(x * cos + y * sin, radius * stretch, dtype=np.float32)
    v = np.divide(y * cos - x * sin, radius / stretch, dtype=np.float32)
    coverage = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=np.int32)
    coverage[top:bottom, left:right] = _count(_INSIDE[CLASSES[label]](u, v))
    return coverage


def _leaves_visible(owner: NDArray[np.int64], solid: _Bools, full_areas: list[int]) -> bool:
    """Tell whether a new shape would leave enough of every earlier one to recognise."""
    left = np.bincount(owner[~solid & (owner >= 0)], minlength=len(full_areas))
    enough = all(left[i] >= _MIN_VISIBLE * area for i, area in enumerate(full_areas))
    return bool(enough and solid.any())


def _fill(canvas: NDArray[np.int32], solid: _Bools, dice: _Dice) -> NDArray[np.int32]:
    """Return int32 [96, 96, 3] or [3]: plain or striped paint that differs from what it covers."""
    below = canvas[solid].sum(axis=0) // int(np.count_nonzero(solid))
    paint = dice.color()
    for _ in range(8):
        if int(np.abs(paint - below).sum()) >= 120:
            break
        paint = dice.color()
    if dice.integer(3):
        return paint
    shade = (_stripes(dice) * 80).astype(np.int32)[..., None] - 40
    return paint + shade


def _expose(canvas: NDArray[np.int32], dice: _Dice) -> NDArray[np.uint8]:
    """Return the photographed scene: softened at times, darkened to one side, with noise."""
    if dice.integer(3) == 0:
        canvas = _soften(canvas)
    light = 192 + (_value_noise(dice) * 96).astype(np.int32)[..., None]
    strength = 8 + dice.integer(40)
    noise = dice.bytes(*canvas.shape) - 128
    exposed = ((canvas * light) >> 8) + ((noise * strength) >> 8)
    return np.clip(exposed, 0, 255).astype(np.uint8)


def _soften(canvas: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the canvas under a 1-2-1 blur in both directions, borders repeated."""
    padded = np.pad(canvas, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    blurred: NDArray[np.int32] = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:] + 8) >> 4
    return blurred


def _visible_boxes(
    owner: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the boxes and areas of the pixels that each shape still owns."""
    boxes = np.zeros((count, 4), dtype=np.float32)
    areas = np.zeros(count, dtype=np.int64)
    for i in range(count):
        rows, columns = np.nonzero(owner == i)
        left, top = columns.min(), rows.min()
        boxes[i] = left, top, columns.max() + 1 - left, rows.max() + 1 - top
        areas[i] = len(rows)
    return boxes, areas


# Shapes in their own coordinates, within the circle of radius 1. Constants are cosines and sines of
# 30, 60, 72 and 36 degrees.


def _inside_circle(u: _Floats, v: _Floats) -> _Bools:
    return u * u + v * v <= 1


def _inside_square(u: _Floats, v: _Floats) -> _Bools:
    return np.maximum(np.abs(u), np.abs(v)) <= np.float32(0.8)


def _inside_triangle(u: _Floats, v: _Floats) -> _Bools:
    side = np.float32(0.8660254) * np.abs(u)
    return (v >= np.float32(-0.5)) & (side + np.float32(0.5) * v <= np.float32(0.5))


def _inside_star(u: _Floats, v: _Floats) -> _Bools:
    """A pentagram: the points inside at least four of its five lines."""
    normals = ((0, 1), (0.95105652, 0.30901699), (0.58778525, -0.80901699))
    limit = np.float32(0.40)
    sides = [u * np.float32(a) + v * np.float32(b) <= limit for a, b in normals]
    sides += [v * np.float32(b) - u * np.float32(a) <= limit for a, b in normals[1:]]
    within: _Bools = np.stack(sides).sum(axis=0) >= 4
    return within & (u * u + v * v <= 1)


def _inside_ring(u: _Floats, v: _Floats) -> _Bools:
    square = u * u + v * v
    return (square <= 1) & (square >= np.float32(0.3))


def _inside_cross(u: _Floats, v: _Floats) -> _Bools:
    a, b = np.abs(u), np.abs(v)
    return (np.minimum(a, b) <= np.float32(0.32)) & (np.maximum(a, b) <= np.float32(0.95))


def _inside_crescent(u: _Floats, v: _Floats) -> _Bools:
    shifted: _Floats = u - np.float32(0.45)
    return (u * u + v * v <= 1) & (shifted * shifted + v * v >= np.float32(0.5))


def _inside_hexagon(u: _Floats, v: _Floats) -> _Bools:
    a, b = np.abs(u), np.abs(v)
    limit = np.float32(0.8660254)
    return (b <= limit) & (limit * a + np.float32(0.5) * b <= limit)


_INSIDE: dict[str, Callable[[_Floats, _Floats], _Bools]] = {
    "circle": _inside_circle,
    "square": _inside_square,
    "triangle": _inside_triangle,
    "star": _inside_star,
    "ring": _inside_ring,
    "cross": _inside_cross,
    "crescent": _inside_crescent,
    "hexagon": _inside_hexagon,
}
