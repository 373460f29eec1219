"""Networks times runtimes: what each pair runs, and why some pairs cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lpot_examples.backends.registry import framework_of
from lpot_examples.errors import LpotError, ModelError
from lpot_examples.runtimes.outline import Outline, outline_of
from lpot_examples.runtimes.table import (
    RUNTIMES,
    in_eight_bits,
    is_for_one,
    own_runtime,
    runtime_named,
)


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A network on a runtime.

    Attributes:
        name: Unlike that of any other.
        label: The network's file as it should be printed.
        model: The network as the user gave it.
        runtime: Name of the runtime.
        file: What the runtime loads: the network itself, or what was made of it.
        precision: ``int8`` or ``fp32``; empty if that is not known.
        note: What was made of the network so that the runtime reads it; empty if nothing.
        reason: Why it cannot be run, one sentence; empty if nothing is known to stand against it.
    """

    name: str
    label: str
    model: Path
    runtime: str
    file: Path
    precision: str = ""
    note: str = ""
    reason: str = ""

    @property
    def title(self) -> str:
        """File and runtime in words."""
        return f"{self.label} on {RUNTIMES[self.runtime].title}"


def artifacts(
    models: Mapping[str, Path],
    runtimes: Sequence[str] = (),
    *,
    folder: Path,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    tell: Callable[[str], object] = str,
) -> tuple[Artifact, ...]:
    """Return every network on every runtime, network by network.

    A network of TensorFlow in fp32 is converted for a runtime that does not read its format.

    Args:
        models: The networks, by what they shall be called.
        runtimes: Names of runtimes; each network's own when empty.
        folder: Where converted networks are written.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        tell: Told what takes a while, before it is done.

    Raises:
        LpotError: If there is no such runtime or it is not installed, or a network cannot be read.
    """
    chosen = [runtime_named(name) for name in dict.fromkeys(runtimes)]
    for one in chosen:
        one.require()
    found = []
    for label, path in models.items():
        source = _Source(
            label, path, folder=folder, inputs=tuple(inputs), outputs=tuple(outputs), tell=tell
        )
        for runtime in chosen or [own_runtime(path)]:
            found.append(source.on(runtime.name))
    return tuple(found)


class _Source:
    """A network, opened and converted at most once."""

    def __init__(
        self,
        label: str,
        path: Path,
        *,
        folder: Path,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        tell: Callable[[str], object],
    ) -> None:
        self._label, self._path, self._folder, self._tell = label, path, folder, tell
        self._inputs, self._outputs = inputs, outputs
        self._outline = outline_of(path)

    def on(self, name: str) -> Artifact:
        """Return the network on a runtime."""
        runtime = RUNTIMES[name]
        made, note, reason = self._path, "", ""
        unfit = runtime.unfit(self._path)
        if unfit and self._is_final:
            reason = f"{unfit}."
        elif unfit:
            try:
                made, note = self._converted(runtime.title, to_onnx=runtime.framework == "onnx")
            except LpotError as error:
                reason = str(error)
        return Artifact(
            name=f"{self._label} on {name}",
            label=self._label,
            model=self._path,
            runtime=name,
            file=made,
            precision="" if self._outline is None else self._outline.precision,
            note=note,
            reason=reason,
        )

    @property
    def _is_final(self) -> bool:
        return is_for_one(self._path) or framework_of(self._path).name == "onnx"

    def _converted(self, title: str, *, to_onnx: bool) -> tuple[Path, str]:
        """Return a file that another runtime reads, and what it is.

        Raises:
            LpotError: If none can be made.
        """
        reason = in_eight_bits(title, self._outline or self._opened_outline())
        if reason:
            raise ModelError(f"{reason}.")
        stem = self._label.replace("/", "-")
        if not to_onnx:
            return self._frozen(self._folder / f"{stem}.pb"), "frozen"
        from lpot_examples.backends.onnx.conversion.from_tensorflow import (
            convert,
            require_converter,
        )
        from lpot_examples.backends.onnx.model import save_proto

        self._tell(f"Converting {self._label} to ONNX for {title}…")
        made = save_proto(convert(self._network), self._folder / f"{stem}.onnx")
        return made, f"converted to ONNX by tf2onnx {require_converter()}"

    def _frozen(self, target: Path) -> Path:
        path: Path = self._network.save(target)
        outline = outline_of(path)
        if self._outputs or outline is None:
            return path
        if outline.outputs != self._network.output_names:
            raise ModelError(
                f"the outputs of {self._path} are {', '.join(self._network.output_names)}, which "
                "its frozen graph does not tell. Name them with --outputs."
            )
        return path

    @cached_property
    def _network(self) -> Any:
        from lpot_examples.backends.tensorflow.model import load_model

        return load_model(self._path, inputs=self._inputs, outputs=self._outputs)

    def _opened_outline(self) -> Outline:
        nodes = self._network.graph_def.node
        return Outline(
            inputs=self._network.input_names,
            outputs=self._network.output_names,
            ops=frozenset(node.op for node in nodes),
        )
