"""From ``dataloader`` in a yaml to batches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lpot_examples.data.pipeline.loader import PipelineLoader
from lpot_examples.data.pipeline.parsing import PARSERS
from lpot_examples.data.pipeline.places import Places
from lpot_examples.data.pipeline.postprocess import LabelShift, Postprocess
from lpot_examples.data.pipeline.registry import (
    DATASETS,
    FILTERS,
    POSTPROCESS_TRANSFORMS,
    TRANSFORMS,
    find,
)
from lpot_examples.data.pipeline.transform import DEFAULT_SEED
from lpot_examples.data.pipeline.transformed import Transformed
from lpot_examples.data.prefetch import CACHE_BYTES
from lpot_examples.spec.evaluation import Dataloader


def build_dataloader(
    dataloader: Dataloader,
    *,
    dataset_location: Path | None,
    base: Path,
    limit: int | None = None,
    split: Literal["train", "validation"] | None = None,
    seed: int = DEFAULT_SEED,
    dtype: Any = None,
    cache_bytes: int = CACHE_BYTES,
    where: str = "dataloader",
) -> PipelineLoader:
    """Make what a yaml describes.

    Args:
        dataloader: The section, of calibration, accuracy or performance.
        dataset_location: ``--dataset_location``; it replaces the data set's root.
        base: The yaml's folder, which relative paths are looked up in first; the current directory
            comes second.
        limit: Only the first samples; all when None.
        split: Which shards are meant where a folder holds several sets: ``train`` for calibration,
            ``validation`` for evaluation.
        seed: The spec's ``tuning.random_seed``: random transforms and ``shuffle`` depend on it.
        dtype: The type that the network's input takes; images are given in it, rounded and kept
            within its range where it holds whole numbers. As the transforms leave them when None.
        cache_bytes: Memory for transformed images, bytes.
        where: The section's key, for messages, such as ``evaluation.accuracy.dataloader``.

    Raises:
        SpecError: If a name is not served or an argument is unusable; with its key, what it must
            be and what came.
        DataError: If files are missing or malformed.
    """
    transforms = [
        find(TRANSFORMS, name, where=f"{where}.transform").read(
            values, where=f"{where}.transform.{name}"
        )
        for name, values in dataloader.transform.items()
    ]
    filters = [
        find(FILTERS, name, where=f"{where}.filter").read(values, where=f"{where}.filter.{name}")
        for name, values in dataloader.filter.items()
    ]
    ((name, values),) = dataloader.dataset.items()
    key = f"{where}.dataset.{name}"
    places = Places(
        where=key,
        base=base,
        location=dataset_location,
        split=split,
        parse=next((one for one in dataloader.transform if one in PARSERS), None),
    )
    opened = find(DATASETS, name, where=f"{where}.dataset").read(values, where=key).open(places)
    samples = Transformed(opened, transforms, filters=filters, seed=seed, dtype=dtype, where=where)
    return PipelineLoader(
        samples,
        batch_size=dataloader.batch_size,
        drop_last=dataloader.last_batch == "discard",
        shuffle=dataloader.shuffle,
        limit=limit,
        seed=seed,
        cache_bytes=cache_bytes,
        where=where,
    )


def build_postprocess(
    transforms: Mapping[str, Any], *, where: str = "postprocess.transform"
) -> tuple[Postprocess, ...]:
    """Make what ``postprocess.transform`` describes; each is a function of (outputs, labels).

    Args:
        transforms: Name → arguments; ``LabelShift: 1`` is a short form.
        where: The key, for messages.

    Raises:
        SpecError: If a name is not served or an argument is unusable.
    """
    found = []
    for name, values in transforms.items():
        made = find(POSTPROCESS_TRANSFORMS, name, where=where)
        if made is LabelShift and not isinstance(values, Mapping):
            values = {"label_shift": values}
        found.append(made.read(values, where=f"{where}.{name}"))
    return tuple(found)
