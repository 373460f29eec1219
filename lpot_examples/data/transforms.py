"""From an image file to the array a network takes: Pillow geometry, then NumPy arithmetic."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import DataError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class ImageTransform:
    """The preprocessing of a network, in two steps so that the first can be cached as bytes.

    Attributes:
        height: Rows of the network's input, pixels.
        width: Columns of the network's input, pixels.
        crop: When given, in (0, 1]: the image is scaled, aspect kept, until the central
            ``height`` × ``width`` crop is this fraction of its short side. When None the whole
            image is resized, aspect not kept.
        stretch: With ``crop``: the central part is that fraction of the image's height and of its
            width, and is resized, aspect not kept.
        interpolation: How the image is resized.
        channels: The order in which the network was trained; ``GREY`` is one channel.
        mean: Subtracted from each channel, in the order of ``channels``, on the scale 0–255.
        scale: Multiplies what remains; one number, or one for each channel.
        layout: Whether channels come last or first.
        dtype: What the network takes; ``uint8`` is the pixels as they are.
    """

    height: int
    width: int
    crop: float | None = None
    stretch: bool = False
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    channels: Literal["RGB", "BGR", "GREY"] = "RGB"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    scale: float | tuple[float, ...] = 1.0
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    dtype: Literal["float32", "uint8"] = "float32"

    def load(self, path: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Decode and fit one image.

        Args:
            path: The image file, in any format Pillow reads; grey and CMYK become colour.
            size: The (width, height) in pixels it must have; any when None.

        Returns:
            uint8 [height, width, 3] in the order of ``channels``; [height, width, 1] for grey.

        Raises:
            DataError: If the file is missing, cannot be decoded or has another size.
        """
        return self.pixels(decode(path, size))

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Fit a decoded RGB image; what `load` returns."""
        fitted = self.fit(image)
        if self.channels == "GREY":
            return np.asarray(fitted.convert("L"), dtype=np.uint8)[..., None]
        pixels = np.asarray(fitted, dtype=np.uint8)
        return np.ascontiguousarray(pixels[..., ::-1]) if self.channels == "BGR" else pixels

    def fit(self, image: Image.Image) -> Image.Image:
        """Bring an RGB image to ``width`` × ``height``."""
        from PIL import Image

        method = Image.Resampling[self.interpolation.upper()]
        if self.crop is None or self.stretch:
            box = None if self.crop is None else _central(image.size, self.crop)
            return image.resize((self.width, self.height), method, box=box)
        ratio = max(self.width / image.width, self.height / image.height) / self.crop
        scaled = (round(image.width * ratio), round(image.height * ratio))
        if scaled != image.size:
            image = image.resize(scaled, method)
        left, top = (image.width - self.width) // 2, (image.height - self.height) // 2
        return image.crop((left, top, left + self.width, top + self.height))

    def normalize(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return ``(pixels - mean) * scale`` in the network's dtype and layout.

        Args:
            pixels: uint8 [..., height, width, channels], as `load` gives them.
        """
        values: NDArray[Any] = pixels
        if self.dtype == "float32":
            values = pixels.astype(np.float32)
            if any(self.mean):
                values -= np.asarray(self.mean, dtype=np.float32)
            if self.scale != 1.0:
                values *= np.asarray(self.scale, dtype=np.float32)
        if self.layout == "NCHW":
            values = np.ascontiguousarray(np.moveaxis(values, -1, -3))
        return values


def _central(size: tuple[int, int], fraction: float) -> tuple[int, int, int, int]:
    """Return the box of the central part, as ``tf.image.central_crop`` rounds it."""
    left, top = (int((side - side * fraction) / 2) for side in size)
    return left, top, size[0] - left, size[1] - top


def decode(path: Path, size: tuple[int, int] | None = None) -> Image.Image:
    """Read an image file as RGB.

    Args:
        path: In any format Pillow reads; grey and CMYK become colour.
        size: The (width, height) in pixels it must have; any when None.

    Raises:
        DataError: If the file is missing, truncated, not an image or of another size.
    """
    image = _opened(path)
    if size is not None and image.size != size:
        raise DataError(
            f"{path} must be {size[0]}x{size[1]} pixels, as its annotations say; it is "
            f"{image.size[0]}x{image.size[1]}. Use the images the annotations were made for."
        )
    return image


def decode_bytes(data: bytes, *, place: str) -> Image.Image:
    """Read an encoded image as RGB.

    Args:
        data: The content of an image file, in any format Pillow reads.
        place: What it is called in the error message, such as ``val.record: record 3``.

    Raises:
        DataError: If it is truncated or not an image.
    """
    return _decoded(io.BytesIO(data), place)


def _opened(path: Path) -> Image.Image:
    if not path.exists():
        raise DataError(f"The image {path} does not exist. Restore it or correct the list.")
    return _decoded(path, str(path))


def _decoded(source: Path | io.BytesIO, place: str) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(source) as image:
            return image.convert("RGB")
    except UnidentifiedImageError:
        raise DataError(
            f"{place} must be an image; it is not in a known format. Download it again."
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(
            f"The image {place} cannot be decoded ({error}). Download it again."
        ) from None
