"""How fast records are written and read, beside two processes of plain tf.io.TFRecordWriter.

Two processes hold both writers. In turns each process writes its half of the images of a COCO
folder (repeated until there are enough):

* ``images``: from image files to shards. Ours is the code of prepare_dataset.sh with its checks;
  plain reads the same files, fills a tf.train.Example with the same features (the SHA-256 of the
  image too) and checks nothing. The records are equal byte for byte, which is verified.
* ``records``: the same serialized records from memory to shards.

A turn lasts from the signal to both processes until the slower one is done, so imports and start
are not in it; a first turn of each kind is not counted. Afterwards one process reads the shards:
bytes alone, features too, and images decoded too, and tf.data.TFRecordDataset the bytes. Files go
to --folder; on a disk that is slower than the writers, it is the disk that is measured.

    python benchmarks/record_throughput.py --source coco/ --images 4000 --rounds 9
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lpot_examples.data.records.example import make_example, parse_example
from lpot_examples.data.records.features import RecordOptions, features
from lpot_examples.data.records.images import decoded_size
from lpot_examples.data.records.plan import PlannedShard
from lpot_examples.data.records.reader import read_records
from lpot_examples.data.records.shard import ShardTask, write_record, write_shard
from lpot_examples.data.records.writer import write_records
from lpot_examples.data.sources.annotated import AnnotatedImage, Troubles
from lpot_examples.data.sources.coco import open_coco

PROCESSES = 2
OPTIONS = RecordOptions(dataset="coco")
KINDS = ("ours images", "plain images", "ours records", "plain records")


def main() -> None:
    """Run and print."""
    options = _options()
    images = repeated(options.source, options.images)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        seconds = written(images, folder, rounds=options.rounds)
        shards = sorted(folder.glob("ours images-*-of-00002"))
        row: dict[str, Any] = {
            "images": len(images),
            "megabytes": round(sum(path.stat().st_size for path in shards) / 1e6, 1),
            "rounds": options.rounds,
            "writing": summary(seconds, len(images)),
            "conversion": conversion(images, folder / "conversion"),
            "reading": reading(shards, rounds=options.rounds),
        }
    print(json.dumps(row, indent=1))
    if options.output:
        options.output.write_text(json.dumps(row, indent=1) + "\n")


def repeated(source: Path, count: int) -> tuple[AnnotatedImage, ...]:
    """Return so many images of a COCO folder, each with an id of its own."""
    splits = open_coco(source, troubles=Troubles()).splits
    images = [image for split in splits.values() for image in split]
    return tuple(
        replace(images[number % len(images)], source_id=str(number)) for number in range(count)
    )


def written(
    images: Sequence[AnnotatedImage], folder: Path, *, rounds: int
) -> dict[str, list[float]]:
    """Let two processes write in turns; return the seconds of each round by kind."""
    context = get_context("spawn")
    lines, children = [], []
    for number in range(PROCESSES):
        line, far = context.Pipe()
        share = images[number::PROCESSES]
        child = context.Process(target=_child, args=(far, share, folder, number), daemon=True)
        child.start()
        lines.append(line)
        children.append(child)
    for line in lines:
        line.recv()  # everything is imported
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for counted in range(-1, rounds):
        for kind in KINDS:
            for path in folder.glob(f"{kind}-*"):
                path.unlink()  # to replace a file costs more than to make one
            start = time.perf_counter()
            for line in lines:
                line.send(kind)
            for line in lines:
                line.recv()
            if counted >= 0:
                seconds[kind].append(time.perf_counter() - start)
    for line, child in zip(lines, children, strict=True):
        line.send("")
        child.join()
    for number in range(PROCESSES):
        contents = {_digest(folder / f"{kind}-{number:05}-of-00002") for kind in KINDS}
        if len(contents) != 1:
            raise SystemExit(f"The writers of process {number} wrote different files.")
    return seconds


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _child(line: Connection, images: tuple[AnnotatedImage, ...], folder: Path, number: int) -> None:
    """Write when told to."""
    import tensorflow as tf

    def path(kind: str) -> Path:
        return folder / f"{kind}-{number:05}-of-00002"

    serialized = [_ours_serialized(image) for image in images]
    work: dict[str, Callable[[], None]] = {
        "ours images": lambda: _ours_images(images, path("ours images")),
        "plain images": lambda: _plain(tf, map(_Plain(tf), images), path("plain images")),
        "ours records": lambda: _ours_records(serialized, path("ours records")),
        "plain records": lambda: _plain(tf, iter(serialized), path("plain records")),
    }
    line.send("ready")
    while kind := line.recv():
        work[kind]()
        line.send(kind)


def _ours_serialized(image: AnnotatedImage) -> bytes:
    return make_example(features(image, OPTIONS, troubles=Troubles(), notes=[]))


def _ours_images(images: tuple[AnnotatedImage, ...], target: Path) -> None:
    manifest = target.with_name(f"{target.name}.json")
    write_shard(ShardTask(target=target, manifest=manifest, images=images, options=OPTIONS))


def _ours_records(records: Sequence[bytes], target: Path) -> None:
    with target.open("wb", buffering=1 << 20) as file:
        for record in records:
            write_record(file, record)


def _plain(tf: Any, records: Iterator[bytes], target: Path) -> None:
    with tf.io.TFRecordWriter(str(target)) as writer:
        for record in records:
            writer.write(record)


class _Plain:
    """Makes a record as a script around tf.train.Example does."""

    def __init__(self, tf: Any) -> None:
        self._train = tf.train

    def __call__(self, image: AnnotatedImage) -> bytes:
        assert image.size is not None
        data = image.content.path.read_bytes()
        width, height = image.size
        boxes = [item.box for item in image.objects]
        example = self._train.Example(
            features=self._train.Features(
                feature={
                    "image/encoded": self._bytes([data]),
                    "image/format": self._bytes([b"jpeg"]),
                    "image/filename": self._bytes([image.filename.encode()]),
                    "image/source_id": self._bytes([image.source_id.encode()]),
                    "image/key/sha256": self._bytes([hashlib.sha256(data).hexdigest().encode()]),
                    "image/height": self._whole([height]),
                    "image/width": self._whole([width]),
                    "image/object/bbox/xmin": self._numbers([box[0] / width for box in boxes]),
                    "image/object/bbox/ymin": self._numbers([box[1] / height for box in boxes]),
                    "image/object/bbox/xmax": self._numbers([box[2] / width for box in boxes]),
                    "image/object/bbox/ymax": self._numbers([box[3] / height for box in boxes]),
                    "image/object/class/text": self._bytes(
                        [item.text.encode() for item in image.objects]
                    ),
                    "image/object/class/label": self._whole([o.label for o in image.objects]),
                    "image/object/is_crowd": self._whole([int(o.crowd) for o in image.objects]),
                    "image/object/area": self._numbers([o.area for o in image.objects]),
                }
            )
        )
        serialized: bytes = example.SerializeToString(deterministic=True)
        return serialized

    def _bytes(self, values: list[bytes]) -> Any:
        return self._train.Feature(bytes_list=self._train.BytesList(value=values))

    def _whole(self, values: list[Any]) -> Any:
        return self._train.Feature(int64_list=self._train.Int64List(value=values))

    def _numbers(self, values: list[Any]) -> Any:
        return self._train.Feature(float_list=self._train.FloatList(value=values))


def summary(seconds: dict[str, list[float]], count: int) -> dict[str, Any]:
    """Return rates, and how much of the plain writer's rate ours reaches, by round."""
    result: dict[str, Any] = {
        f"{kind}, per second": round(count / statistics.median(rounds))
        for kind, rounds in seconds.items()
    }
    for stage in ("images", "records"):
        pairs = zip(seconds[f"plain {stage}"], seconds[f"ours {stage}"], strict=True)
        shares = sorted(plain / ours for plain, ours in pairs)
        result[f"{stage}: share of plain"] = round(statistics.median(shares), 3)
        result[f"{stage}: lowest and highest"] = [round(shares[0], 3), round(shares[-1], 3)]
    return result


def conversion(images: tuple[AnnotatedImage, ...], folder: Path) -> dict[str, Any]:
    """Write with ``write_records`` as the command does, from starting its processes to the end."""
    shards = [
        PlannedShard(split="", name=f"c-{n:05}-of-00008", images=images[n::8]) for n in range(8)
    ]
    start = time.perf_counter()
    write_records(shards, folder, OPTIONS, workers=PROCESSES)
    seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 2), "images per second": round(len(images) / seconds)}


def reading(shards: Sequence[Path], *, rounds: int) -> dict[str, int]:
    """Return how many records a second one process reads, in turns."""
    import tensorflow as tf

    def width(record: bytes) -> int:
        return decoded_size(parse_example(record)["image/encoded"][0], place="record")[0]

    ways: dict[str, Callable[[Path], int]] = {
        "bytes": lambda path: sum(1 for _ in read_records(path)),
        "bytes, tf.data": lambda path: sum(1 for _ in tf.data.TFRecordDataset(str(path))),
        "features": lambda path: sum(1 for record in read_records(path) if parse_example(record)),
        "images": lambda path: sum(width(record) > 0 for record in read_records(path)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    count = 0
    for counted in range(-1, rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            count = sum(way(path) for path in shards)
            if counted >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: round(count / statistics.median(taken)) for name, taken in seconds.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="a folder in COCO layout")
    parser.add_argument("--images", type=int, default=4000, help="how many to write a round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="where to write (default: the temporary one)")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
