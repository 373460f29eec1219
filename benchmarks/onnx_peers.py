"""Compares our int8 of ONNX networks with ONNX Runtime's and NNCF's, on both runtimes.

For each network: our tuning at the topology's bar, ``quantize_static`` of ONNX Runtime with each of
its calibrations, and NNCF's default quantization, all calibrated with the same 64 images. Every
file's accuracy is measured on each runtime that reads it, and latencies in turns, A B C … A B C …,
by this project's own ``benchmark --runtime``. A second table says what calibrating costs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from peers.environments import python
from peers.onnx_make import MAKERS
from peers.options import names
from peers.store import ROOT, environment, make_work_folder

from lpot_examples.benchmark.stats import median_interval
from lpot_examples.host import INSTRUCTION_SETS, available_cores, host_info, library_versions
from lpot_examples.workspace import replacing
from lpot_examples.zoo.topologies import find_topology

NETWORKS = {"fastestdet": "coco", "squeezenet": "imagenet"}
"""Topologies whose ``.onnx`` files the user's data holds, with the folder of their dataset."""

IMAGES = 64
CALIBRATIONS = ("ours", "MinMax", "Entropy", "Percentile")
_OURS = "ours.onnx"
_EXAMPLES = """
examples:
  everything; the first run makes the peers' environment (3 GB)
    PYTHONPATH=. .venv/bin/python benchmarks/onnx_peers.py --data=FOLDER --json=onnx.json
  only what calibrating costs, in 5 rounds
    … benchmarks/onnx_peers.py --data=FOLDER --parts=calibration --rounds=5
  make all files now (may run under nice), measure later
    … benchmarks/onnx_peers.py --data=FOLDER --parts=make
"""


def main() -> None:
    """Make, measure and print."""
    options = _options()
    work = make_work_folder(options.work) / "onnx"
    report: dict[str, Any] = {
        "host": host_info().to_dict(),
        "versions": library_versions(),
        "networks": {},
    }
    for name in options.networks:
        fp32 = options.data / "models" / f"{name}.onnx"
        if not fp32.is_file():
            print(f"{name}: SKIPPED, needs models/{name}.onnx in the folder of --data", flush=True)
            continue
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        found: dict[str, Any] = {}
        report["networks"][name] = found
        _images(name, folder, options.data)
        if {"make", "measure"} & set(options.parts):
            found["made"] = _make(name, fp32, folder, options)
        if "measure" in options.parts:
            found["measured"] = _measure(name, fp32, folder, options)
            print(_measured_table(name, found), flush=True)
        if "calibration" in options.parts:
            found["calibration"] = _calibrate(fp32, folder, options)
            print(_calibration_table(name, found["calibration"]), flush=True)
        if options.json:
            with replacing(options.json) as temporary:
                temporary.write_text(json.dumps(report, indent=2) + "\n")


def _images(name: str, folder: Path, data: Path) -> None:
    """Write the calibration images, [64, channels, height, width]."""
    loader = find_topology(name).q_dataloader(data / NETWORKS[name], batch_size=1)
    images = [np.asarray(batch) for batch, _ in islice(iter(loader), IMAGES)]
    np.save(
        folder / "images.npy", np.ascontiguousarray(np.concatenate(images).transpose(0, 3, 1, 2))
    )


def _make(name: str, fp32: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Make what is missing; ours always, because it follows the code."""
    for tool in MAKERS:
        target = _file(folder, tool)
        key = hashlib.sha256(
            fp32.read_bytes()
            + (folder / "images.npy").read_bytes()
            + (ROOT / "benchmarks/peers/onnx_make.py").read_bytes()
        ).hexdigest()
        note = folder / f"{tool}.key"
        if target.is_file() and note.is_file() and note.read_text() == key:
            continue
        print(f"{name}: making {target.name}…", flush=True)
        job = {
            "tool": tool,
            "fp32": str(fp32),
            "images": str(folder / "images.npy"),
            "target": str(target),
            # What ONNX Runtime's documentation advises for CPUs without VNNI.
            "reduce_range": INSTRUCTION_SETS[host_info().cpu_isa].u8s8_saturates,
        }
        interpreter = python("peers", make_work_folder(options.work))
        _run([str(interpreter), "-P", "-m", "peers.onnx_make"], job, folder / f"{tool}.json")
        note.write_text(key)
    print(f"{name}: tuning…", flush=True)
    shutil.rmtree(folder / "workspace", ignore_errors=True)
    command = [
        *(sys.executable, "-P", "-m", "lpot_examples", "tune"),
        f"--topology={name}",
        f"--input_model={fp32}",
        f"--dataset_location={options.data / NETWORKS[name]}",
        f"--output_model={folder / _OURS}",
        f"--workspace={folder / 'workspace'}",
    ]
    _checked(command, folder / "ours.log")
    report = json.loads((folder / "ours.report.json").read_text())
    return {"search": report["search"], "accuracy": report["accuracy"]}


def _measure(name: str, fp32: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    files = [fp32, folder / _OURS, *(_file(folder, tool) for tool in MAKERS)]
    target = folder / "measured.json"
    print(f"{name}: measuring {len(files)} files…", flush=True)
    command = [
        *(sys.executable, "-P", "-m", "lpot_examples", "benchmark"),
        f"--topology={name}",
        f"--input_model={','.join(map(str, files))}",
        f"--dataset_location={options.data / NETWORKS[name]}",
        "--runtime=onnxruntime,openvino",
        f"--output_json={target}",
    ]
    _checked(command, folder / "measured.log")
    found: dict[str, Any] = json.loads(target.read_text())
    return found


def _calibrate(fp32: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run every calibration in a fresh process, in turns."""
    from peers.onnx_make import prepared

    plain = prepared(fp32, folder)
    rows: dict[str, list[dict[str, float]]] = {tool: [] for tool in CALIBRATIONS}
    for number in range(options.rounds):
        for tool in (*CALIBRATIONS[number % 2 :], *CALIBRATIONS[: number % 2]):
            job = {
                "tool": tool,
                "network": str(fp32 if tool == "ours" else plain),
                "images": str(folder / "images.npy"),
                "cores": list(available_cores()[:2]),
            }
            command = [sys.executable, "-P", "-m", "peers.onnx_calibration"]
            said = _run(command, job, folder / "calibration.json")
            rows[tool].append(json.loads(said.splitlines()[-1]))
    return {
        tool: {key: statistics.median(row[key] for row in several) for key in several[0]}
        for tool, several in rows.items()
    }


def _measured_table(name: str, found: Mapping[str, Any]) -> str:
    lines = [
        f"\n{name}",
        "| file | runtime | accuracy | p50, ms | ours / this |",
        "|---|---|---|---|---|",
    ]
    models = found["measured"]["models"]
    for one in models.values():
        if not one.get("latency_ms"):
            continue
        ours = next(
            other
            for other in models.values()
            if other["runtime"] == one["runtime"] and Path(other["path"]).name == _OURS
        )
        mine = np.array(ours["latency_ms"]["round_medians"])
        ratios = mine / np.array(one["latency_ms"]["round_medians"])
        span = median_interval(ratios)
        score = (one.get("accuracy") or {}).get("score")
        lines.append(
            f"| {Path(one['path']).name} | {one['runtime']} | "
            f"{'' if score is None else f'{score:.4f}'} | {one['latency_ms']['p50']:.2f} | "
            f"{np.median(ratios):.2f} ({span.low:.2f}–{span.high:.2f}) |"
        )
    return "\n".join(lines)


def _calibration_table(name: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    lines = [
        f"\n{name}: {IMAGES} images",
        "| calibration | s | CPU s | peak MB | tensors |",
        "|---|---|---|---|---|",
    ]
    for tool, one in rows.items():
        lines.append(
            f"| {tool} | {one['seconds']:.2f} | {one['cpu']:.2f} | {one['peak_mb']:.0f} | "
            f"{one['tensors']:.0f} |"
        )
    return "\n".join(lines)


def _file(folder: Path, tool: str) -> Path:
    return folder / f"{tool}.{'xml' if tool == 'nncf' else 'onnx'}"


def _run(command: list[str], job: Mapping[str, Any], file: Path) -> str:
    file.write_text(json.dumps(job, indent=2) + "\n")
    return _checked([*command, str(file)], file.with_suffix(".log"))


def _checked(command: list[str], log: Path) -> str:
    variables = environment(threads=len(available_cores()[:2]))
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=variables, cwd=ROOT
    )
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}; see {log}")
    return done.stdout


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = os.environ.get("LPOT_REAL_DATA")
    parts = ("make", "measure", "calibration")
    add("--data", type=Path, default=Path(data) if data else None, metavar="FOLDER",
        help="models/*.onnx, coco/, imagenet/ ($LPOT_REAL_DATA)")  # fmt: skip
    add("--networks", type=names(NETWORKS), default=list(NETWORKS), metavar="A,B",
        help=f"of {', '.join(NETWORKS)}; default: all")  # fmt: skip
    add("--parts", type=names(parts), default=["measure", "calibration"], metavar="A,B",
        help=f"of {', '.join(parts)}; default: measure,calibration")  # fmt: skip
    add("--rounds", type=int, default=3, help="runs of each calibration (default 3)")
    add("--work", type=Path, default=ROOT / "benchmarks" / ".work", metavar="FOLDER",
        help="keeps environments and files (default benchmarks/.work)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    options = parser.parse_args()
    if options.data is None or not options.data.is_dir():
        parser.error("--data=FOLDER with models/*.onnx is required")
    options.data = options.data.resolve()
    return options


if __name__ == "__main__":
    main()
