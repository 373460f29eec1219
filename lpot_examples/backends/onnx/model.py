"""An ONNX network with named inputs and outputs, callable on a batch."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import external_data_helper

from lpot_examples.backends.feeding import Feed, Fitting, Spec, check_names, mismatch
from lpot_examples.backends.onnx.proto import Array, copy_of, dtype_of, own_inputs, shape_of
from lpot_examples.backends.onnx.reading import check_model, read_model
from lpot_examples.backends.onnx.runtime import (
    is_runtime_error,
    open_session,
    said,
    session_options,
)
from lpot_examples.errors import DataError, ModelError, OutputError

LARGEST = (1 << 31) - (1 << 24)
"""Bytes that fit one file, a message of protobuf; what is larger gets a second one for weights."""


class OnnxModel(Fitting):
    """An ONNX network. ``model(batch)`` runs it on ONNX Runtime.

    Images may come with their channels last, see `channels_first`. Where the size of a batch is
    built into the network, larger batches are run in parts.

    Args:
        proto: The ``ModelProto``; not copied, and never changed here. Of a ``path`` it may be
            without weights.
        inputs: Names of its inputs, to check; as the network lists them when empty.
        outputs: Names of its outputs; all when empty.
        threads: Threads inside one op; None uses every core.
        source: Where it came from, for messages.
        path: Its file, where it has one.

    Raises:
        ModelError: If the names do not fit the network; the message lists the candidates.
    """

    def __init__(
        self,
        proto: Any,
        *,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        threads: int | None = None,
        source: str = "the model",
        path: Path | None = None,
    ) -> None:
        self.proto = proto
        self.source = source
        self._path = path
        self._threads = threads
        self._sessions: dict[tuple[str, ...], Any] = {}
        self._specs = {one.name: (shape_of(one), dtype_of(one)) for one in own_inputs(proto.graph)}
        found = tuple(one.name for one in proto.graph.output)
        check_names(inputs, "input", tuple(self._specs), source)
        check_names(outputs, "output", found, source)
        if inputs and set(inputs) != set(self._specs):
            raise ModelError(
                f"{source} takes the inputs {', '.join(self._specs)}; the spec names "
                f"{', '.join(inputs)}. Name all of them, or none."
            )
        self.input_names = tuple(inputs) or tuple(self._specs)
        self.output_names = tuple(outputs) or found

    def output_spec(self, name: str) -> Spec:
        """Return the same of an output, as far as the file says it."""
        found = next(one for one in self.proto.graph.output if one.name == name)
        return shape_of(found), dtype_of(found)

    def run(self, outputs: Sequence[str], feed: Feed) -> list[Array]:
        """Run the network.

        Args:
            outputs: Names of tensors, inner ones included.
            feed: One array for a model of one input, or arrays by input name.

        Raises:
            DataError: If the arrays do not fit the model's inputs.
        """
        if not outputs:  # of which ONNX Runtime would make all outputs, or an error
            return []
        return self._run_fitted(outputs, feed)

    def save(self, path: str | Path) -> Path:
        """Write the network, whole or not at all.

        What does not fit one file gets a second one for its weights, ``<name>.data``.

        Raises:
            OutputError: If it cannot be written.
        """
        return save_proto(self.proto, Path(path))

    def with_weights(self) -> OnnxModel:
        """Return the model with all weights in memory, those that lie in other files, too.

        Raises:
            ModelError: If they cannot be read.
        """
        tensors = external_data_helper._get_all_tensors(self.proto)
        if self._path is None or not any(map(external_data_helper.uses_external_data, tensors)):
            return self
        return load_model(
            self._path,
            inputs=self.input_names,
            outputs=self.output_names,
            threads=self._threads,
            weights=True,
        )

    def close(self) -> None:
        """Release the sessions' memory; a later call opens new ones."""
        self._sessions.clear()

    def _run(self, outputs: Sequence[str], arrays: Mapping[str, Array]) -> list[Array]:
        try:
            found: list[Array] = self._session(outputs).run(list(outputs), dict(arrays))
        except Exception as error:  # its errors have no common base
            if not is_runtime_error(error) and not isinstance(error, (ValueError, RuntimeError)):
                raise
            wrong = mismatch(arrays, self._specs)
            raise DataError(f"{wrong}. ONNX Runtime says: {said(error)}.") from error
        return found

    def _session(self, outputs: Sequence[str]) -> Any:
        """Return a session that gives these tensors; inner ones are made outputs."""
        listed = {one.name for one in self.proto.graph.output}
        inner = tuple(sorted(set(outputs) - listed))
        if inner not in self._sessions:
            options = session_options(threads=self._threads)
            model: bytes | Path
            if self._path is not None and not inner:
                model = self._path
                self._sessions[inner] = open_session(model, options, source=self.source)
            else:
                with serialized(with_outputs(self.proto, inner)) as model:
                    self._sessions[inner] = open_session(model, options, source=self.source)
        return self._sessions[inner]


def load_model(
    path: str | Path,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    threads: int | None = None,
    weights: bool = False,
) -> OnnxModel:
    """Read a network to run it.

    Args:
        path: The ``.onnx`` file.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        threads: Threads inside one op; None uses every core.
        weights: Whether weights of other files are read here, and the network is checked; ONNX
            Runtime reads them by itself.

    Raises:
        ModelError: If it cannot be read, or lacks the names.
    """
    path = Path(path)
    proto = read_model(path, weights=weights)
    if weights:
        check_model(proto, str(path))
    names = {"inputs": tuple(inputs), "outputs": tuple(outputs)}
    return OnnxModel(proto, threads=threads, source=str(path), path=path, **names)


def with_outputs(proto: Any, names: Sequence[str]) -> Any:
    """Return a model that gives inner tensors, too; the same one if there are none."""
    if not names:
        return proto
    copied = copy_of(proto)
    copied.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copied


def is_large(proto: Any) -> bool:
    """Tell whether a model does not fit one file."""
    return bool(proto.ByteSize() >= LARGEST)


@contextlib.contextmanager
def serialized(proto: Any) -> Any:
    """Yield what a session can be opened from: the content, or a file where that is too large."""
    if not is_large(proto):
        yield proto.SerializeToString()
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        yield save_proto(proto, Path(folder) / "model.onnx")


def save_proto(proto: Any, target: Path, *, largest: int | None = None) -> Path:
    """Write a model, whole or not at all.

    Args:
        proto: With its weights in memory.
        target: The file; replaced if it exists.
        largest: Bytes that fit one file; `LARGEST` if None.

    Returns:
        The path written.

    Raises:
        OutputError: If it cannot be written.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if proto.ByteSize() < (LARGEST if largest is None else largest):
            temporary.write_bytes(proto.SerializeToString(deterministic=True))
            temporary.replace(target)
            return target
        temporary.mkdir()
        data = f"{target.name}.data"
        onnx.save_model(
            copy_of(proto),
            str(temporary / target.name),
            save_as_external_data=True,
            location=data,
            size_threshold=1024,
        )
        (temporary / data).replace(target.with_name(data))
        (temporary / target.name).replace(target)
    except OSError as error:
        raise OutputError(
            f"cannot write the model to {target}: {error.strerror}. "
            "Choose a place that is writable and has room."
        ) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return target
