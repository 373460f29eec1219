"""The bytes of an image as they go into a record."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from lpot_examples.data.records.jpeg import whole_jpeg
from lpot_examples.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

QUALITY = 100
"""Of JPEG made of other formats, as TensorFlow's ``build_imagenet_data.py`` makes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """How images are stored.

    Attributes:
        keep_png: Store PNG files as they are; otherwise they become JPEG, as all other formats do.
        grey_to_rgb: Make three-channel JPEG of grey files, which loses a little. Otherwise their
            bytes are kept; decoders give three equal channels when asked for three.
        decode: Decode every image to see whether it is whole; otherwise those whose markers are
            in order are trusted (`jpeg.whole_jpeg`).
    """

    keep_png: bool = False
    grey_to_rgb: bool = False
    decode: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """An image ready for a record.

    Attributes:
        data: The file's bytes, or those of a new file.
        format: ``jpeg`` or ``png``.
        width: Pixels.
        height: Pixels.
        channels: 1 for grey, else 3.
        note: What was done to it or is odd about it; empty if nothing.
    """

    data: bytes
    format: str
    width: int
    height: int
    channels: int
    note: str = ""


def stored_image(data: bytes, encoding: Encoding, *, place: str) -> Stored:
    """Check an image and bring it to a format for records.

    JPEG in colour (and grey) is kept byte for byte. CMYK and all other formats Pillow reads become
    RGB JPEG of quality 100 without chroma subsampling.

    Args:
        data: The content of the image file.
        encoding: How images are stored.
        place: What the image is called in messages.

    Raises:
        DataError: If it is not an image or is damaged.
    """
    frame = whole_jpeg(data)
    kept = (3,) if encoding.grey_to_rgb else (1, 3)
    if frame is not None and frame.components in kept and not encoding.decode:
        return Stored(data, "jpeg", frame.width, frame.height, frame.components)
    image, kind, mode = _decoded(data, place)
    width, height = image.size
    note = "" if frame is not None or kind != "JPEG" else "its JPEG data is irregular"
    if kind in ("JPEG", "MPO") and (mode == "RGB" or (mode == "L" and 1 in kept)):
        return Stored(data, "jpeg", width, height, 1 if mode == "L" else 3, note)
    if kind == "PNG" and encoding.keep_png:
        return Stored(data, "png", width, height, 1 if mode in ("1", "L", "I;16") else 3)
    return Stored(_jpeg(image), "jpeg", width, height, 3, f"{kind} {mode} became JPEG RGB")


def decoded_size(data: bytes, *, place: str) -> tuple[int, int, str]:
    """Decode an image fully; return its width and height in pixels and its format.

    Raises:
        DataError: If it is not an image or is damaged.
    """
    image, kind, _ = _decoded(data, place)
    return image.width, image.height, "jpeg" if kind == "MPO" else kind.lower()


def _decoded(data: bytes, place: str) -> tuple[Image.Image, str, str]:
    """Return an image with its format and mode."""
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise DataError(f"The image {place} is empty. Restore it.")
    try:
        with Image.open(BytesIO(data)) as image:
            kind, mode = image.format or "", image.mode
            image.load()
            return image, kind, mode
    except UnidentifiedImageError:
        raise DataError(
            f"{place} must be an image; it is not in a known format. Restore it."
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"The image {place} cannot be decoded ({error}). Restore it.") from None


def _jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()
