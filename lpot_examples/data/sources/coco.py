"""COCO: ``annotations/instances_<split>.json`` and the images of each split."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lpot_examples.data.coco import check_annotation, check_image, read_instances
from lpot_examples.data.sources.annotated import (
    TRAIN,
    VALIDATION,
    AnnotatedImage,
    Annotation,
    Content,
    Kind,
    Source,
    Troubles,
)
from lpot_examples.data.sources.labels import Label, LabelMap
from lpot_examples.errors import DataError

LAYOUT = (
    "COCO's layout is required: annotations/instances_val2017.json with val2017/*.jpg, and the "
    "same for train2017 where it is wanted."
)


def open_coco(
    root: Path,
    *,
    troubles: Troubles,
    splits: Collection[str] = (),
    labels: LabelMap | None = None,
    masks: bool = False,
) -> Source:
    """Read the annotations of a folder in COCO layout.

    Args:
        root: Holds ``annotations/`` and a folder for each split, directly, in ``images/``, or as
            archives that were unpacked each into a folder of its own name.
        troubles: Told of what cannot be used.
        splits: COCO's names of the splits, such as ``val2017``; all that are there when empty.
        labels: Names to use in place of those of the categories, by category id.
        masks: Whether to keep segmentations.

    Returns:
        The source; its splits are ``train`` and ``validation`` where COCO's names say so.

    Raises:
        DataError: If the layout is another, or splits disagree about the categories.
    """
    files = _instances(root, splits)
    found: dict[str, tuple[AnnotatedImage, ...]] = {}
    names: dict[int, str] = {}
    for split, file in files.items():
        content = read_instances(file)
        for row in () if masks else content["annotations"]:
            row.pop("segmentation", None)
        _add_categories(names, content["categories"], file)
        images = _read_split(content, file, folder=_images(root, split), troubles=troubles)
        key = TRAIN if split.startswith("train") else VALIDATION if "val" in split else split
        if key in found:
            raise DataError(
                f"{root} holds several {key} splits: {', '.join(files)}. Choose one: "
                f"--split={split}."
            )
        found[key] = images
    own = LabelMap((Label(number, name) for number, name in names.items()), origin=str(root))
    if labels is None:
        return Source(dataset="coco", splits=found, labels=own)
    renamed = {split: _renamed(images, labels, troubles) for split, images in found.items()}
    return Source(dataset="coco", splits=renamed, labels=labels)


def _instances(root: Path, splits: Collection[str]) -> dict[str, Path]:
    folders = [root / "annotations", *sorted(root.glob("*/annotations"))]
    known = sorted(path for folder in folders for path in folder.glob("instances_*.json"))
    files = {path.stem.removeprefix("instances_"): path for path in known}
    for split in splits:
        if split not in files:
            raise DataError(f"{folders[0] / f'instances_{split}.json'} is missing. {LAYOUT}")
        _images(root, split)
    if splits:
        return {split: files[split] for split in splits}
    if not files:
        raise DataError(f"{folders[0] / 'instances_*.json'} is missing. {LAYOUT}")
    # The archive of annotations is of both splits, of which often only one is downloaded.
    present = {split: file for split, file in files.items() if _find_images(root, split)}
    if not present:
        raise DataError(f"{root / min(files)} is missing, the folder of images. {LAYOUT}")
    return present


def _find_images(root: Path, split: str) -> Path | None:
    folders = (root / split / split, root / split, root / "images" / split)
    return next((folder for folder in folders if folder.is_dir()), None)


def _images(root: Path, split: str) -> Path:
    folder = _find_images(root, split)
    if folder is None:
        raise DataError(f"{root / split} is missing. {LAYOUT}")
    return folder


def _add_categories(names: dict[int, str], rows: list[dict[str, Any]], file: Path) -> None:
    for index, row in enumerate(rows):
        place = f"{file}: categories[{index}]"
        number, name = row.get("id"), row.get("name")
        if not isinstance(number, int) or not isinstance(name, str):
            raise DataError(f"{place} must have an integer id and a name; it is {row}.")
        if names.setdefault(number, name) != name:
            raise DataError(
                f"{place} calls category {number} '{name}'; elsewhere it is '{names[number]}'. "
                "Convert these splits one by one."
            )


def _read_split(
    content: Mapping[str, Any], file: Path, *, folder: Path, troubles: Troubles
) -> tuple[AnnotatedImage, ...]:
    rows: dict[int, dict[str, Any]] = {}
    seen: dict[str, int] = {}
    for index, row in enumerate(content["images"]):
        place = f"{file}: images[{index}]"
        repeats = _among(row.get("id"), rows) or str(row.get("file_name")) in seen
        with troubles.catching("duplicate" if repeats else "annotation"):
            check_image(row, rows, place=place)
            if row["file_name"] in seen:
                raise DataError(
                    f"{place} (id {row['id']}) lists {row['file_name']}, as id "
                    f"{seen[row['file_name']]} does. Remove one."
                )
            rows[row["id"]] = row
            seen[row["file_name"]] = row["id"]
    objects = _objects(content, rows, file=file, troubles=troubles)
    return tuple(
        AnnotatedImage(
            source_id=str(number),
            filename=row["file_name"],
            content=Content(path=folder / row["file_name"]),
            size=(row["width"], row["height"]),
            objects=tuple(objects.get(number, ())),
        )
        for number, row in sorted(rows.items())
    )


def _objects(
    content: Mapping[str, Any],
    rows: Mapping[int, Mapping[str, Any]],
    *,
    file: Path,
    troubles: Troubles,
) -> dict[int, list[Annotation]]:
    names = {row["id"]: row["name"] for row in content["categories"]}
    objects: dict[int, list[Annotation]] = {}
    seen: set[int] = set()
    for index, row in enumerate(content["annotations"]):
        number = row.get("id")
        place = f"{file}: annotations[{index}] (id {number})"
        with troubles.catching("duplicate" if _among(number, seen) else _kind(row, rows, names)):
            check_annotation(row, images=rows, categories=names, place=place)
            if _among(number, seen):
                raise DataError(f"{place} repeats the annotation id {number}. Remove one.")
            if isinstance(number, int):
                seen.add(number)
            objects.setdefault(row["image_id"], []).append(_object(row, names, place))
    return objects


def _kind(row: Mapping[str, Any], rows: Collection[int], names: Collection[int]) -> Kind:
    """Say what a row would be at fault with."""
    if not _among(row.get("image_id"), rows):
        return "annotation"
    return "box" if _among(row.get("category_id"), names) else "class"


def _among(number: object, known: Collection[int]) -> bool:
    return isinstance(number, int) and number in known


def _object(row: Mapping[str, Any], names: Mapping[int, str], place: str) -> Annotation:
    x, y, width, height = row["bbox"]
    area = row.get("area")
    return Annotation(
        box=(x, y, x + width, y + height),
        label=row["category_id"],
        text=names[row["category_id"]],
        place=place,
        crowd=bool(row.get("iscrowd", 0)),
        area=float(area) if isinstance(area, (int, float)) else float(width * height),
        segmentation=row.get("segmentation") or None,
    )


def _renamed(
    images: tuple[AnnotatedImage, ...], labels: LabelMap, troubles: Troubles
) -> tuple[AnnotatedImage, ...]:
    from dataclasses import replace

    result = []
    for image in images:
        objects = []
        for item in image.objects:
            label = labels.by_number.get(item.label if item.label is not None else -1)
            if label is None:
                troubles.add(
                    "class",
                    f"{item.place} has category id {item.label} ('{item.text}'), which "
                    f"{labels.origin} does not name. Add it.",
                )
            else:
                objects.append(replace(item, text=label.name))
        result.append(replace(image, objects=tuple(objects)))
    return tuple(result)
