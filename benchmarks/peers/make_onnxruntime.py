"""Makes ONNX Runtime's int8 model: tf2onnx, its own preprocessing, static QDQ quantization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers.task import Images, Task, run

_OPSET = 17  # per-channel weights need 13
_LARGE = 10_000_000  # bytes of a constant; only VGG's matrices are larger


def make(task: Task) -> None:
    """Write the int8 model, per channel and with 7-bit weights (``reduce_range``)."""
    with task.stage("import"):
        import onnx
        import tf2onnx  # noqa: F401 (used in convert; it brings TensorFlow)
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._feeds: Iterator[dict[str, Images]] = (
                {f"{task.inputs[0]}:0": images} for images in task.batches(8)
            )

        def get_next(self) -> dict[str, Images] | None:
            return next(self._feeds, None)

    fp32 = task.target.with_name("fp32.onnx")
    prepared = task.target.with_name("prepared.onnx")
    with task.stage("convert"):
        convert(task, fp32)
    with task.stage("preprocess"):
        task.facts["symbolic shapes"] = prepare(fp32, prepared)
    with task.stage("quantize"):
        quantize_static(
            str(prepared),
            str(task.target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
        )
    ops = Counter(node.op_type for node in onnx.load(task.target).graph.node)
    task.facts["ops"] = dict(sorted(ops.items()))
    fp32.unlink()
    prepared.unlink()


def prepare(fp32: Path, prepared: Path) -> bool:
    """Fold and annotate as ONNX Runtime advises; tell whether symbolic shapes were found.

    Where they are incomplete, it advises to leave them out.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    try:
        quant_pre_process(str(fp32), str(prepared))
    except Exception as error:
        if "Incomplete symbolic shape inference" not in str(error):
            raise
        quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)
        return False
    return True


def convert(task: Task, target: Path) -> None:
    """Write the fp32 network as ONNX, with the input in NHWC as it is given.

    Large weights go around tf2onnx, whose passes copy every constant again and again: it sees them
    as inputs, and they become initializers of what it made.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx

    graph_def: Any = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(task.fp32.read_bytes())
    weights = {f"{name}:0": array for name, array in take_out_large(graph_def).items()}
    model, _ = tf2onnx.convert.from_graph_def(
        graph_def,
        input_names=[*(f"{name}:0" for name in task.inputs), *weights],
        output_names=[f"{name}:0" for name in task.outputs],
        opset=_OPSET,
    )
    for value in [value for value in model.graph.input if value.name in weights]:
        model.graph.input.remove(value)
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(weights[value.name], value.name)
        )
    onnx.save(model, target)


def take_out_large(graph_def: Any) -> dict[str, Images]:
    """Turn large constants of a graph into placeholders; return their values by name."""
    import tensorflow as tf

    values = {}
    for node in graph_def.node:
        if node.op == "Const" and node.ByteSize() > _LARGE:
            values[node.name] = value = tf.make_ndarray(node.attr["value"].tensor)
            node.op = "Placeholder"
            del node.attr["value"]
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    return values


if __name__ == "__main__":
    run(make)
