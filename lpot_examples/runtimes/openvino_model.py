"""A network that runs on OpenVINO, with the interface of the other runtimes' models.

What is not int8 in the network is computed in float32: by itself OpenVINO takes bfloat16 on CPUs
that have it, and quantizes the inputs of products with compressed weights.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino.frontend import FrontEndManager

from lpot_examples.backends.feeding import (
    Array,
    Feed,
    Fitting,
    Spec,
    check_names,
    mismatch,
)
from lpot_examples.backends.registry import framework_of
from lpot_examples.errors import DataError, ModelError
from lpot_examples.host import available_cores
from lpot_examples.runtimes.outline import outline_of
from lpot_examples.runtimes.table import is_for_one

# Compiling takes as long as hundreds of calls, but what is compiled for one shape runs much faster
# than what takes any. So many of them are kept, those used last.
_KEPT = 8

# A network of images of any size, which may be called with a new one each time, is compiled for so
# many shapes, and then once more for all further ones.
_STATIC_SHAPES = 4

# Lines of OpenVINO's errors that say where in its code they arose, or what to read.
_NOISE = re.compile(
    r"Exception from |Check '|FrontEnd API failed|Model wasn't|Summary:|To facilitate|While valid"
)


class OpenVinoModel(Fitting):
    """A network on OpenVINO. ``model(batch)`` runs it.

    Images may come with their channels last where the network has them first, and the size of a
    batch may be built into the network; see `backends.feeding.Fitting`.

    Args:
        network: The ``openvino.Model``; its outputs are those asked for.
        inputs: Names of its inputs, in the order in which arrays are given.
        outputs: Names of its outputs, in the order in which arrays are returned.
        threads: Threads; None uses every core.
        source: Where it came from, for messages.

    Raises:
        ModelError: If the network needs an input that is not among the names.
    """

    def __init__(
        self,
        network: Any,
        *,
        inputs: Sequence[str],
        outputs: Sequence[str],
        threads: int | None = None,
        source: str = "the model",
    ) -> None:
        self.source = source
        self.input_names = tuple(inputs)
        self.output_names = tuple(outputs)
        self._network = network
        self._threads = threads
        self._ports = _ports(network.inputs, self.input_names)
        unknown = len(network.inputs) - len(set(self._ports.values()))
        if unknown:
            raise ModelError(
                f"{source} needs {unknown} more input(s) than {', '.join(self.input_names)}. Name "
                "all of them, or none."
            )
        self._results = _ports(network.outputs, self.output_names)
        self._specs = {name: self._spec(name) for name in self.input_names}
        shapes = [(None,) * 2 if shape is None else shape for shape, _ in self._specs.values()]
        self._free = any(None in shape for shape in shapes)
        self._any_size = any(None in shape[1:] for shape in shapes)
        self._requests: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def run(self, outputs: Sequence[str], feed: Feed) -> list[Array]:
        """Run the network.

        Args:
            outputs: Names of outputs.
            feed: One array for a model of one input, or arrays by input name.

        Raises:
            DataError: If the arrays do not fit the model's inputs.
            ModelError: If it has no such output.
        """
        check_names(outputs, "output", self.output_names, self.source)
        return self._run_fitted(outputs, feed)

    def close(self) -> None:
        """Release the compiled networks' memory; a later call compiles again."""
        self._requests.clear()

    def _run(self, outputs: Sequence[str], arrays: Mapping[str, Array]) -> list[Array]:
        if any(not _fits(arrays[name], spec) for name, spec in self._specs.items()):
            raise DataError(f"{mismatch(arrays, self._specs)}.")
        given = {port: np.ascontiguousarray(arrays[name]) for name, port in self._ports.items()}
        try:
            request = self._request({port: array.shape for port, array in given.items()})
            # The arrays live until the call returns, so they need not be copied.
            found = request.infer(given, share_inputs=True)
        except RuntimeError as error:
            wrong = mismatch(arrays, self._specs)
            raise DataError(f"{wrong}. OpenVINO says: {said(error)}.") from error
        return [found[self._results[name]] for name in outputs]

    def _request(self, shapes: Mapping[int, tuple[int, ...]]) -> Any:
        """Return what runs the network on arrays of these shapes; compiled when first needed."""
        key: tuple[Any, ...] = tuple(shapes.values()) if self._free else ()
        if self._any_size and key not in self._requests and len(self._requests) >= _STATIC_SHAPES:
            key = ()
        if key not in self._requests:
            network = self._network
            if key:
                network = network.clone()
                network.reshape({port: list(shape) for port, shape in shapes.items()})
            compiled = _compiled(network, threads=self._threads)
            self._requests[key] = compiled.create_infer_request()
            if len(self._requests) > _KEPT:
                self._requests.popitem(last=False)
        self._requests.move_to_end(key)
        return self._requests[key]

    def _spec(self, name: str) -> Spec:
        if name not in self._ports:  # no output depends on it
            return None, np.dtype(np.float32)
        port = self._network.inputs[self._ports[name]]
        shape, dtype = port.partial_shape, np.dtype(port.element_type.to_dtype())
        if shape.rank.is_dynamic:
            return None, dtype
        return tuple(None if size.is_dynamic else size.get_length() for size in shape), dtype


def load_model(
    path: str | Path,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    threads: int | None = None,
) -> OpenVinoModel:
    """Read a network to run it on OpenVINO.

    Args:
        path: An ``.onnx`` file, a frozen ``.pb`` in fp32, or an IR (``.xml`` with its ``.bin``).
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        threads: Threads; None uses every core.

    Raises:
        ModelError: If OpenVINO cannot read it, or it lacks the names.
    """
    path = Path(path)
    outline = outline_of(path)
    if outline is None:
        raise ModelError(f"OpenVINO reads .onnx, .xml and frozen .pb files; {path} is neither.")
    inputs, outputs = (tuple(map(_plain, names)) for names in (inputs, outputs))
    frozen = framework_of(path).name == "tensorflow" and not is_for_one(path)
    read = _read_frozen if frozen else _read_whole
    try:
        network = read(path, inputs=inputs, outputs=outputs or outline.outputs)
    except ModelError:
        raise
    except Exception as error:  # its errors have no common base
        if type(error) is not RuntimeError and not _own(error):
            raise
        raise ModelError(
            f"OpenVINO {openvino_version()} cannot read {path}: {said(error)}."
        ) from error
    return OpenVinoModel(
        network,
        inputs=inputs or outline.inputs,
        outputs=outputs or outline.outputs,
        threads=threads,
        source=str(path),
    )


def openvino_version() -> str:
    """Return the version of OpenVINO, without that of its build."""
    return str(openvino.__version__).partition("-")[0]


def said(error: Exception) -> str:
    """Return what an error of OpenVINO says, on one line, without where in its code."""
    lines = [line.strip(" -") for line in str(error).splitlines()]
    useful = [line for line in lines if line and not _NOISE.match(line)]
    text = " ".join((useful or [line for line in lines if line] or [type(error).__name__])[:2])
    return text[:300].rstrip(". ")


def _read_whole(path: Path, *, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    network = openvino.Core().read_model(str(path))
    found = {name: result for result in network.results for name in _result_names(result)}
    check_names(outputs, "output", tuple(found), str(path))
    check_names(inputs, "input", tuple(n for port in network.inputs for n in port.names), str(path))
    wanted = {found[name].friendly_name for name in outputs}
    for result in network.results:
        if result.friendly_name not in wanted:
            network.remove_result(result)
    return network


def _read_frozen(path: Path, *, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """Convert the part of a graph between its inputs and the outputs."""
    frontend = FrontEndManager().load_by_framework("tf")
    graph = frontend.load(str(path))
    listed = {_plain(name) for place in graph.get_inputs() for name in place.get_names()}
    if set(inputs) - listed:
        graph.override_all_inputs([_place(graph, name, "input", path) for name in inputs])
    graph.override_all_outputs([_place(graph, name, "output", path) for name in outputs])
    return frontend.convert(graph)


def _place(graph: Any, name: str, kind: str, path: Path) -> Any:
    place = graph.get_place_by_tensor_name(name if ":" in name else f"{name}:0")
    if place is None:
        outline = outline_of(path)
        found = (outline.inputs if kind == "input" else outline.outputs) if outline else ()
        check_names([name], kind, found, str(path))
    return place


def _compiled(network: Any, *, threads: int | None) -> Any:
    """Compile for one stream of as many threads as asked for, two on a core if need be."""
    return openvino.Core().compile_model(
        network,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads or len(available_cores()),
            "ENABLE_HYPER_THREADING": True,
            "INFERENCE_PRECISION_HINT": "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        },
    )


def _ports(ports: Sequence[Any], names: Sequence[str]) -> dict[str, int]:
    """Return the index of the input or output of each name that there is."""
    found = {_plain(name): index for index, port in enumerate(ports) for name in port.names}
    return {name: found[name] for name in names if name in found}


def _result_names(result: Any) -> set[str]:
    names: set[str] = result.input_value(0).names
    return names


def _fits(array: Array, spec: Spec) -> bool:
    shape, dtype = spec
    if array.dtype != dtype:
        return False
    return shape is None or (
        len(shape) == array.ndim
        and all(want in (None, size) for want, size in zip(shape, array.shape, strict=True))
    )


def _plain(name: str) -> str:
    return name.strip().removesuffix(":0")


def _own(error: Exception) -> bool:
    return "openvino" in type(error).__module__
