"""Networks in TF1 checkpoints: a graph (.meta) and its weights (.index and .data-…)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpot_examples.backends.tensorflow.formats.detect import checkpoint_files
from lpot_examples.backends.tensorflow.formats.meta_graph import freeze_meta_graph
from lpot_examples.backends.tensorflow.formats.signature import choose_signature
from lpot_examples.backends.tensorflow.formats.weights import Weights
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError

# A key of every checkpoint that TF2 writes, whose graph is Python code.
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def load_checkpoint(
    path: Path, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
) -> TensorFlowModel:
    """Freeze the network of a checkpoint.

    Args:
        path: The prefix of its files, or a folder: there the file ``checkpoint`` says which one is
            the latest, else there must be one only.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.

    Raises:
        ModelError: If files are missing or damaged, or the names do not fit.
    """
    prefix = _in_folder(path) if path.is_dir() else path
    meta = Path(f"{prefix}.meta")
    if not meta.is_file():
        raise ModelError(_no_graph(prefix, meta))
    source = str(prefix)
    weights = Weights(prefix, source)
    meta_graph = _read_meta(meta)
    signature = choose_signature(meta_graph.signature_def, inputs, outputs, source=source)
    return freeze_meta_graph(
        meta_graph.graph_def,
        weights,
        signature=signature,
        inputs=inputs,
        outputs=outputs,
        source=source,
    )


def _in_folder(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    prefixes = [path.with_suffix("") for path in files if path.suffix == ".meta"]
    latest = _latest(folder)
    if latest is not None and checkpoint_files(latest):
        return latest
    if len(prefixes) > 1:
        names = ", ".join(path.name for path in prefixes)
        raise ModelError(
            f"{folder} holds {len(prefixes)} checkpoints ({names}) and no file 'checkpoint' that "
            f"names the latest; give one of them, such as {prefixes[-1]}."
        )
    if prefixes:
        return prefixes[0]
    if latest is not None:
        raise ModelError(
            f"{folder / 'checkpoint'} names {latest.name}, of which no file is in {folder}. Copy "
            "the .meta, .index and .data files as well."
        )
    others = [path for path in files if path.suffix == ".index" or ".data-" in path.name]
    if not others:
        raise ModelError(
            f"{folder / 'checkpoint'} cannot be understood, and {folder} holds no .meta, .index "
            "and .data files. Copy the whole checkpoint."
        )
    name = others[0].name.split(".data-")[0].removesuffix(".index")
    return folder / name


def _latest(folder: Path) -> Path | None:
    """Return the prefix that the file ``checkpoint`` names, moved to this folder, or None."""
    tf = import_tensorflow()
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except (tf.errors.OpError, ValueError):  # unreadable: the only .meta there is decides
        state = None
    if state is None or not state.model_checkpoint_path:
        return None
    return folder / Path(state.model_checkpoint_path).name


def _no_graph(prefix: Path, meta: Path) -> str:
    text = f"{prefix} holds weights without a graph: {meta.name} is missing."
    if _is_of_tf2(prefix):
        return (
            f"{text} TF2 keeps the graph in Python; export the network as a SavedModel "
            "(tf.saved_model.save, or model.export of Keras) and give that folder."
        )
    return f"{text} Give the checkpoint together with its .meta file, or the frozen .pb."


def _is_of_tf2(prefix: Path) -> bool:
    try:
        return _OBJECT_GRAPH in Weights(prefix, str(prefix)).shapes
    except ModelError:  # then the missing graph is still what to tell
        return False


def _read_meta(path: Path) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import meta_graph_pb2

    meta_graph = meta_graph_pb2.MetaGraphDef()
    try:
        meta_graph.ParseFromString(path.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}.") from error
    except DecodeError as error:
        raise ModelError(
            f"{path} ({path.stat().st_size:,} bytes) is not a whole graph: it is truncated or of "
            "another format. Copy or download the checkpoint again."
        ) from error
    return meta_graph
