"""Compares our int8 compiler with other compilers, in one table.

Every network is made once in six forms: fp32 as given, fp32 folded by our clean-up passes, our
int8, and the int8 of Neural Compressor, ONNX Runtime and OpenVINO with NNCF. All are calibrated
with the same 32 images. Then each network's forms are loaded, each in a process of its own on the
same cores, their outputs are compared with fp32, and they are timed in turns (A B C … A B C …).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from peers.columns import COLUMNS, PEERS, REFERENCE
from peers.measure import Plan, measure_network, result_key
from peers.networks import NETWORKS, missing
from peers.options import names
from peers.store import ROOT, Artifact, Store, make_work_folder
from peers.summary import summarize
from peers.tables import render
from peers.task import CHECK

from lpot_examples.benchmark.interleaved import Schedule
from lpot_examples.host import available_cores, host_info, library_versions
from lpot_examples.workspace import replacing

_EXAMPLES = """
examples:
  everything; the first run makes the peers' environment and all models
    PYTHONPATH=. .venv/bin/python benchmarks/compile_peers.py --data=FOLDER --json=result.json
  make what is missing now, measure later, when nothing else runs
    PYTHONPATH=. nice .venv/bin/python benchmarks/compile_peers.py --data=FOLDER --prepare-only
  a quick look at two networks
    … benchmarks/compile_peers.py --networks=resnet50,ssd_shapes --batch=1 --rounds=6
  only fp32 and ours
    … benchmarks/compile_peers.py --skip-peers=all
  as on a CPU with less
    ONEDNN_MAX_CPU_ISA=AVX2 TF_ENABLE_ONEDNN_OPTS=1 … benchmarks/compile_peers.py
"""


def main() -> None:
    """Prepare, measure and print."""
    options = _options()
    store = Store(
        work=make_work_folder(options.work),
        data=options.data.resolve() if options.data else None,
        cores=available_cores()[: options.threads],
        timeout=options.make_timeout,
        retry=options.retry,
    )
    skipped = {name: why for name in options.networks if (why := missing(name, options.data))}
    networks = [name for name in options.networks if name not in skipped]
    columns = [name for name in COLUMNS if name not in options.skip_peers]
    for name, why in skipped.items():
        print(f"{name}: SKIPPED, {why}", flush=True)
    print("Preparing…", flush=True)
    made = {name: _prepare(store, name, columns) for name in networks}
    if options.prepare_only:
        return
    started = time.monotonic()
    results = [_measured(store, name, made[name], options) for name in networks]
    report = {
        "columns": columns,
        "batches": options.batch,
        "cores": list(store.cores),
        "rounds": options.rounds,
        "nice": os.nice(0),
        "host": host_info().to_dict(),
        "versions": library_versions(),
        "seconds": time.monotonic() - started,
        "skipped": skipped,
        "summary": summarize(results),
        "results": results,
    }
    if options.json:
        _write(options.json, report)
    print(render(report, markdown=options.markdown))


def _prepare(store: Store, network: str, columns: list[str]) -> dict[str, Artifact]:
    made = {name: store.artifact(network, name) for name in columns}
    for name, artifact in made.items():
        if artifact.error:
            print(f"  {network}: {COLUMNS[name].title} FAILED: {artifact.error}", flush=True)
    return made


def _measured(
    store: Store, network: str, made: dict[str, Artifact], options: argparse.Namespace
) -> dict[str, Any]:
    """Measure a network, or read what an interrupted run of the same measured."""
    plan = Plan(
        batches=tuple(options.batch),
        schedule=Schedule(rounds=options.rounds, max_seconds=options.max_seconds),
        timeout=options.timeout,
    )
    key = result_key(made, plan, store.cores)
    file = store.work / "results" / f"{network}.json"
    if options.resume and file.is_file():
        earlier: dict[str, Any] = json.loads(file.read_text())
        if earlier["key"] == key:
            print(f"{network}: measured before", flush=True)
            return earlier
    print(f"{network}: measuring…", flush=True)
    result = {"key": key, **measure_network(store, network, made, plan)}
    file.parent.mkdir(exist_ok=True)
    _write(file, result)
    return result


def _write(file: Path, value: object) -> None:
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = os.environ.get("LPOT_REAL_DATA")
    add("--networks", type=names(NETWORKS), default=list(NETWORKS), metavar="A,B",
        help=f"of {', '.join(NETWORKS)}; default: all")  # fmt: skip
    add("--batch", type=_batches, default=[1, 8], metavar="1,8", help="batch sizes")
    add("--rounds", type=int, default=20, help="rounds of each batch size (default 20)")
    add("--max-seconds", type=float, default=40.0, metavar="S",
        help="last start of a round, once there are six (default 40)")  # fmt: skip
    add("--threads", type=int, default=2, help="cores, with a thread on each (default 2)")
    add("--skip-peers", type=names({**COLUMNS, "all": 0}), default=[], metavar="A,B",
        help=f"of {', '.join(PEERS)}; or all")  # fmt: skip
    add("--data", type=Path, default=Path(data) if data else None, metavar="FOLDER",
        help="models/*.pb, coco/, imagenet/ for trained networks ($LPOT_REAL_DATA)")  # fmt: skip
    add("--work", type=Path, default=ROOT / "benchmarks" / ".work", metavar="FOLDER",
        help="keeps environments, models, results (default benchmarks/.work)")  # fmt: skip
    add("--prepare-only", action="store_true", help="make environments and models, then end")
    add("--retry", action="store_true", help="try again to make what failed before")
    add("--resume", action="store_true",
        help="keep the networks that an interrupted run of the same measured")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    add("--markdown", action="store_true", help="tables for a document")
    add("--make-timeout", type=float, default=1800.0, metavar="S",
        help="a peer that takes longer to make a model has failed (default 1800)")  # fmt: skip
    add("--timeout", type=float, default=300.0, metavar="S",
        help="a model that takes longer to load or run has failed (default 300)")  # fmt: skip
    options = parser.parse_args()
    if "all" in options.skip_peers:
        options.skip_peers = list(PEERS)
    if REFERENCE in options.skip_peers:
        parser.error(f"{REFERENCE} is what the others are compared with; it cannot be skipped")
    return options


def _batches(text: str) -> list[int]:
    try:
        sizes = [int(size) for size in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or any(size < 1 or CHECK % size for size in sizes):
        raise argparse.ArgumentTypeError(f"sizes that divide {CHECK}, such as 1,8; got '{text}'")
    return sizes


if __name__ == "__main__":
    main()
