"""SavedModel folders, of TF1 (a graph and variables) and of TF2 (functions)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpot_examples.backends.tensorflow.formats.functions import freeze_signature
from lpot_examples.backends.tensorflow.formats.meta_graph import freeze_meta_graph
from lpot_examples.backends.tensorflow.formats.signature import Signature, choose_signature
from lpot_examples.backends.tensorflow.formats.weights import Weights
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError

_SERVE = "serve"


def load_saved_model(
    folder: Path, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
) -> TensorFlowModel:
    """Freeze one signature of a SavedModel.

    Args:
        folder: With ``saved_model.pb`` and the folder ``variables``.
        inputs: Names of the signature or of tensors; found when empty.
        outputs: Likewise.

    Raises:
        ModelError: If files are missing or damaged, if the names do not fit, or if it cannot be
            frozen.
    """
    source = str(folder)
    meta_graph = _meta_graph(_read(folder), source)
    functions = bool(meta_graph.object_graph_def.nodes)
    if functions and not outputs and not _signatures(meta_graph):
        raise ModelError(
            f"{source} has no signature, which says what goes in and comes out. Export it with one:"
            " tf.saved_model.save(model, folder, signatures=model.call.get_concrete_function(…))."
        )
    signature = choose_signature(meta_graph.signature_def, inputs, outputs, source=source)
    weights = None
    if functions or any(folder.glob("variables/variables.*")):
        weights = Weights(folder / "variables" / "variables", source)
    if functions and signature.outputs:
        return freeze_signature(
            folder, _name_of(meta_graph, signature), inputs=inputs, outputs=outputs
        )
    if not signature.outputs and not (inputs and outputs):
        raise ModelError(
            f"{source} has no signature, which says what goes in and comes out. Write the names of "
            "its tensors into the yaml: model.inputs and model.outputs."
        )
    return freeze_meta_graph(
        meta_graph.graph_def,
        weights,
        signature=signature,
        inputs=inputs,
        outputs=outputs,
        source=source,
    )


def _read(folder: Path) -> Any:
    """Return the ``SavedModel`` message."""
    import_tensorflow()
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    binary = folder / "saved_model.pb"
    path = binary if binary.exists() else folder / "saved_model.pbtxt"
    try:
        content = path.read_bytes()
        if path == binary:
            message.ParseFromString(content)
        else:
            text_format.Parse(content.decode(), message)
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}.") from error
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path} ({len(content):,} bytes) is not a whole SavedModel: it is truncated or of "
            "another format. Copy or download the folder again."
        ) from error
    if not message.meta_graphs:
        raise ModelError(f"{path} holds no graph. Export the network again.")
    return message


def _meta_graph(message: Any, source: str) -> Any:
    """Return the graph that is meant for serving."""
    graphs = list(message.meta_graphs)
    exact = [item for item in graphs if set(item.meta_info_def.tags) == {_SERVE}]
    serving = [item for item in graphs if _SERVE in item.meta_info_def.tags]
    for found in (exact, serving, graphs):
        if len(found) == 1:
            return found[0]
    tags = "; ".join(", ".join(item.meta_info_def.tags) or "no tag" for item in graphs)
    raise ModelError(
        f"{source} holds {len(graphs)} graphs (tags: {tags}), and none is the one for serving; "
        f"export it with the tag '{_SERVE}'."
    )


def _signatures(meta_graph: Any) -> bool:
    return any(item.outputs for name, item in meta_graph.signature_def.items() if name[:2] != "__")


def _name_of(meta_graph: Any, signature: Signature) -> str:
    """Return under which name a signature is found in the SavedModel."""
    return next(
        str(name)
        for name, item in sorted(meta_graph.signature_def.items(), reverse=True)
        if {key: info.name for key, info in item.outputs.items()} == signature.outputs
        and {key: info.name for key, info in item.inputs.items() if info.name} == signature.inputs
    )
