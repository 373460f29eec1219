"""From a network as given to one that groups are found in; the given one is not changed.

1. local functions are inlined, and every node gets a name of its own;
2. the opset is raised to 13, the first that has scales per channel, where it is older;
3. ONNX Runtime's own optimizer of basic level folds constants and batch-norms and drops identities
   and dropout: what it gives runs as the network as given does, tests compare them;
4. shapes are inferred;
5. passes make what ONNX Runtime has slow kernels for, or none in int8, into what it has fast ones
   for.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import onnx
from onnx import inliner, shape_inference, version_converter

from lpot_examples.backends.onnx.model import is_large, save_proto
from lpot_examples.backends.onnx.passes import run_all
from lpot_examples.backends.onnx.proto import (
    STANDARD,
    attribute,
    copy_of,
    copy_of_node,
    name_nodes,
    opset,
    own_inputs,
    read_by,
)
from lpot_examples.backends.onnx.reading import read_model
from lpot_examples.backends.onnx.runtime import LEVELS, open_session, session_options
from lpot_examples.errors import ModelError

OPSET = 13
"""The first opset whose DequantizeLinear takes scales per channel."""

_IR_VERSION = 7  # the version of the file format that came with it

# These would turn MatMul into Gemm, with Reshapes where there are more dimensions; products have
# int8 kernels as they are.
_NOT_RUN = ("MatMulAddFusion",)


def clean(model: Any, *, outputs: tuple[str, ...], source: str) -> Any:
    """Return a cleaned copy of a model.

    Args:
        model: A checked ``ModelProto`` with its weights in memory; not changed.
        outputs: Names of the outputs that are wanted.
        source: Where it came from, for messages.

    Raises:
        ModelError: If it cannot be raised to a newer opset, or ONNX Runtime cannot run it.
    """
    copied = named(model)
    kept = [one for one in copied.graph.output if one.name in outputs]
    del copied.graph.output[:]
    copied.graph.output.extend(kept)
    copied = _upgraded(copied, source)
    _drop_listed_weights(copied)
    remove_unreachable(copied)
    optimized = _optimized(copied, source)
    name_nodes(optimized)
    _constants_to_initializers(optimized)
    _remove_unread(optimized)
    if is_large(optimized):
        return optimized  # shapes of what is so large are those that its file tells
    inferred = shape_inference.infer_shapes(optimized, data_prop=True)
    rewritten = run_all(inferred)
    _remove_unread(rewritten)
    return rewritten


def named(model: Any) -> Any:
    """Return a copy without local functions in which every node has a name of its own."""
    copied = inliner.inline_local_functions(model) if model.functions else copy_of(model)
    name_nodes(copied)
    return copied


def _upgraded(model: Any, source: str) -> Any:
    """Return the model in opset 13 or higher."""
    version = opset(model)
    if version >= OPSET:
        return model
    try:
        found = version_converter.convert_version(model, OPSET)
    except Exception as error:  # of its C++ code, without a common base
        said = " ".join(str(error).split())[:200].rstrip(".")
        raise ModelError(
            f"{source} is of opset {version}, and int8 weights with a scale per channel need "
            f"{OPSET}; onnx {onnx.__version__} cannot convert it: {said}. Export it again with "
            f"opset {OPSET} or higher."
        ) from error
    found.ir_version = max(found.ir_version, _IR_VERSION)
    return found


def _drop_listed_weights(model: Any) -> None:
    """Let weights be constants: older files list them as inputs, too, which could be given."""
    inputs = own_inputs(model.graph)
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def _optimized(model: Any, source: str) -> Any:
    """Return what ONNX Runtime's optimizer of basic level makes of a model."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.onnx", Path(folder) / "made.onnx"
        options = session_options(threads=1)
        options.graph_optimization_level = LEVELS.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(made)
        if is_large(model):
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", "made.data"
            )
        save_proto(model, given)
        open_session(given, options, source=source, disabled=_NOT_RUN)
        found = read_model(made)
    used = {*STANDARD, *(node.domain for node in found.graph.node)}
    imports = [one for one in found.opset_import if one.domain in used]
    del found.opset_import[:]
    found.opset_import.extend(imports)
    return found


def _constants_to_initializers(model: Any) -> None:
    graph = model.graph
    kept = []
    for node in graph.node:
        value = attribute(node, "value")
        if node.op_type == "Constant" and node.domain in STANDARD and value is not None:
            constant = graph.initializer.add()
            constant.CopyFrom(value)
            constant.name = node.output[0]
        else:
            kept.append(copy_of_node(node))
    del graph.node[:]
    graph.node.extend(kept)


def remove_unreachable(model: Any) -> None:
    """Remove the nodes that no output depends on; nodes are in order of execution."""
    wanted = {one.name for one in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            kept.append(copy_of_node(node))
            wanted.update(read_by(node))
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))
    _remove_unread(model)


def _remove_unread(model: Any) -> None:
    """Remove the constants that nothing reads."""
    read = {name for node in model.graph.node for name in read_by(node)}
    read |= {one.name for one in model.graph.output}
    constants = model.graph.initializer
    for index in reversed(range(len(constants))):
        if constants[index].name not in read:
            del constants[index]
