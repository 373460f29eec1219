"""The runtimes, one row each: what they read, and what is needed to have them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.backends.registry import framework_of, load_model
from lpot_examples.errors import LpotError, ModelError, nearest
from lpot_examples.runtimes.outline import Outline, outline_of


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A runtime.

    Attributes:
        name: As on the command line.
        title: For messages.
        distribution: The package that brings it; its module has the same name.
        framework: The framework (`backends.registry`) whose files it runs when nobody asks for a
            runtime; empty for one whose models are made by ``<name>_model.py`` of this folder.
        extra: The extra of this project that installs it; empty where it is always there.
        suffixes: How the names of files end that it alone reads.
    """

    name: str
    title: str
    distribution: str
    framework: str = ""
    extra: str = ""
    suffixes: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether it can be imported."""
        return importlib.util.find_spec(self.distribution) is not None

    def require(self) -> None:
        """Refuse a runtime that is not installed.

        Raises:
            LpotError: The message names the extra.
        """
        if not self.installed:
            raise LpotError(
                f"the runtime {self.name} needs the package {self.distribution}, which "
                f"{sys.executable} does not have. Run 'pip install lpot-examples[{self.extra}]'; "
                f"run_benchmark.sh --runtime={self.name} does so by itself in .venv."
            )

    def unfit(self, path: Path) -> str:
        """Say why it cannot run a file as it is, without a full stop; empty if it can.

        Raises:
            ModelError: If there is no such file, or it is damaged.
        """
        owner = _owner(path)
        if owner is not None:
            return "" if owner is self else f"{path.suffix} files are for {owner.title} alone"
        framework = framework_of(path).name
        if self.framework:
            own = framework == self.framework
            return "" if own else f"{self.title} does not read {_FILES[framework]}"
        if framework == "onnx":
            return ""
        outline = outline_of(path)
        if outline is None:
            return f"{self.title} reads .onnx, .xml and frozen .pb files"
        return in_eight_bits(self.title, outline)


_FILES = {"tensorflow": "networks of TensorFlow", "onnx": ".onnx files"}


def in_eight_bits(title: str, outline: Outline) -> str:
    """Say why a network of TensorFlow in int8 runs on no other runtime; empty for one in fp32."""
    ops = outline.eight_bit_ops
    if not ops:
        return ""
    listed = f"{', '.join(ops[:2])}{', …' if len(ops) > 2 else ''}"
    return f"{title} does not know TensorFlow's int8 ops ({listed})"


RUNTIMES: Mapping[str, Runtime] = {
    one.name: one
    for one in (
        Runtime(
            name="tensorflow",
            title="TensorFlow",
            distribution="tensorflow",
            framework="tensorflow",
        ),
        Runtime(
            name="onnxruntime",
            title="ONNX Runtime",
            distribution="onnxruntime",
            framework="onnx",
        ),
        Runtime(
            name="openvino",
            title="OpenVINO",
            distribution="openvino",
            extra="openvino",
            suffixes=(".xml",),
        ),
    )
}
"""The runtimes by name."""


def runtime_named(name: str) -> Runtime:
    """Return a runtime.

    Raises:
        LpotError: If there is none of the name.
    """
    if name not in RUNTIMES:
        raise LpotError(
            f"there is no runtime '{name}'.{nearest(name, RUNTIMES)} Runtimes are "
            f"{', '.join(RUNTIMES)}."
        )
    return RUNTIMES[name]


def own_runtime(path: str | Path) -> Runtime:
    """Return the runtime that runs a file when nobody asks for one."""
    owner = _owner(Path(path))
    if owner is not None:
        return owner
    framework = framework_of(path).name
    return next(one for one in RUNTIMES.values() if one.framework == framework)


def is_for_one(path: Path) -> bool:
    """Tell whether only one runtime reads a file, and nothing can be made of it for others."""
    return _owner(path) is not None


def runtimes_of(path: str | Path) -> tuple[str, ...]:
    """Return the runtimes that read a file as it is, installed or not; its own is the first.

    Raises:
        ModelError: If there is no such file, or it is damaged.
    """
    own = own_runtime(path)
    others = (one for one in RUNTIMES.values() if one is not own and not one.unfit(Path(path)))
    return (own.name, *(one.name for one in others))


def load(
    path: str | Path,
    *,
    runtime: str | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    threads: int | None = None,
) -> Any:
    """Read a network to run it on a runtime.

    Args:
        path: The network.
        runtime: Name of the runtime; the file's own if None.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        threads: Threads inside one op; None uses every core.

    Returns:
        A model with the interface of `backends.registry.load_model`'s.

    Raises:
        LpotError: If there is no such runtime or it is not installed.
        ModelError: If it cannot run the network.
    """
    chosen = own_runtime(path) if runtime is None else runtime_named(runtime)
    if chosen.framework and not chosen.unfit(Path(path)):
        return load_model(path, inputs=inputs, outputs=outputs, threads=threads)
    chosen.require()
    reason = chosen.unfit(Path(path))
    if reason:
        raise ModelError(f"{path} cannot be run on {chosen.title}: {reason}.")
    module = importlib.import_module(f"lpot_examples.runtimes.{chosen.name}_model")
    return module.load_model(path, inputs=inputs, outputs=outputs, threads=threads)


def _owner(path: Path) -> Runtime | None:
    """Return the runtime that alone reads a file, if there is one."""
    return next((r for r in RUNTIMES.values() if path.suffix.lower() in r.suffixes), None)
