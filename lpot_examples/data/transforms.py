"""From an image file to the array a network takes: Pillow geometry, then NumPy arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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
        channels: The order in which the network was trained.
        mean: Subtracted from each channel, in the order of ``channels``, on the scale 0–255.
        scale: Multiplies what remains.
    """

    height: int
    width: int
    crop: float | None = None
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0

    def load(self, path: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Decode and fit one image.

        Args:
            path: The image file, in any format Pillow reads; grey and CMYK become colour.
            size: The (width, height) in pixels it must have; any when None.

        Returns:
            uint8 [height, width, 3] in the order of ``channels``.

        Raises:
            DataError: If the file is missing, cannot be decoded or has another size.
        """
        image = decode(path)
        if size is not None and image.size != size:
            raise DataError(
                f"{path} must be {size[0]}x{size[1]} pixels, as its annotations say; it is "
                f"{image.size[0]}x{image.size[1]}. Use the images the annotations were made for."
            )
        pixels = np.asarray(self.fit(image), dtype=np.uint8)
        return np.ascontiguousarray(pixels[..., ::-1]) if self.channels == "BGR" else pixels

    def fit(self, image: Image.Image) -> Image.Image:
        """Bring an RGB image to ``width`` × ``height`` with bilinear interpolation."""
        from PIL import Image

        if self.crop is None:
            return image.resize((self.width, self.height), Image.Resampling.BILINEAR)
        ratio = max(self.width / image.width, self.height / image.height) / self.crop
        scaled = (round(image.width * ratio), round(image.height * ratio))
        if scaled != image.size:
            image = image.resize(scaled, Image.Resampling.BILINEAR)
        left, top = (image.width - self.width) // 2, (image.height - self.height) // 2
        return image.crop((left, top, left + self.width, top + self.height))

    def normalize(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return ``(pixels - mean) * scale`` as float32, of the same shape [..., 3]."""
        values = pixels.astype(np.float32)
        if any(self.mean):
            values -= np.asarray(self.mean, dtype=np.float32)
        if self.scale != 1.0:
            values *= np.float32(self.scale)
        return values


def decode(path: Path) -> Image.Image:
    """Read an image file as RGB.

    Raises:
        DataError: If the file is missing, truncated or not an image.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise DataError(
            f"The image {path} does not exist. Restore it or correct the list."
        ) from None
    except UnidentifiedImageError:
        raise DataError(
            f"{path} must be an image; it is not in a known format. Download it again."
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(
            f"The image {path} cannot be decoded ({error}). Download it again."
        ) from None
