"""Runs one row: a tool's search in fresh processes, and the latency of what it found."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.errors import LpotError
from peers.environments import python
from peers.search_foreign import ForeignSearch
from peers.search_foreign import run as run_foreign
from peers.search_score import Scorer
from peers.search_task import Row, spec_file
from peers.store import environment

Result = dict[str, Any]

PLAIN, FP32, RESULT = "all-int8", "fp32", "result"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What holds for every row.

    Attributes:
        work: The work folder.
        cores: CPUs that everything runs on.
        timeout: Seconds that a search may take, and then the rest of its row.
        rounds: Rounds in which latencies are taken.
        max_trials: Trials that a tool may make.
    """

    work: Path
    cores: tuple[int, ...]
    timeout: float
    rounds: int
    max_trials: int = 100


@dataclass(frozen=True, kw_only=True)
class Tool:
    """Something that searches.

    Attributes:
        title: Name for readers.
        run: Runs a row: status, accuracies, evaluations, times, and ``files`` by `FP32`,
            `PLAIN` and `RESULT` if there is a result.
        runtime: A key of `runtimes.RUNTIMES`, which runs the files.
        environment: Where that runtime is; see `environments.python`.
        engine: Of ``tune``, or empty for what is not ours.
    """

    title: str
    run: Callable[[Row, Settings], Result]
    runtime: str = "tensorflow"
    environment: str = "own"
    engine: str = ""


def run_row(row: Row, settings: Settings) -> Result:
    """Run the search of a row, then time its result; what fails is told in ``status``."""
    tool = TOOLS[row.tool]
    shutil.rmtree(row.folder, ignore_errors=True)
    row.folder.mkdir(parents=True)
    try:
        found = tool.run(row, settings)
    except (LpotError, OSError) as error:
        found = {"status": f"failed: {_short(str(error))}"}
    except SystemExit as error:  # an environment could not be made
        found = {"status": f"not run: {_short(str(error))}"}
    result = {"network": row.subject.name, "bar": row.bar, "tool": row.tool, **found}
    fp32, accuracy = result.get("fp32"), result.get("accuracy")
    if fp32 is not None and accuracy is not None:
        result["lost"] = (fp32 - accuracy) / fp32
        result["met"] = accuracy >= fp32 * (1 - row.bar) - 1e-12
    if "files" in result:
        result["latency"] = latency(row, tool, result["files"], settings)
    return result


def latency(row: Row, tool: Tool, files: Mapping[str, str], settings: Settings) -> Result:
    """Time a row's files in turns, in one process of the tool's runtime."""
    job = {
        "runtime": tool.runtime,
        "files": dict(files),
        "inputs": names(row, "inputs"),
        "outputs": names(row, "outputs"),
        "data": str(data_folder(row, settings)),
        "cores": list(settings.cores),
        "rounds": settings.rounds,
    }
    interpreter = python(tool.environment, settings.work)
    return module(interpreter, "peers.search_latency", job, row, settings)


def module(interpreter: Path, name: str, job: Result, row: Row, settings: Settings) -> Result:
    """Run a module that reads a job and answers on its last line; ``error`` if it fails."""
    done = _run(
        [str(interpreter), "-P", "-m", name],
        row.folder / f"{name.rpartition('.')[2]}.log",
        row.subject.root,
        settings,
        text=json.dumps(job),
    )
    if done.returncode:
        return {"error": _why(done)}
    answer: Result = json.loads(done.stdout.splitlines()[-1])
    return answer


def tune(row: Row, settings: Settings) -> Result:
    """Run our command with the tool's strategy and engine."""
    tool = TOOLS[row.tool]
    folder, target = row.folder, row.folder / "result.pb"
    tuning: dict[str, Any] = {"exit_policy": {"max_trials": settings.max_trials}}
    if row.tool != "ours":
        tuning["strategy"] = {"name": "basic"}
    interpreter = python("engine" if tool.engine != "lpot" else "own", settings.work)
    command = _tune(row, interpreter, spec_file(row, folder / "spec.yaml", **tuning), folder)
    command += [f"--output_model={target}", f"--engine={tool.engine}"]
    started = time.monotonic()
    done = _run(command, folder / "tune.log", row.subject.root, settings)
    wall = time.monotonic() - started
    journal = folder / "workspace" / "journal.jsonl"
    reports = sorted(folder.glob("result*.report.json"))
    if done.returncode in (0, 2) and reports:
        status, report = "ok", json.loads(reports[-1].read_text())
    else:
        from lpot_examples.report.partial import report_from_journal

        status = _why(done)
        try:
            report = report_from_journal(journal)
        except LpotError:
            return {"status": status, "wall_s": wall}
    return _ours(row, report, settings, wall_s=wall, status=status)


def _ours(row: Row, report: Result, settings: Settings, *, wall_s: float, status: str) -> Result:
    accuracy, search = report["accuracy"] or {}, report["search"]
    file = Path(report["model"]["path"] or "none")
    found: Result = {
        "status": status,
        "wall_s": wall_s,
        "search_s": search["seconds"],
        "full_evaluations": search["full_evaluations"],
        "trials": search["trials"],
        "fp32": accuracy.get("fp32"),
        "accuracy": accuracy.get("int8"),
        "certainty": accuracy.get("certainty"),
        "config": report["config"],
        "groups in fp32": len(report["config"].get("fp32", ())),
        "versions": report.get("versions"),
    }
    plain = _all_int8(row, settings)
    if file.is_file() and "error" not in plain:
        files = {FP32: str(row.subject.model), PLAIN: plain["file"], RESULT: str(file)}
        found["files"] = files
    elif "error" in plain:
        found["status"] = f"{status}; no all-int8 model: {plain['error']}"
    return found


def _all_int8(row: Row, settings: Settings) -> Result:
    """Make what the engine makes of everything in int8, without a look at accuracy."""
    tool = TOOLS[row.tool]
    folder = row.folder / "all-int8"
    target = folder / "all-int8.pb"
    tuning = {"strategy": {"name": "basic"}, "exit_policy": {"performance_only": True}}
    spec = spec_file(row, folder / "spec.yaml", **tuning)
    interpreter = python("engine" if tool.engine != "lpot" else "own", settings.work)
    command = _tune(row, interpreter, spec, folder)
    command += [f"--output_model={target}", f"--engine={tool.engine}", "--benchmark_seconds=0"]
    done = _run(command, folder / "tune.log", row.subject.root, settings)
    return {"file": str(target)} if target.is_file() else {"error": _why(done)}


def _tune(row: Row, interpreter: Path, spec: Path, folder: Path) -> list[str]:
    command = [str(interpreter), "-P", "-m", "lpot_examples", "tune", *row.subject.arguments()]
    return [*command, f"--config={spec}", f"--workspace={folder / 'workspace'}"]


def foreign(row: Row, settings: Settings) -> Result:
    """Run a peer's own search in its environment."""
    name, kept = {"nncf": ("peers.search_nncf", "peers"), "inc26": ("peers.search_inc", "inc26")}[
        row.tool
    ]
    suffix = ".xml" if row.tool == "nncf" else ".pb"
    files = {PLAIN: row.folder / f"plain{suffix}", RESULT: row.folder / f"result{suffix}"}
    files[FP32] = row.folder / "fp32.xml" if row.tool == "nncf" else row.subject.model
    interpreter = python(kept, settings.work)
    data = data_folder(row, settings)
    scorer = Scorer(row.subject, data)
    task = {
        "fp32": str(row.subject.model),
        "fp32_file": str(files[FP32]),
        "inputs": names(row, "inputs"),
        "outputs": names(row, "outputs"),
        "data": str(data),
        "folder": str(row.folder),
        "target": str(files[RESULT]),
        "all_int8": str(files[PLAIN]),
        "bar": row.bar,
        "max_trials": settings.max_trials,
    }
    search = ForeignSearch(interpreter, name, task, cores=settings.cores, timeout=settings.timeout)
    found = run_foreign(search, scorer, timeout=settings.timeout)
    if all(file.is_file() for file in files.values()):
        found["files"] = {key: str(file) for key, file in files.items()}
    return found


def enumerate_subsets(row: Row, settings: Settings) -> Result:
    """Compare what `ours` found with the best of all subsets of groups in fp32."""
    ours = row.of("ours").folder / "row.json"
    if not ours.is_file():
        return {"status": "not run: needs the row of 'ours'"}
    found = json.loads(ours.read_text())
    if "files" not in found or not found.get("config"):
        return {"status": f"not run: 'ours' has no result ({found['status']})"}
    job = {
        "topology": row.subject.name,
        "model": str(row.subject.model),
        "dataset": str(row.subject.dataset) if row.subject.dataset else None,
        "bar": row.bar,
        "config": found["config"],
        "result": found["files"][RESULT],
        "cache": str(row.folder.parents[1] / "subsets.jsonl"),
        "cores": list(settings.cores),
        "rounds": settings.rounds,
        "seconds": settings.timeout,
    }
    started = time.monotonic()
    answer = module(Path(sys.executable), "peers.search_exhaustive", job, row, settings)
    status = answer.pop("error", None) or answer.pop("status", "ok")
    return {"status": status, "wall_s": time.monotonic() - started, **answer}


def data_folder(row: Row, settings: Settings) -> Path:
    """Return the folder with a network's images; see `search_score.Scorer`."""
    folder = settings.work / "search" / row.subject.name / "data"
    if not (folder / "calibration.npy").is_file():
        Scorer(row.subject, folder)
    return folder


def names(row: Row, which: str) -> list[str]:
    """Return the names of a network's ``inputs`` or ``outputs``."""
    from lpot_examples.backends.tensorflow.model import load_model

    model = load_model(row.subject.model)
    return list(model.input_names if which == "inputs" else model.output_names)


def _run(
    command: list[str], log: Path, folder: Path, settings: Settings, *, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a process on the cores to its end or the timeout, which is exit code 124."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env=environment(threads=len(settings.cores)),
            text=True,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, settings.cores),
        )
        try:
            out, _ = process.communicate(text, timeout=settings.timeout)
            code = process.returncode
        except subprocess.TimeoutExpired:
            out, code = f"timeout after {settings.timeout:.0f} s", 124
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    return subprocess.CompletedProcess(command, code, out, log.read_text(errors="replace"))


def _why(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == 124:
        return _short(done.stdout)
    said = done.stderr.strip() or done.stdout.strip()
    return f"failed: {_short(said) or f'exit code {done.returncode}'}"


def _short(text: str) -> str:
    lines = [line.strip(" │╭╰─╮╯") for line in text.splitlines()]
    return next((line for line in reversed(lines) if line), "")[:300]


TOOLS: Mapping[str, Tool] = {
    "ours": Tool(title="ours", run=tune, engine="lpot"),
    "basic": Tool(title="our basic", run=tune, engine="lpot"),
    "inc": Tool(title="Neural Compressor 3.10, our basic", run=tune, engine="neural_compressor"),
    "inc26": Tool(title="Neural Compressor 2.6, its basic", run=foreign),
    "nncf": Tool(
        title="NNCF accuracy control", run=foreign, runtime="openvino", environment="peers"
    ),
    "exhaustive": Tool(title="exhaustive", run=enumerate_subsets),
}
"""The tools in the order of the table; `exhaustive` needs what `ours` found."""
