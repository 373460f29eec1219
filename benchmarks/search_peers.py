"""Compares searches for the fastest model above an accuracy bar, in one table.

Every tool searches every network for every bar, each in fresh processes and from nothing. A row
says what that cost (evaluations of the whole set, the fp32 network's included; seconds), what was
found (accuracy of the file that was written) and how fast it is, timed in turns with fp32 and with
everything in int8, as made and run by the same tool. On networks of few groups the best of all
subsets of groups in fp32 is found as well and compared with ours.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from peers.options import names
from peers.search_run import TOOLS, Settings, run_row
from peers.search_tables import render
from peers.search_task import ENUMERABLE, TOPOLOGIES, Row, missing, subject
from peers.store import ROOT, make_work_folder

from lpot_examples.benchmark.load import ForeignLoad
from lpot_examples.host import available_cores, host_info, library_versions
from lpot_examples.workspace import replacing

_EXAMPLES = """
examples:
  everything; the first run makes the peers' environments
    PYTHONPATH=. .venv/bin/python benchmarks/search_peers.py --data=FOLDER --json=search.json
  go on after an interruption: the same command; rows that are there are not run again
  ours again, after a change of the code; what peers did is kept
    … benchmarks/search_peers.py --tools=ours,basic,exhaustive --data=FOLDER
  the table of what is there, without running anything
    … benchmarks/search_peers.py --data=FOLDER --show
  how far from the optimum
    … benchmarks/search_peers.py --topologies=digits,small_random --tools=ours,exhaustive
"""

# What a result depends on beside the code: how kernels are chosen.
_VARIABLES = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")


def main() -> None:
    """Run what is missing and print the table."""
    options = _options()
    work = make_work_folder(options.work)
    settings = Settings(
        work=work,
        cores=available_cores()[: options.threads],
        timeout=options.timeout,
        rounds=options.rounds,
        max_trials=options.max_trials,
    )
    data = options.data.resolve() if options.data else None
    rows, skipped = [], {}
    for name in options.topologies:
        why = missing(name, data)
        if why:
            skipped[name] = why
            print(f"{name}: SKIPPED, {why}", flush=True)
            continue
        network = subject(name, data=data, work=work)
        for bar in options.bars:
            for tool in _tools(name, options.tools):
                folder = work / "search" / name / f"{bar:g}" / tool
                row = Row(subject=network, bar=bar, tool=tool, folder=folder)
                found = _row(row, settings, options)
                if found is not None:
                    rows.append(found)
                _write_all(options, settings, rows, skipped)
    print("\n" + render(rows))


def _tools(network: str, wanted: list[str]) -> list[str]:
    return [
        tool for tool in TOOLS if tool in wanted and (tool != "exhaustive" or network in ENUMERABLE)
    ]


def _row(row: Row, settings: Settings, options: argparse.Namespace) -> dict[str, Any] | None:
    """Return a row that is there, or run it."""
    file, key = row.folder / "row.json", _key(row, settings)
    if file.is_file():
        earlier: dict[str, Any] = json.loads(file.read_text())
        if options.show or (earlier["key"] == key and not options.again):
            return earlier
    if options.show:
        return None
    label = f"{row.subject.name}, {row.bar:.1%}, {TOOLS[row.tool].title}"
    print(f"{label}…", end=" ", flush=True)
    load = ForeignLoad(settings.cores)
    load.start(own_seconds=_own_seconds())
    started = time.monotonic()
    found = run_row(row, settings)
    found |= {"key": key, "foreign": load.share(own_seconds=_own_seconds())}
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n")
    print(f"{found['status']} ({time.monotonic() - started:.0f} s)", flush=True)
    return found


def _key(row: Row, settings: Settings) -> str:
    """Return a hash of all that a row depends on: for our tools, of our code too."""
    here = Path(__file__).resolve().parent / "peers"
    # What renders tables and the command line change no row.
    files = sorted({*here.glob("search_*.py"), *here.glob("requirements-*.txt")})
    files = [file for file in files if file.name != "search_tables.py"]
    files += [*sorted(row.subject.topology.folder.glob("*.*")), row.subject.model]
    if TOOLS[row.tool].engine or row.tool == "exhaustive":
        files += sorted((ROOT / "lpot_examples").rglob("*.py"))
    known = {
        "row": (row.subject.name, row.bar, row.tool, str(row.subject.dataset)),
        "settings": [settings.rounds, settings.timeout, settings.max_trials, settings.cores],
        "host": host_info().to_dict(),
        "environment": {name: os.environ.get(name) for name in _VARIABLES},
        "files": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
    }
    if row.tool == "exhaustive":
        ours = row.of("ours").folder / "row.json"
        known["ours"] = ours.read_text() if ours.is_file() else ""
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _own_seconds() -> float:
    times = os.times()
    return sum(times[:4])


def _write_all(
    options: argparse.Namespace, settings: Settings, rows: list[Any], skipped: dict[str, str]
) -> None:
    if not options.json:
        return
    report = {
        "host": host_info().to_dict(),
        "versions": library_versions(),
        "cores": list(settings.cores),
        "nice": os.nice(0),
        "skipped": skipped,
        "rows": rows,
    }
    with replacing(options.json) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = os.environ.get("LPOT_REAL_DATA")
    add("--tools", type=names(TOOLS), default=list(TOOLS), metavar="A,B",
        help=f"of {', '.join(TOOLS)}; default: all")  # fmt: skip
    add("--topologies", type=names(TOPOLOGIES), default=list(TOPOLOGIES), metavar="A,B",
        help=f"of {', '.join(TOPOLOGIES)}; default: all")  # fmt: skip
    add("--bars", type=_bars, default=[0.01, 0.005], metavar="1,0.5",
        help="largest losses of accuracy, %% of fp32 (default 1,0.5)")  # fmt: skip
    add("--rounds", type=int, default=30, help="rounds in which latencies are taken (default 30)")
    add("--timeout", type=float, default=900.0, metavar="S",
        help="seconds for each search, and each other step of a row (default 900)")  # fmt: skip
    add("--max-trials", type=int, default=100, metavar="N",
        help="trials that ours and Neural Compressor may make (default 100)")  # fmt: skip
    add("--threads", type=int, default=2, help="cores, with a thread on each (default 2)")
    add("--data", type=Path, default=Path(data) if data else None, metavar="FOLDER",
        help="models/*.pb, coco/, imagenet/ ($LPOT_REAL_DATA)")  # fmt: skip
    add("--work", type=Path, default=ROOT / "benchmarks" / ".work", metavar="FOLDER",
        help="keeps environments and rows (default benchmarks/.work)")  # fmt: skip
    add("--again", action="store_true", help="run rows again that are there")
    add("--show", action="store_true", help="run nothing; the table of what is there, however old")
    add("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    return parser.parse_args()


def _bars(text: str) -> list[float]:
    try:
        bars = [float(part) / 100 for part in text.split(",")]
    except ValueError:
        bars = []
    if not bars or any(not 0 < bar < 1 for bar in bars):
        raise argparse.ArgumentTypeError(f"percents such as 1,0.5; got '{text}'")
    return bars


if __name__ == "__main__":
    main()
