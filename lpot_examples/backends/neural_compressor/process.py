"""Neural Compressor's process, as seen from this one."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lpot_examples
from lpot_examples.backends.neural_compressor.worker import Request
from lpot_examples.errors import EmitError, OutputError

COMMAND = (sys.executable, "-P", "-m", "lpot_examples.backends.neural_compressor.worker")

# A detector of 14,000 nodes took 261 s on two cores.
_TIMEOUT = 3600.0


class WorkerProcess:
    """Runs requests in a process that is started when needed and again after it died.

    Importing TensorFlow and Neural Compressor takes longer than most networks take to be made, so
    the process is kept from one request to the next.

    Args:
        folder: Where it may leave its temporary files and its log.
        command: What to start; another one in tests.
        timeout: Seconds within which a request must be answered.
    """

    def __init__(
        self, folder: Path, *, command: Sequence[str] = (), timeout: float = _TIMEOUT
    ) -> None:
        self._folder = folder
        self._command = list(command or COMMAND)
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    @property
    def log(self) -> Path:
        """The file of what it says."""
        return self._folder / "neural_compressor.log"

    def run(self, request: Request) -> None:
        """Have a request done.

        Raises:
            EmitError: If Neural Compressor fails or crashes, or takes too long.
            OutputError: If its folder cannot be written.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(request.to_json().encode() + b"\n")
                process.stdin.flush()
            answer = self._receive(process)
        except BaseException:  # Ctrl-C too: whatever is under way must not answer the next request
            self.stop()
            raise
        if "error" in answer:
            raise EmitError(f"Neural Compressor failed: {answer['error']}")

    def stop(self) -> None:
        """End the process; the next request starts another."""
        process, self._process, self._buffer = self._process, None, b""
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = dict(os.environ)
        search_path = [str(Path(lpot_examples.__file__).parent.parent)]
        search_path += filter(None, [environment.get("PYTHONPATH")])
        environment["PYTHONPATH"] = os.pathsep.join(search_path)
        # Calibration reads what TensorFlow prints; this process silences it for itself.
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        # Neural Compressor leaves a log of every calibration behind.
        environment["TMPDIR"] = str(self._folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self.log.open("wb") as log:
                # In a session of its own, so that Ctrl-C reaches only this process, which ends it.
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=self._folder,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise OutputError(
                f"cannot start Neural Compressor in {self._folder}: {error.strerror}."
            ) from error
        return self._process

    def _receive(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        deadline = time.monotonic() + self._timeout
        while b"\n" not in self._buffer:
            wait = max(0.0, deadline - time.monotonic())
            if not select.select([process.stdout], [], [], wait)[0]:
                raise EmitError(f"Neural Compressor did not finish within {self._timeout:g} s")
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise EmitError(f"Neural Compressor's process {self._death(process)}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _death(self, process: subprocess.Popen[bytes]) -> str:
        code = process.wait()
        how = f"exited with code {code}"
        if code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL:
            how += ", usually because memory ran out"
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"{how}; its last words: {lines[-1].strip()[:200]}" if lines else how
