"""A frozen graph of TensorFlow as an ONNX network, by tf2onnx within this process.

    input [n, h, w, c] ─► Conv2D ─► BiasAdd ─► Relu6 ─► output      becomes
    input [n, h, w, c] ─► Transpose ─► Conv ─► Clip ─► Transpose ─► output

with images in the order of ONNX's kernels between the two Transposes, which tf2onnx moves to the
ends. Inputs and outputs keep names, shapes and order.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lpot_examples.errors import LpotError, ModelError

if TYPE_CHECKING:
    from lpot_examples.backends.tensorflow.model import TensorFlowModel

OPSET = 17
"""The opset of converted networks: what tf2onnx knows well and every runtime of today reads."""

# Free dimensions, as tf2onnx names them.
_FREE = "unk__"

# What the nodes are called behind which tensors are looked for in the result.
_MARK = "lpot_mark"

# Ops that can pad what they read.
_PADDED = ("Conv", "AveragePool", "MaxPool")

# Ops that give the values they read, in another order at most.
_SAME_VALUES = ("Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class Converted:
    """A converted network whose inner tensors are known.

    Attributes:
        proto: As `convert` returns it.
        names: Tensor of ``proto`` to the tensor of the graph that has the same values, perhaps in
            another order of dimensions.
    """

    proto: Any
    names: Mapping[str, str]


def convert(model: TensorFlowModel, *, opset: int = OPSET) -> Any:
    """Convert a frozen graph.

    Args:
        model: The graph, with its inputs and outputs; not changed.
        opset: Of the result, 13 or higher.

    Returns:
        A checked ``ModelProto`` whose inputs and outputs have the names, the shapes and the order
        of the model's own; a free first dimension stays free.

    Raises:
        ModelError: If an op has no form in ONNX, or tf2onnx cannot convert the graph.
        LpotError: If tf2onnx is not installed.
    """
    from lpot_examples.backends.onnx.reading import check_model

    proto = _converted(model, opset)
    _refuse_unconverted(proto, model.source)
    _tidy(proto, model)
    check_model(proto, f"{model.source} as ONNX")
    return proto


def convert_tracked(
    model: TensorFlowModel, tensors: Iterable[str], *, opset: int = OPSET
) -> Converted:
    """Convert a frozen graph, and find inner tensors of it in the result.

    tf2onnx merges and renames ops, but never outputs. So for the conversion each tensor gets a
    reader that is an output; where this one is found in the result, the tensor is in front of it.

    Args:
        model: The graph; not changed.
        tensors: The tensors to find.
        opset: See `convert`.

    Raises:
        ModelError: As `convert`.
    """
    from lpot_examples.backends.onnx.clean import remove_unreachable
    from lpot_examples.backends.onnx.reading import check_model

    known = {*model.input_names, *model.output_names}
    marked, marks = _marked(model, sorted(set(tensors) - known))
    proto = _converted(marked, opset)
    _refuse_unconverted(proto, model.source)
    _tidy(proto, model)
    names = _found(proto, {**marks, **{name: name for name in known}})
    kept = [one for one in proto.graph.output if one.name not in marks]
    kept = [type(one).FromString(one.SerializeToString()) for one in kept]
    del proto.graph.output[:]
    proto.graph.output.extend(kept)
    remove_unreachable(proto)
    new = _unmarked(proto, marks)
    check_model(proto, f"{model.source} as ONNX")
    left = {*(name for node in proto.graph.node for name in node.output), *known}
    found = {new.get(name, name): tensor for name, tensor in names.items()}
    return Converted(proto, {name: tensor for name, tensor in found.items() if name in left})


def require_converter() -> str:
    """Return the version of tf2onnx.

    Raises:
        LpotError: If it is not installed.
    """
    try:
        import tf2onnx
    except ImportError as error:
        raise LpotError(
            f"a network of TensorFlow becomes an .onnx file by tf2onnx, which cannot be imported "
            f"({error}); pip install tf2onnx."
        ) from error
    return str(tf2onnx.__version__)


def _converted(model: TensorFlowModel, opset: int) -> Any:
    from lpot_examples.backends.tensorflow.model import first_line
    from lpot_examples.backends.tensorflow.runtime import import_tensorflow

    tf = import_tensorflow()
    version = require_converter()
    from tf2onnx import optimizer, tf_loader, tfonnx

    inputs, outputs = _tensors(model.input_names), _tensors(model.output_names)
    names = {name: _plain(name) for name in (*inputs, *outputs)}
    with _quiet():
        try:
            with tf.Graph().as_default():
                reduced = tf_loader.tf_optimize(inputs, outputs, model.graph_def)
            with tf.Graph().as_default() as graph:
                tf.import_graph_def(reduced, name="")
                found = tfonnx.process_tf_graph(
                    graph,
                    continue_on_error=True,  # what is not converted is looked for afterwards
                    opset=opset,
                    input_names=inputs,
                    output_names=outputs,
                    tensors_to_rename=names,
                )
            return optimizer.optimize_graph(found).make_model("network")
        except Exception as error:  # of any kind: it gives no error of its own
            raise ModelError(
                f"tf2onnx {version} cannot convert {model.source} to ONNX: {first_line(error)}."
            ) from error


def _marked(
    model: TensorFlowModel, tensors: Sequence[str]
) -> tuple[TensorFlowModel, dict[str, str]]:
    """Return a model with an output behind each tensor, and the tensors by these outputs' names."""
    from lpot_examples.backends.tensorflow.model import TensorFlowModel

    graph_def = type(model.graph_def)()
    graph_def.CopyFrom(model.graph_def)
    marks: dict[str, str] = {}
    for number, tensor in enumerate(tensors):
        mark = graph_def.node.add(name=f"{_MARK}_{number}", op="Identity", input=[tensor])
        (name,) = _tensors([tensor])
        mark.attr["T"].type = model.graph.get_tensor_by_name(name).dtype.as_datatype_enum
        marks[mark.name] = tensor
    outputs = (*model.output_names, *marks)
    marked = TensorFlowModel(
        graph_def, inputs=model.input_names, outputs=outputs, source=model.source, checked=True
    )
    return marked, marks


def _found(proto: Any, ends: Mapping[str, str]) -> dict[str, str]:
    """Return the tensors in front of ends, through ops that keep values; the nearest end counts."""
    from lpot_examples.backends.onnx.proto import is_standard

    makers = {tensor: node for node in proto.graph.node for tensor in node.output}
    found = dict(ends)
    frontier = dict(ends)
    while frontier:
        reached: dict[str, str] = {}
        for name, tensor in frontier.items():
            maker = makers.get(name)
            if maker is not None and is_standard(maker, *_SAME_VALUES):
                reached.setdefault(maker.input[0], tensor)
        frontier = {name: tensor for name, tensor in reached.items() if name not in found}
        found |= frontier
    return found


def _unmarked(proto: Any, marks: Mapping[str, str]) -> dict[str, str]:
    """Rename tensors that are read under the name of a mark; return their new names."""
    from lpot_examples.backends.onnx.proto import subgraphs

    taken = {name for node in proto.graph.node for name in node.output}
    new: dict[str, str] = {}
    for node in proto.graph.node:
        for index, name in enumerate(node.output):
            if name in marks:
                (wanted,) = _tensors([marks[name]])
                while wanted in taken:
                    wanted += "_"
                taken.add(wanted)
                node.output[index] = new[name] = wanted
        inner = list(subgraphs(node))
        for reader in (node, *(one for graph in inner for one in graph.node)):
            for index, name in enumerate(reader.input):
                reader.input[index] = new.get(name, name)
        for output in (one for graph in inner for one in graph.output):
            output.name = new.get(output.name, output.name)
    return new


def _refuse_unconverted(proto: Any, source: str) -> None:
    """Refuse a network in which ops of TensorFlow are left."""
    import onnx

    from lpot_examples.backends.onnx.proto import STANDARD, opset, subgraphs

    version = opset(proto)
    nodes = [*proto.graph.node]
    nodes += [one for node in nodes for graph in subgraphs(node) for one in graph.node]
    left = {
        node.op_type: node.name or node.output[0]
        for node in nodes
        if node.domain not in {*STANDARD, "ai.onnx.ml"}
        or (node.domain in STANDARD and not onnx.defs.has(node.op_type, version, ""))
    }
    if left:
        first, where = next(iter(left.items()))
        others = f", nor have {', '.join(sorted(left)[:8])}" if len(left) > 1 else ""
        raise ModelError(
            f"{source} cannot become an .onnx file: its op {first} (node '{where}') has no form in "
            f"opset {version} that tf2onnx {require_converter()} knows{others}."
        )


def _tidy(proto: Any, model: TensorFlowModel) -> None:
    """Give inputs the order of the model's own, name their free first dimension, drop imports."""
    order = {name: index for index, name in enumerate(model.input_names)}
    given = sorted(proto.graph.input, key=lambda one: order.get(one.name, len(order)))
    kept = [type(one).FromString(one.SerializeToString()) for one in given]
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    for one in proto.graph.input:
        sizes = one.type.tensor_type.shape.dim
        if sizes and sizes[0].dim_param.startswith(_FREE):
            sizes[0].dim_param = "batch"
    _separate_pads(proto)
    for node in proto.graph.node:
        if node.op_type == "Resize":
            _modernize(node)
    used = {"", *(node.domain for node in proto.graph.node)}
    imports = [one for one in proto.opset_import if one.domain in used]
    del proto.opset_import[:]
    proto.opset_import.extend(imports)


def _separate_pads(proto: Any) -> None:
    """Give each reader a Pad of its own, which runtimes make a part of it; tf2onnx merges them."""
    from lpot_examples.backends.onnx.proto import copy_of_node, is_standard, read_by

    readers: dict[str, list[Any]] = {one.name: [] for one in proto.graph.output}
    for node in proto.graph.node:
        for name in dict.fromkeys(read_by(node)):
            readers.setdefault(name, []).append(node)
    outputs = {one.name for one in proto.graph.output}
    nodes = []
    for node in proto.graph.node:
        nodes.append(node)
        if not is_standard(node, "Pad") or node.output[0] in outputs:
            continue
        for number, reader in enumerate(readers.get(node.output[0], [])[1:], 1):
            if not is_standard(reader, *_PADDED):
                continue
            own = copy_of_node(node)
            own.name, own.output[0] = f"{node.name}/own{number}", f"{node.output[0]}/own{number}"
            reader.input[0] = own.output[0]
            nodes.append(own)
    nodes = [copy_of_node(node) for node in nodes]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def _modernize(resize: Any) -> None:
    """Write TensorFlow's way to enlarge by repetition as newer opsets do: the same values."""
    from lpot_examples.backends.onnx.proto import attribute

    mode, rounding = "coordinate_transformation_mode", "nearest_mode"
    if (attribute(resize, mode), attribute(resize, rounding)) != ("tf_half_pixel_for_nn", "floor"):
        return
    new = {mode: b"half_pixel", rounding: b"round_prefer_ceil"}
    for one in resize.attribute:
        if one.name in new:
            one.s = new[one.name]


def _tensors(names: Sequence[str]) -> list[str]:
    return [name if ":" in name else f"{name}:0" for name in names]


def _plain(name: str) -> str:
    return name.removesuffix(":0")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what tf2onnx logs: what matters of it is said in errors of this project."""
    logger = logging.getLogger("tf2onnx")
    level, propagates = logger.level, logger.propagate
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        logger.propagate = propagates
