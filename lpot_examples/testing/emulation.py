"""Networks run as on another CPU: in a process of its own, under QEMU's user-mode emulator.

ONNX Runtime and OpenVINO choose their kernels by what the CPU says of itself, and no setting makes
ONNX Runtime choose others. `qemu-x86_64` runs a program of this machine on a CPU of its own making,
instruction by instruction; from QEMU 7.2 on it knows AVX2. It knows no AVX-512, so any CPU it is
asked for has AVX2 at most. What such a program starts in its turn is not emulated.

    python -m lpot_examples.testing.emulation JOB.json

is the process: it loads a network, runs batches of a .npz file and writes the outputs to another.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.errors import LpotError

PROGRAM = "qemu-x86_64"
_FIRST_VERSION = (7, 2)
_DONE = "batch done"
# Now and then a process that a runtime forks under the emulator never starts.
_ATTEMPTS = 3

Batch = Mapping[str, Any]


@dataclass(frozen=True)
class Emulator:
    """A CPU that programs can be run on.

    Attributes:
        cpu: A name that QEMU knows, ``Haswell`` being the first with AVX2.
        program: Path of the emulator.
        version: Its version.
    """

    cpu: str
    program: str
    version: str

    @property
    def command(self) -> tuple[str, ...]:
        """What to write in front of a command."""
        return self.program, "-cpu", self.cpu


def emulator(cpu: str = "Haswell") -> Emulator:
    """Return the emulator of this machine.

    Raises:
        LpotError: If there is none, it is too old, or it does not know the CPU.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise LpotError(
            f"{PROGRAM} is not installed, which shows other CPUs' kernels here. Install it with "
            "'apt-get install qemu-user' (QEMU 7.2 or newer)."
        )
    first = _said([program, "--version"])[0]
    numbers = first.partition("version ")[2].split(" ")[0]
    version = tuple(int(part) for part in numbers.split(".")[:2] if part.isdigit())
    if version < _FIRST_VERSION:
        raise LpotError(
            f"{program} says '{first}'; QEMU 7.2 or newer is needed, the first with AVX2."
        )
    known = {line.split()[1] for line in _said([program, "-cpu", "help"]) if line[:4] == "x86 "}
    if cpu not in known:
        raise LpotError(f"QEMU {numbers} has no CPU '{cpu}'; '{PROGRAM} -cpu help' lists them.")
    return Emulator(cpu=cpu, program=program, version=numbers)


def run_elsewhere(
    model: Path,
    batches: Sequence[Batch],
    *,
    runtime: str,
    on: Emulator | None,
    patience: float = 900.0,
    tell: Callable[[int], object] | None = None,
) -> list[dict[str, Any]]:
    """Run a network in a process of its own.

    Args:
        model: Its file.
        batches: Arrays by input name.
        runtime: Name in `runtimes.table.RUNTIMES`.
        on: The emulated CPU; None for this one.
        patience: Seconds without a batch after which a process counts as stuck.
        tell: Called with the number of batches done.

    Returns:
        Arrays by output name, for each batch.

    Raises:
        LpotError: If the process fails; the message ends with what it said last.
    """
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        fed, made = Path(folder) / "batches.npz", Path(folder) / "outputs.npz"
        arrays = {
            f"{n}:{key}": value for n, one in enumerate(batches) for key, value in one.items()
        }
        np.savez(fed, **arrays)
        job.write_text(
            json.dumps(
                {"model": str(model), "runtime": runtime, "batches": str(fed), "made": str(made)}
            )
        )
        command = [sys.executable, "-m", __spec__.name, str(job)]
        run_stubbornly([*(on.command if on else ()), *command], patience=patience, tell=tell)
        with np.load(made) as found:
            return _by_batch(found, len(batches))


def run_stubbornly(
    command: Sequence[str],
    *,
    patience: float,
    environment: Mapping[str, str] | None = None,
    tell: Callable[[int], object] | None = None,
) -> list[str]:
    """Run a command; one that gets stuck is ended and tried again.

    Args:
        command: Program and arguments.
        patience: Seconds without a line of output after which it counts as stuck.
        environment: Variables beside those of this process.
        tell: Called with the number of batches done.

    Returns:
        The lines of its standard output that are not about batches.

    Raises:
        LpotError: If it fails, or got stuck every time.
    """
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(TimeoutError):
            return _run(command, patience=patience, environment=environment or {}, tell=tell)
    raise LpotError(f"'{' '.join(command)}' gave no sign for {patience:.0f} s, {_ATTEMPTS} times.")


def _run(
    command: Sequence[str],
    *,
    patience: float,
    environment: Mapping[str, str],
    tell: Callable[[int], object] | None,
) -> list[str]:
    done, lines = 0, []
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": path, **environment},
            start_new_session=True,  # so that what it forked ends with it
        )
        try:
            for line in _lines(process, patience):
                if line != _DONE:
                    lines.append(line)
                    continue
                done += 1
                if tell is not None:
                    tell(done)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        if code:
            errors.seek(0)
            said = [one.strip() for one in errors if one.strip() and "TCG doesn't" not in one]
            raise LpotError(f"'{' '.join(command)}' ended with {code}: {' '.join(said[-3:])}")
    return lines


def _lines(process: subprocess.Popen[str], patience: float) -> Iterator[str]:
    """Yield a process's lines.

    Raises:
        TimeoutError: If none comes for too long.
    """
    arrived: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            arrived.put(line.strip())
        arrived.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = arrived.get(timeout=patience)
        except queue.Empty:
            raise TimeoutError from None
        if line is None:
            break
        yield line
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None


def _said(command: Sequence[str]) -> list[str]:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line.strip() for line in answer.stdout.splitlines()] or [""]


def _by_batch(found: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Undo the naming of arrays by batch."""
    batches: list[dict[str, Any]] = [{} for _ in range(count)]
    for name in found:
        number, _, key = name.partition(":")
        batches[int(number)][key] = found[name]
    return batches


def main() -> None:
    """Run one job."""
    import numpy as np

    from lpot_examples.runtimes.table import load

    job = json.loads(Path(sys.argv[1]).read_text())
    with np.load(job["batches"]) as fed:
        batches = _by_batch(fed, len({name.partition(":")[0] for name in fed}))
    model = load(job["model"], runtime=job["runtime"], threads=1)
    made = {}
    for number, batch in enumerate(batches):
        results = model.run(model.output_names, batch)
        for name, value in zip(model.output_names, results, strict=True):
            made[f"{number}:{name}"] = value
        print(_DONE, flush=True)
    np.savez(job["made"], **made)


if __name__ == "__main__":
    main()
