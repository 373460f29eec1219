"""Models by what they were made of: nothing is made twice, nothing outdated is used.

An artifact's key is a hash of the maker's code, the versions of libraries and what it reads. For
our own columns that includes every Python file of the package, so that they are made anew after
any change to it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lpot_examples.benchmark.load import ForeignLoad
from lpot_examples.host import host_info
from lpot_examples.workspace import replacing
from peers.columns import COLUMNS, REFERENCE, Column
from peers.environments import OWN, python, requirements
from peers.networks import model_file
from peers.task import RECORD

ROOT = Path(__file__).resolve().parents[2]
_HERE = Path(__file__).resolve().parent
_ARTIFACT = "artifact.json"
# Share of the memory that a maker may address.
_MOST_MEMORY = 0.9
# The packages of our own environment that models depend on.
_MATTER = ("tensorflow", "keras", "numpy", "pillow")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A model that was made, or the failure to make it.

    Attributes:
        path: The model file.
        key: Hash of what it was made of.
        record: ``seconds`` by stage, ``facts``, ``cpu_seconds``, ``foreign`` (share of the cores
            that others used meanwhile, 0-1, or None) and ``error`` (empty, or what went wrong).
    """

    path: Path
    key: str
    record: dict[str, Any]

    @property
    def error(self) -> str:
        """Why there is no model; empty where there is one."""
        return str(self.record["error"])

    @property
    def images(self) -> Path:
        """The images of the network, if this is the network as given."""
        return self.path.with_name("images.npz")


@dataclass(frozen=True, kw_only=True)
class Store:
    """The work folder.

    Attributes:
        work: Where environments and models are kept.
        data: The user's networks and datasets, if any.
        cores: CPUs that makers run on.
        timeout: Seconds that a maker may take.
        retry: Whether to try again what failed before.
    """

    work: Path
    data: Path | None
    cores: tuple[int, ...]
    timeout: float
    retry: bool = False

    def artifact(self, network: str, name: str) -> Artifact:
        """Return a column's model of a network, made if need be.

        Where the network itself cannot be made, nor can any column, for the same reason.
        """
        column = COLUMNS[name]
        given = None if name == REFERENCE else self.artifact(network, REFERENCE)
        key = self._key(network, column, given)
        folder = self.work / "models" / network / f"{name}-{key}"
        found = _read(folder / _ARTIFACT)
        if given is not None and given.error:
            found = {"error": f"no fp32 network: {given.error}"}
        elif found is None or (found["error"] and self.retry):
            found = self._make(network, column, folder, given)
            _forget_others(folder, prefix=f"{name}-")
        return Artifact(path=folder / column.file, key=key, record=found)

    def python(self, environment: str) -> Path:
        """Return the interpreter of an environment."""
        return python(environment, self.work)

    def _key(self, network: str, column: Column, given: Artifact | None) -> str:
        digest = hashlib.sha256(network.encode())
        digest.update((_HERE / f"{column.maker}.py").read_bytes())
        digest.update(_versions(column.maker_environment))
        if given is not None:
            digest.update(str(given.record.get("sha256")).encode())
            if column.maker_environment == OWN:
                digest.update(_package_digest())
        else:
            digest.update((_HERE / "networks.py").read_bytes())
            file = model_file(network, self.data)
            digest.update(file.read_bytes() if file and file.is_file() else b"")
        return digest.hexdigest()[:12]

    def _make(
        self, network: str, column: Column, folder: Path, given: Artifact | None
    ) -> dict[str, Any]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        source = given or Artifact(path=folder / column.file, key="", record={"facts": {}})
        task = {
            "network": network,
            "fp32": str(source.path),
            "images": str(source.images),
            "inputs": source.record["facts"].get("inputs", []),
            "outputs": source.record["facts"].get("outputs", []),
            "target": str(folder / column.file),
            "data": str(self.data) if self.data else None,
        }
        (folder / "task.json").write_text(json.dumps(task, indent=2) + "\n")
        print(f"  making {network}: {column.title}…", flush=True)
        command = [str(self.python(column.maker_environment)), "-P", "-m", f"peers.{column.maker}"]
        record = self._run([*command, str(folder / "task.json")], folder)
        if not record["error"]:
            record |= json.loads((folder / RECORD).read_text())
            record["sha256"] = _content(folder / column.file)
            if column.maker == COLUMNS[REFERENCE].maker:
                record["sha256"] += _content(folder / "images.npz")
        with replacing(folder / _ARTIFACT) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n")
        return record

    def _run(self, command: list[str], folder: Path) -> dict[str, Any]:
        """Run a maker to its end or its timeout; its messages go to ``log.txt``."""
        load = ForeignLoad(self.cores)
        before = _children_seconds()
        load.start(own_seconds=before + time.process_time())
        started = time.monotonic()
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(threads=len(self.cores)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=functools.partial(_confine, self.cores, host_info().memory_bytes),
            )
            error = _wait(process, self.timeout)
        after = _children_seconds()
        if error.startswith("exit code"):
            error = _last_line(folder / "log.txt") or error
        return {
            "error": error,
            "wall_seconds": time.monotonic() - started,
            "cpu_seconds": after - before,
            "foreign": load.share(own_seconds=after + time.process_time()),
        }


def environment(*, threads: int) -> dict[str, str]:
    """Return the environment variables for makers and workers."""
    search = [str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, search)),
        "OMP_NUM_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONUNBUFFERED": "1",
    }


def _confine(cores: tuple[int, ...], memory: int) -> None:
    """Keep this process to some cores, and from taking so much memory that others are killed."""
    os.sched_setaffinity(0, cores)
    if memory:
        limit = int(_MOST_MEMORY * memory)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _wait(process: subprocess.Popen[bytes], timeout: float) -> str:
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"timeout after {timeout:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exit code {code}" if code else ""


def _last_line(log: Path) -> str:
    """Return the exception that ended a log, or its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _forget_others(folder: Path, *, prefix: str) -> None:
    for other in folder.parent.glob(f"{prefix}*"):
        if other != folder:
            shutil.rmtree(other)


def _read(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    record: dict[str, Any] = json.loads(file.read_text())
    return record


def _content(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _versions(environment_name: str) -> bytes:
    if environment_name == OWN:
        return repr([(name, metadata.version(name)) for name in _MATTER]).encode()
    return requirements(environment_name).read_bytes()


@functools.cache
def _package_digest() -> bytes:
    digest = hashlib.sha256()
    for file in sorted((ROOT / "lpot_examples").rglob("*.py")):
        digest.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return digest.digest()


def make_work_folder(work: Path) -> Path:
    """Make the work folder, which version control shall not see; return its absolute path."""
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=work):  # refuse now what cannot be written later
        pass
    (work / ".gitignore").write_text("*\n")
    return work.resolve()
