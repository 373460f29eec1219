"""Makes OpenVINO's int8 model: its own converter and NNCF's default quantization."""

from __future__ import annotations

from collections import Counter

from peers.task import CALIBRATION, Task, run


def make(task: Task) -> None:
    """Write the int8 model."""
    with task.stage("import"):
        import nncf
        import openvino as ov

    with task.stage("convert"):
        model = ov.convert_model(str(task.fp32))
    images = [{0: image} for image in task.batches(1)]
    with task.stage("quantize"):
        made = nncf.quantize(model, nncf.Dataset(images), subset_size=CALIBRATION)
    # Weights stay as NNCF left them: int8 already, the others not squeezed to 16 bits.
    ov.save_model(made, task.target, compress_to_fp16=False)
    ops = Counter(op.get_type_name() for op in made.get_ops())
    task.facts = {"ops": {op: n for op, n in sorted(ops.items()) if op != "Constant"}}


if __name__ == "__main__":
    run(make)
