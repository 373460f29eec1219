"""Tunes every topology from scratch and tabulates what it costs and gives."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# ONEDNN_MAX_CPU_ISA by the names that reports use.
CAPS = {"avx2": "AVX2", "avx512": "AVX512_CORE", "avx512_vnni": "AVX512_CORE_VNNI"}

EMBEDDED = ("ssd_shapes", "digits")
BROUGHT = {"fastestdet": "coco", "squeezenet": "imagenet", "mobilenet_v2": "imagenet"}

COLUMNS = (
    "network", "environment", "metric", "fp32", "int8", "lost %", "met", "evaluations",
    "search s", "wall s", "fp32 ms", "int8 ms", "speed-up", "fp32 groups",
)  # fmt: skip


def main() -> None:
    """Run and print."""
    options = _options()
    rows = []
    for isa in options.isa or ["host"]:
        for name in options.topology:
            row = tune(name, isa, options.data)
            if row is not None:
                rows.append(row)
                print(format_row(row), flush=True)
    print()
    print(table(rows))
    if options.output:
        options.output.write_text(json.dumps(rows, indent=2) + "\n")


def tune(name: str, isa: str, data: Path | None) -> dict[str, Any] | None:
    """Tune one topology in an empty folder; None if its files are not there."""
    command = [sys.executable, "-m", "lpot_examples", "tune", f"--topology={name}"]
    if name in BROUGHT:
        if data is None:
            print(f"{name}: SKIPPED, no --data", file=sys.stderr)
            return None
        command += [f"--input_model={data / 'models' / name}.pb"]
        command += [f"--dataset_location={data / BROUGHT[name]}"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / f"{name}-int8.pb"
        started = time.monotonic()
        done = subprocess.run(
            [*command, f"--output_model={output}"],
            cwd=folder,
            env=environment(isa),
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.monotonic() - started
        reports = sorted(Path(folder).glob("*.report.json"))
        if done.returncode not in (0, 2) or not reports:
            sys.exit(f"{name} failed with exit code {done.returncode}:\n{done.stderr[-2000:]}")
        return summarize(name, isa, json.loads(reports[0].read_text()), wall)


def environment(isa: str) -> dict[str, str]:
    """Return the environment that limits oneDNN to an instruction set."""
    level, _, onednn = isa.partition(":")
    found = dict(os.environ)
    root = str(Path(__file__).resolve().parents[1])
    found["PYTHONPATH"] = os.pathsep.join(filter(None, [root, found.get("PYTHONPATH")]))
    if level != "host":
        found["ONEDNN_MAX_CPU_ISA"] = CAPS[level]
    if onednn == "onednn_off":
        found["TF_ENABLE_ONEDNN_OPTS"] = "0"
    return found


def summarize(name: str, isa: str, report: dict[str, Any], wall: float) -> dict[str, Any]:
    """Pick the figures of a row from a report."""
    accuracy, search, latency = report["accuracy"], report["search"], report["latency_ms"]
    interval = latency["speedup_interval"]
    return {
        "network": name,
        "environment": isa,
        "metric": accuracy["metric"],
        "fp32": accuracy["fp32"],
        "int8": accuracy["int8"],
        "lost %": 100 * accuracy["drop_relative"],
        "met": accuracy["met"],
        "evaluations": search["full_evaluations"],
        "search s": search["seconds"],
        "wall s": wall,
        "fp32 ms": latency["fp32"]["p50"],
        "int8 ms": latency["int8"]["p50"],
        "speed-up": latency["speedup"],
        "speed-up interval": interval,
        "noise": latency["noise"],
        "fp32 groups": len(report["config"]["fp32"]),
        "config": report["config"],
        "host": report["host"],
        "versions": report["versions"],
    }


def format_row(row: dict[str, Any]) -> str:
    """Return a row of the table."""
    cells = []
    for column in COLUMNS:
        value = row[column]
        places = 4 if column in ("fp32", "int8") else 2
        cells.append(f"{value:.{places}f}" if isinstance(value, float) else str(value))
    return "| " + " | ".join(cells) + " |"


def table(rows: list[dict[str, Any]]) -> str:
    """Return all rows as a Markdown table."""
    head = "| " + " | ".join(COLUMNS) + " |"
    rule = "| " + " | ".join("---" for _ in COLUMNS) + " |"
    return "\n".join([head, rule, *map(format_row, rows)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("LPOT_REAL_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) if default else None)
    parser.add_argument("--output", type=Path, help="also write the rows as JSON")
    parser.add_argument("--isa", action="append", help="host, avx2, avx512_vnni, avx2:onednn_off")
    parser.add_argument(
        "--topology", action="append", choices=[*EMBEDDED, *BROUGHT], help="default: all"
    )
    options = parser.parse_args()
    options.topology = options.topology or [*EMBEDDED, *BROUGHT]
    return options


if __name__ == "__main__":
    main()
