"""jpeg.py and images.py: what is kept, what is made anew, what is refused."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from lpot_examples.data.records.images import Encoding, decoded_size, stored_image
from lpot_examples.data.records.jpeg import Jpeg, whole_jpeg
from lpot_examples.errors import DataError
from lpot_examples.testing.data_sets import picture

DEFAULT = Encoding()


def large():
    """A photograph-like JPEG of some 100 KB."""
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def with_options(**options):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture(1))).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        picture(1),
        with_options(progressive=True),
        with_options(restart_marker_blocks=1),
        with_options(comment=b"\xff\xd9 in a comment"),
        picture(1) + b"behind the end",
    ],
    ids=["baseline", "progressive", "restarts", "comment", "trailing"],
)
def test_markers_of_whole_files_are_read(data):
    assert whole_jpeg(data) == Jpeg(48, 32, 3)
    stored = stored_image(data, DEFAULT, place="a.jpg")
    assert stored.data is data
    assert (stored.width, stored.height, stored.channels, stored.note) == (48, 32, 3, "")


def test_a_file_cut_anywhere_is_not_whole():
    data = picture(1)
    assert not [end for end in range(len(data) - 1) if whole_jpeg(data[:end]) is not None]


def test_overwritten_data_is_mostly_seen():
    data, draw = large(), random.Random(5)
    seen = 0
    for _ in range(100):
        at = draw.randrange(1000, len(data) - 3000)
        seen += whole_jpeg(data[:at] + draw.randbytes(2000) + data[at + 2000 :]) is None
    assert seen >= 95
    hole = len(data) // 2
    assert whole_jpeg(data[:hole] + bytes(4096) + data[hole + 4096 :]) is None


def test_a_flat_picture_is_no_hole():
    buffer = io.BytesIO()
    Image.new("RGB", (800, 600)).save(buffer, "JPEG", optimize=True)
    assert stored_image(buffer.getvalue(), DEFAULT, place="a.jpg").data == buffer.getvalue()


def test_what_markers_leave_open_is_decoded_and_noted():
    data = large()
    at = len(data) // 2
    odd = data[:at] + b"\xff\x01" + data[at + 2 :]
    stored = stored_image(odd, DEFAULT, place="a.jpg")
    assert stored.data == odd
    assert stored.note == "its JPEG data is irregular"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (picture(1)[:300], "cannot be decoded"),
        (b"", "is empty"),
        (b"<html>404</html>", "not in a known format"),
        (large()[:50_000], "cannot be decoded"),
        (picture(1, kind="PNG")[:200], "cannot be decoded"),
    ],
    ids=["cut", "empty", "text", "cut late", "png"],
)
def test_broken_images_are_named(data, message):
    with pytest.raises(DataError, match=rf"(The image )?b/a\.jpg .*{message}"):
        stored_image(data, DEFAULT, place="b/a.jpg")


def test_grey_is_kept_unless_it_is_not_wanted():
    grey = picture(2, mode="L")
    assert stored_image(grey, DEFAULT, place="a").data == grey
    assert stored_image(grey, DEFAULT, place="a").channels == 1
    colour = stored_image(grey, Encoding(grey_to_rgb=True), place="a")
    assert (colour.channels, colour.note) == (3, "JPEG L became JPEG RGB")
    assert whole_jpeg(colour.data) == Jpeg(48, 32, 3)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "BMP")],
)
def test_other_formats_become_jpeg_that_looks_the_same(mode, kind):
    data = picture(3, mode=mode, kind=kind)
    stored = stored_image(data, DEFAULT, place="a")
    assert (stored.format, stored.note) == ("jpeg", f"{kind} {mode} became JPEG RGB")
    assert whole_jpeg(stored.data) == Jpeg(48, 32, 3)
    before, after = (
        np.asarray(Image.open(io.BytesIO(part)).convert("RGB"), dtype=int)
        for part in (data, stored.data)
    )
    assert abs(before - after).max() <= 6


def test_png_can_be_kept():
    data = picture(3, kind="PNG")
    stored = stored_image(data, Encoding(keep_png=True), place="a")
    assert (stored.data, stored.format, stored.channels) == (data, "png", 3)
    assert decoded_size(data, place="a") == (48, 32, "png")


def test_decoding_finds_what_markers_do_not_show():
    data = picture(1)
    at = data.index(b"\xff\xc4") + 5  # the first Huffman table
    bad = data[:at] + bytes([255] * 16) + data[at + 16 :]
    assert stored_image(bad, DEFAULT, place="a").data == bad
    with pytest.raises(DataError, match="cannot be decoded"):
        stored_image(bad, Encoding(decode=True), place="a")
