"""Whether reading and preprocessing images keeps up with the network that is calibrated on them.

Photographs come through the yaml's data sets, as files (COCORaw) and as records (COCORecord), with
ResizeCropImagenet, into the calibration of MobileNetV2 of seeded random weights, a small network.
For each: images a second of the loader alone, at its first pass and from memory; of plain fp32
inference on images in memory and while images are read, and the share of that time in which it
waited for one; of calibration, likewise. Calibration takes its batches in a thread of its own, so
that there only the rate tells whether it waited. Reading and the network share the cores, so that
together they are slower than the network alone, by the time that decoding takes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from calibration_cost import networks  # noqa: E402

TRANSFORM = {
    "ResizeCropImagenet": {"height": 224, "width": 224, "mean_value": [127.5], "scale": 1 / 127.5}
}
HEADER = "dataset batch images | images/s of the loader: first pass, from memory | "
HEADER += "of inference: from memory, reading (waiting) | of calibration: from memory, reading"

Batch = dict[str, Any]


class Watched:
    """Batches, and how long their consumer waited for them."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = batches
        self.waited = 0.0

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches."""
        iterator = iter(self._batches)
        while True:
            start = time.perf_counter()
            batch = next(iterator, None)
            self.waited += time.perf_counter() - start
            if batch is None:
                return
            yield batch


def main() -> None:
    """Run and print."""
    options = _options()
    rows = []
    print(HEADER)
    with tempfile.TemporaryDirectory() as folder:
        coco = options.data / "coco" if options.data else _made_up(Path(folder), options.images)
        records = _records(coco, Path(folder) / "records")
        sections = {
            "COCORaw": {"COCORaw": {"root": str(coco)}},
            "COCORecord": {"COCORecord": {"root": str(records)}},
        }
        for path, _ in networks(["mobilenet_v2"], None):
            for name, dataset in sections.items():
                for batch in options.batch:
                    row = measure(path, dataset, batch=batch, images=options.images)
                    several = [row] + [
                        measure(path, dataset, batch=batch, images=options.images)
                        for _ in range(options.rounds - 1)
                    ]
                    rows.append({"dataset": name, **_median(several)})
                    print(line(rows[-1]), flush=True)
    if options.output:
        options.output.write_text(json.dumps(rows, indent=2) + "\n")


def measure(path: Path, dataset: dict[str, Any], *, batch: int, images: int) -> dict[str, float]:
    """Measure one data set once, each pass in a session of its own."""
    from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
    from lpot_examples.backends.tensorflow.model import load_model
    from lpot_examples.calibration.feed import batches
    from lpot_examples.data.pipeline import build_dataloader
    from lpot_examples.host import INSTRUCTION_SETS, host_info
    from lpot_examples.spec.evaluation import Dataloader

    model = load_model(path)
    backend = TensorFlowBackend(model, INSTRUCTION_SETS[host_info().isa])
    section = {"dataset": dataset, "transform": TRANSFORM, "batch_size": batch}

    def loader(cache_bytes: int = 1 << 30) -> Any:
        return build_dataloader(
            Dataloader.model_validate(section),
            dataset_location=None,
            base=Path(),
            limit=images,
            split="validation",
            cache_bytes=cache_bytes,
        )

    reader = loader()
    found = {"first_pass": _rate(reader, len), "from_memory": _rate(reader, len)}
    memory = list(batches(reader, backend.input_spec, limit=images))
    backend.calibrate(memory[:1], sizes=[batch])
    count = sum(len(next(iter(one.values()))) for one in memory)
    found["inference"] = _rate(memory, model)
    start = time.perf_counter()
    backend.calibrate(memory, sizes=[count])
    found["calibration"] = count / (time.perf_counter() - start)
    start = time.perf_counter()
    backend.calibrate(
        batches(loader(cache_bytes=0), backend.input_spec, limit=images), sizes=[count]
    )
    found["calibration_reading"] = count / (time.perf_counter() - start)
    watched = Watched(batches(loader(cache_bytes=0), backend.input_spec, limit=images))
    found["inference_reading"] = _rate(watched, model)
    found["waiting"] = watched.waited * found["inference_reading"] / count
    model.close()
    return {"batch": batch, "images": count, **found}


def line(row: dict[str, Any]) -> str:
    """Return a row as text."""
    return (
        f"{row['dataset']} {row['batch']:.0f} {row['images']:.0f} | {row['first_pass']:.0f} "
        f"{row['from_memory']:.0f} | {row['inference']:.0f} {row['inference_reading']:.0f} "
        f"({row['waiting']:.1%}) | {row['calibration']:.0f} {row['calibration_reading']:.0f}"
    )


def _rate(batches: Iterable[Any], run: Any) -> float:
    """Return images a second of a consumer of batches."""
    count, start = 0, time.perf_counter()
    for batch in batches:
        inputs = batch if isinstance(batch, dict) else {"": batch[0]}
        count += len(next(iter(inputs.values())))
        run(batch)
    return count / (time.perf_counter() - start)


def _median(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def _records(coco: Path, folder: Path) -> Path:
    from lpot_examples.data.records.convert import convert
    from lpot_examples.data.records.features import RecordOptions
    from lpot_examples.data.records.plan import Division
    from lpot_examples.data.sources.annotated import Troubles
    from lpot_examples.data.sources.coco import open_coco

    troubles = Troubles()
    convert(
        open_coco(coco, troubles=troubles, splits=["val2017"]),
        folder,
        division=Division(num_shards=2),
        options=RecordOptions(dataset="coco"),
        troubles=troubles,
    )
    return folder


def _made_up(folder: Path, count: int) -> Path:
    """Write JPEG files of 640x480 with as much detail as photographs have, in COCO layout."""
    from PIL import Image

    dice = np.random.default_rng(0)
    images, root = [], folder / "coco"
    (root / "val2017").mkdir(parents=True)
    (root / "annotations").mkdir()
    for number in range(1, count + 1):
        coarse = dice.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(coarse).resize((640, 480)), np.int16)
        noise = dice.integers(-20, 21, picture.shape)
        name = f"{number:012}.jpg"
        Image.fromarray(np.clip(picture + noise, 0, 255).astype(np.uint8)).save(
            root / "val2017" / name, quality=90
        )
        images.append({"id": number, "file_name": name, "width": 640, "height": 480})
    content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return root


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=os.environ.get("LPOT_REAL_DATA"))
    parser.add_argument("--output", type=Path, help="write the rows as JSON")
    options = parser.parse_args()
    options.data = Path(options.data) if options.data else None
    return options


if __name__ == "__main__":
    main()
