"""Small data sets in the layouts of the public ones, made of random pictures."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SYNSETS = ("n01440764", "n01443537", "n01484850")


def picture(
    seed: int, *, size: tuple[int, int] = (48, 32), mode: str = "RGB", kind: str = "JPEG"
) -> bytes:
    """Return an image file.

    Args:
        seed: Chooses the colours.
        size: Width and height in pixels.
        mode: Pillow's name of the colour space.
        kind: Pillow's name of the format.
    """
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def coco_set(root: Path, *, split: str = "val2017", images: int = 5) -> dict[str, Any]:
    """Write a split in COCO's layout; return the content of its annotations.

    Image ids are 10, 20, …; each image has two objects, the second with polygons and, in every
    third image, a crowd; the last image has none.
    """
    (root / split).mkdir(parents=True)
    content: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }
    for index in range(images):
        number = 10 * (index + 1)
        name = f"{number:012}.jpg"
        (root / split / name).write_bytes(picture(index))
        content["images"].append({"id": number, "file_name": name, "width": 48, "height": 32})
        for second in range(2 if index < images - 1 else 0):
            x, y, width, height = 2.5 + index % 7, 3.25, 20.0 + second, 15.5
            content["annotations"].append(
                {
                    "id": 100 + 2 * index + second,
                    "image_id": number,
                    "category_id": 18 if second else 1,
                    "bbox": [x, y, width, height],
                    "area": width * height / 2,
                    "iscrowd": int(second and index % 3 == 0),
                    "segmentation": [[x, y, x + width, y, x, y + height]],
                }
            )
    write_instances(root, content, split=split)
    return content


def write_instances(root: Path, content: Any, *, split: str = "val2017") -> Path:
    """Write the annotations of a split in COCO's layout."""
    file = root / "annotations" / f"instances_{split}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def voc_xml(
    filename: str,
    boxes: Sequence[tuple[str, float, float, float, float]],
    *,
    size: tuple[int, int] = (48, 32),
) -> str:
    """Return an annotation in the xml of Pascal VOC; a box is class, xmin, ymin, xmax, ymax."""
    objects = "".join(
        f"<object><name>{name}</name><pose>Left</pose><truncated>1</truncated>"
        f"<difficult>0</difficult><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>\n"
        for name, xmin, ymin, xmax, ymax in boxes
    )
    return (
        f"<annotation>\n<filename>{filename}</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height><depth>3</depth></size>\n{objects}</annotation>"
    )


def plain_voc_set(root: Path, *, images: int = 4) -> None:
    """Write images and xml in two folders; the classes are ``cat`` and ``emu``."""
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    for index in range(images):
        name = f"photo-{index}"
        (root / "images" / f"{name}.jpg").write_bytes(picture(index))
        box = ("emu" if index % 2 else "cat", 4, 5, 20 + index, 30)
        (root / "annotations" / f"{name}.xml").write_text(voc_xml(f"{name}.jpg", [box]))


def voc_devkit(root: Path, *, year: str = "VOC2012") -> None:
    """Write three training and two validation images in the challenge's layout."""
    folder = root / "VOCdevkit" / year
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for split, names in {"train": ("a", "b", "c"), "val": ("d", "e")}.items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            (folder / "JPEGImages" / f"{name}.jpg").write_bytes(picture(ord(name)))
            text = voc_xml(f"{name}.jpg", [("dog", 1, 2, 30, 20), ("person", 5, 5, 48, 32)])
            (folder / "Annotations" / f"{name}.xml").write_text(text)


def folder_set(root: Path, classes: Sequence[str], *, images: int = 3) -> None:
    """Write a folder of images for each class."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(images):
            (root / name / f"{name}_{index}.jpg").write_bytes(picture(10 * number + index))


def tar_of(files: dict[str, bytes]) -> bytes:
    """Return an uncompressed tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def imagenet_tars(root: Path, *, images: int = 2) -> None:
    """Write ImageNet's two tars, ``val.txt`` and ``synset_words.txt`` of three synsets."""
    root.mkdir(parents=True, exist_ok=True)
    inner = {
        f"{synset}.tar": tar_of(
            {f"{synset}_{i}.JPEG": picture(10 * number + i) for i in range(images)}
        )
        for number, synset in enumerate(SYNSETS)
    }
    (root / "ILSVRC2012_img_train.tar").write_bytes(tar_of(inner))
    names = [f"ILSVRC2012_val_{number:08}.JPEG" for number in (1, 2, 3, 4)]
    validation = {name: picture(90 + number) for number, name in enumerate(names)}
    (root / "ILSVRC2012_img_val.tar").write_bytes(tar_of(validation))
    (root / "val.txt").write_text("".join(f"{name} {i % 3}\n" for i, name in enumerate(names)))
    words = zip(SYNSETS, ("tench, Tinca tinca", "goldfish", "great white shark"), strict=True)
    (root / "synset_words.txt").write_text("".join(f"{s} {name}\n" for s, name in words))
