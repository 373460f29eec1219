"""A backend whose networks are evaluated where they will be deployed, not on their own runtime."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lpot_examples.errors import LpotError
from lpot_examples.runtimes.table import load, own_runtime, runtime_named

if TYPE_CHECKING:
    from lpot_examples.backends.base import Backend, Model
    from lpot_examples.backends.registry import Framework


def chosen_runtime(wanted: str | None, framework: Framework) -> str:
    """Return the name of the runtime that results are evaluated and timed on.

    Args:
        wanted: Its name; None for the framework's own.
        framework: That of the results.

    Raises:
        LpotError: If there is no such runtime, it is not installed, or does not run them.
    """
    own = own_runtime(f"result.{framework.form}")
    runtime = own if wanted is None else runtime_named(wanted)
    if runtime is own:
        return own.name
    if runtime.framework or framework.name == "tensorflow":
        raise LpotError(
            f"--runtime={runtime.name} does not run int8 networks of {framework.title}, which is "
            f"what this tuning makes; leave it out. ({own.title} runs them; a network of "
            "TensorFlow leaves as ONNX, too, with --emit=pb,onnx.)"
        )
    runtime.require()
    return runtime.name


class Deployed:
    """A backend whose files are opened on another runtime; see `backends.base.Backend`.

    Calibration, the comparison without labels and the networks themselves are the backend's own.

    Args:
        backend: Makes the networks.
        runtime: Name of the runtime that runs them.
        source: File of the fp32 network.
    """

    def __init__(self, backend: Backend, runtime: str, *, source: Path) -> None:
        self._backend = backend
        self._runtime = runtime
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def baseline(self) -> Model:
        """Return the fp32 network as given, on the runtime."""
        return self.reader(given=True)(self._source)

    def reader(self, *, given: bool = False) -> Callable[[Path], Model]:
        """Return a function that opens a file on the runtime, in any process."""
        del given  # files of one format have one runtime here
        outputs = cast("Any", self._backend.baseline()).output_names
        inputs = tuple(self._backend.input_spec)
        return partial(load, runtime=self._runtime, inputs=inputs, outputs=outputs)

    def latencies(self, *_: Any) -> None:
        """Return None: ops are timed on the networks' own runtime alone."""
