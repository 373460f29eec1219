"""Which image goes into which shard."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lpot_examples.data.sources.annotated import TRAIN, VALIDATION, AnnotatedImage, Source
from lpot_examples.errors import DataError

IMAGES_PER_SHARD = 256

_STEMS = {
    "coco": {TRAIN: "coco_train.record", VALIDATION: "coco_val.record", "": "coco.record"},
    "voc": {TRAIN: "voc_train.record", VALIDATION: "voc_val.record", "": "voc.record"},
    "imagenet": {"": "imagenet"},
    "folder": {"": "images"},
}


@dataclass(frozen=True, kw_only=True)
class Division:
    """How images are divided.

    Attributes:
        train_valid_split: The part of all images that becomes ``train``, in [0, 1]; the rest is
            ``validation``. None keeps the source's splits.
        num_shards: Shards of each split; one for each 256 images when None. There are never more
            shards than images.
        validation_shards: The same for ``validation`` alone.
        limit: Only so many images of each split; of all images where they are split anew.
        seed: Chooses which images are split off, and the order of ``train``.
    """

    train_valid_split: float | None = None
    num_shards: int | None = None
    validation_shards: int | None = None
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class PlannedShard:
    """One file to write.

    Attributes:
        split: The split it belongs to.
        name: Its standard name, such as ``coco_val.record-00000-of-00010``.
        images: What it holds, in order.
    """

    split: str
    name: str
    images: tuple[AnnotatedImage, ...]


def plan_shards(source: Source, division: Division) -> tuple[PlannedShard, ...]:
    """Divide the images of a source.

    The images of ``train`` are in an order that depends on the seed and on their ids alone, so
    that any number of the first ones is a fair sample; those of other splits are in the source's
    order. Each shard is a stretch of that order.

    Raises:
        DataError: If no image is there to divide.
    """
    splits = _limited(_divided(source.splits, division), division)
    if not any(splits.values()):
        raise DataError("There is no image to convert: every one was left out.")
    return tuple(
        shard
        for split, images in splits.items()
        if images
        for shard in _shards(images, split=split, stem=_stem(source.dataset, split), plan=division)
    )


def _divided(
    splits: Mapping[str, Sequence[AnnotatedImage]], division: Division
) -> dict[str, list[AnnotatedImage]]:
    if division.train_valid_split is None:
        return {
            split: _ranked(images, division.seed) if split == TRAIN else list(images)
            for split, images in splits.items()
        }
    pool = _unique(splits)
    ranked = _ranked(pool, division.seed)[: division.limit]
    train = ranked[: round(division.train_valid_split * len(ranked))]
    chosen = {image.source_id for image in ranked} - {image.source_id for image in train}
    return {TRAIN: train, VALIDATION: [image for image in pool if image.source_id in chosen]}


def _unique(splits: Mapping[str, Sequence[AnnotatedImage]]) -> list[AnnotatedImage]:
    """Put the splits together."""
    pool: dict[str, AnnotatedImage] = {}
    for image in (image for images in splits.values() for image in images):
        other = pool.setdefault(image.source_id, image)
        if other is not image and other.content != image.content:
            raise DataError(
                f"{image.content} and {other.content} have the same id {image.source_id}. Convert "
                "the splits one by one, with --split."
            )
    return list(pool.values())


def _limited(
    splits: Mapping[str, list[AnnotatedImage]], division: Division
) -> dict[str, list[AnnotatedImage]]:
    if division.train_valid_split is not None:
        return dict(splits)
    return {split: images[: division.limit] for split, images in splits.items()}


def _ranked(images: Sequence[AnnotatedImage], seed: int) -> list[AnnotatedImage]:
    """Shuffle by a hash of seed and id, which no other image influences."""
    return sorted(
        images, key=lambda image: hashlib.sha256(f"{seed}:{image.source_id}".encode()).digest()
    )


def _stem(dataset: str, split: str) -> str:
    return _STEMS[dataset].get(split) or (
        f"{dataset}_{split}.record" if dataset in ("coco", "voc") else split
    )


def _shards(
    images: Sequence[AnnotatedImage], *, split: str, stem: str, plan: Division
) -> list[PlannedShard]:
    wanted = plan.validation_shards if split == VALIDATION else None
    count = wanted or plan.num_shards or -(-len(images) // IMAGES_PER_SHARD)
    count = min(count, len(images))
    borders = [len(images) * index // count for index in range(count + 1)]
    return [
        PlannedShard(
            split=split,
            name=f"{stem}-{index:05}-of-{count:05}",
            images=tuple(images[borders[index] : borders[index + 1]]),
        )
        for index in range(count)
    ]
