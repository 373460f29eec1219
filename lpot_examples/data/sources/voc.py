"""Pascal VOC: one xml of boxes for each image.

Two layouts are read: that of the challenge (``VOCdevkit/VOC2012/`` with ``Annotations/``,
``JPEGImages/`` and ``ImageSets/Main/``) and the plain one of labelling tools (xml and images in
folders of their own, or together).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from lpot_examples.data.listing import image_samples
from lpot_examples.data.sources.annotated import (
    TRAIN,
    VALIDATION,
    AnnotatedImage,
    Annotation,
    Content,
    Source,
    Troubles,
)
from lpot_examples.data.sources.labels import LabelMap, named
from lpot_examples.data.sources.voc_xml import VocFile, read_xml
from lpot_examples.errors import DataError

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""The classes of the challenge; their numbers in records begin with 1."""

LAYOUT = (
    "Either VOC's layout is required (VOCdevkit/VOC2012 with Annotations, JPEGImages and "
    "ImageSets/Main), or a folder with images and one xml for each, together or in folders "
    "'images' and 'annotations'."
)

_SPLITS = {TRAIN: TRAIN, "val": VALIDATION}


def open_voc(
    root: Path, *, troubles: Troubles, splits: Collection[str] = (), labels: LabelMap | None = None
) -> Source:
    """Read the annotations of a folder in one of the two layouts.

    Args:
        root: ``VOCdevkit``, its parent, one of its years, or the folder of the plain layout.
        troubles: Told of what cannot be used.
        splits: Names of lists in ``ImageSets/Main``, such as ``trainval``; when empty ``train``
            and ``val``. The plain layout has none.
        labels: The classes. When None, those of the challenge in its layout; in the plain layout
            the names that occur, sorted, numbered from 1.

    Raises:
        DataError: If the layout is another or a list names what does not exist.
    """
    years = _years(root)
    read = _listed(years, splits, troubles) if years else {"": _plain(root, splits, troubles)}
    if not any(read.values()):
        raise DataError(f"{root} holds no annotated image. {LAYOUT}")
    if labels is None and years:
        labels = named(CLASSES, first=1, origin="Pascal VOC")
    if labels is None:
        images = [image for split in read.values() for image in split]
        texts = {item.text for image in images for item in image.objects}
        labels = named(sorted(texts), first=1, origin=str(root))
    numbered = {split: _numbered(images, labels, troubles) for split, images in read.items()}
    return Source(dataset="voc", splits=numbered, labels=labels)


def _years(root: Path) -> list[Path]:
    """Find folders in the challenge's layout, at most three levels down."""
    places = [root, *(path for depth in ("*/", "*/*/", "*/*/*/") for path in root.glob(depth))]
    places.sort()
    return [path for path in places if (path / "ImageSets" / "Main").is_dir()]


def _listed(
    years: list[Path], splits: Collection[str], troubles: Troubles
) -> dict[str, tuple[AnnotatedImage, ...]]:
    found: dict[str, tuple[AnnotatedImage, ...]] = {}
    for year in years:
        lists = year / "ImageSets" / "Main"
        for split in splits or [name for name in _SPLITS if (lists / f"{name}.txt").is_file()]:
            key, prefix = _SPLITS.get(split, split), f"{year.name}/" if len(years) > 1 else ""
            images = tuple(_read_list(lists / f"{split}.txt", year, prefix, troubles))
            found[key] = (*found.get(key, ()), *images)
    if not found:
        raise DataError(f"{years[0] / 'ImageSets' / 'Main'} lists no images. {LAYOUT}")
    return found


def _read_list(file: Path, year: Path, prefix: str, troubles: Troubles) -> Iterator[AnnotatedImage]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list of images {file} cannot be read: {error}. {LAYOUT}") from None
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        name = "".join(line.split()[:1])
        if name in seen:
            troubles.add(
                "duplicate", f"{file}:{number}: {name} is already on line {seen[name]}. Remove one."
            )
        elif name:
            seen[name] = number
            image = year / "JPEGImages" / f"{name}.jpg"
            with troubles.catching("annotation"):
                xml = read_xml(_existing(year / "Annotations" / f"{name}.xml", image), troubles)
                yield _annotated(f"{prefix}{name}", image, xml)


def _plain(root: Path, splits: Collection[str], troubles: Troubles) -> tuple[AnnotatedImage, ...]:
    if splits:
        raise DataError(
            f"{root} has no ImageSets/Main, so there are no splits {', '.join(splits)}. Leave "
            "--split out; --train_valid_split=0.9 makes a split."
        )
    folders = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    files = [path for folder in folders for path in sorted(folder.glob("*.xml"))]
    if not files:
        raise DataError(f"{root} holds no xml. {LAYOUT}")
    images: dict[str, Path] = {}
    for path in (image.path for folder in folders for image in image_samples(folder)):
        if images.setdefault(path.stem, path) != path:
            troubles.add("duplicate", f"{path} and {images[path.stem]} have one name. Rename one.")
    unused = dict(images)
    found = tuple(_paired(files, images, unused, troubles))
    for path in unused.values():
        with troubles.catching("annotation"):
            _existing(files[0].parent / f"{path.stem}.xml", path)
    return tuple(sorted(found, key=lambda image: image.source_id))


def _paired(
    files: list[Path], images: dict[str, Path], unused: dict[str, Path], troubles: Troubles
) -> Iterator[AnnotatedImage]:
    """Find the image of each xml: the one of its name, else the one it names."""
    for file in files:
        path = unused.pop(file.stem, None)
        with troubles.catching("annotation"):
            xml = read_xml(file, troubles)
            stem = Path(xml.filename.replace("\\", "/")).stem
            path = path or unused.pop(stem, None)
            if path is None:
                taken = images.get(file.stem) or images.get(stem)
                what = (
                    f"{taken}, which has another xml" if taken else f"{xml.filename or 'an image'}"
                )
                raise DataError(
                    f"{file} is for {what}; an image of its own is required and does not exist. "
                    "Restore it or remove the xml."
                )
            yield _annotated(path.stem, path, xml)


def _existing(xml: Path, image: Path) -> Path:
    if not xml.is_file():
        raise DataError(
            f"{image} has no annotations: {xml} does not exist. Restore it; for an image without "
            "objects, write an xml without objects."
        )
    return xml


def _annotated(source_id: str, image: Path, xml: VocFile) -> AnnotatedImage:
    return AnnotatedImage(
        source_id=source_id,
        filename=image.name,
        content=Content(path=image),
        size=xml.size,
        objects=xml.objects,
    )


def _numbered(
    images: tuple[AnnotatedImage, ...], labels: LabelMap, troubles: Troubles
) -> tuple[AnnotatedImage, ...]:
    """Give objects the numbers of their classes."""
    result = []
    for image in images:
        known: list[Annotation] = []
        for item in image.objects:
            label = labels.by_name.get(item.text)
            if label is None:
                troubles.add(
                    "class",
                    f"{item.place} is of the class '{item.text}', which is none of the "
                    f"{len(labels)} of {labels.origin}. Correct it, or name the classes with "
                    "--labels.",
                )
            else:
                known.append(replace(item, label=label.number))
        result.append(replace(image, objects=tuple(known)))
    return tuple(result)
