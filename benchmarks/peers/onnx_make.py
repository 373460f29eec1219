"""Makes peers' int8 files of an ONNX network: ``python -m peers.onnx_make job.json``.

The job: ``tool`` (a key of `MAKERS`), ``fp32`` (file), ``images`` (``.npy``, [n, c, h, w]),
``target`` (file to write), ``reduce_range`` (whether weights get 7 bits). ONNX Runtime gets the
network as its documentation advises: raised to opset 13 where it is older, through its own
preprocessing, and then ``quantize_static`` with QDQ and weights per channel.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]
Job = Mapping[str, Any]

_OPSET = 13  # the first with weight scales per channel


def main() -> None:
    """Make the file that the command line asks for."""
    job = json.loads(Path(sys.argv[1]).read_text())
    MAKERS[job["tool"]](job, np.load(job["images"]))


def prepared(fp32: Path, folder: Path) -> Path:
    """Return a network that ONNX Runtime's quantization and calibration can start from."""
    import onnx
    from onnx import version_converter
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = onnx.load(fp32)
    if model.opset_import[0].version < _OPSET:
        model = version_converter.convert_version(model, _OPSET)
        model.ir_version = max(model.ir_version, 7)
    weights = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    raised, target = folder / "raised.onnx", folder / "prepared.onnx"
    onnx.save(model, raised)
    quant_pre_process(str(raised), str(target), skip_symbolic_shape=True)
    return target


def reader(fp32: Path, images: Images) -> Any:
    """Return a calibration data reader of one image at a time."""
    from onnxruntime import InferenceSession
    from onnxruntime.quantization import CalibrationDataReader

    name = InferenceSession(str(fp32), providers=["CPUExecutionProvider"]).get_inputs()[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._feeds: Iterator[dict[str, Images]] = ({name: one[None]} for one in images)

        def get_next(self) -> dict[str, Images] | None:
            return next(self._feeds, None)

    return Reader()


def _onnxruntime(job: Job, images: Images, *, method: str) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, quantize_static

    target = Path(job["target"])
    start = prepared(Path(job["fp32"]), target.parent)
    quantize_static(
        str(start),
        str(target),
        reader(start, images),
        quant_format=QuantFormat.QDQ,
        calibrate_method=CalibrationMethod[method],
        per_channel=True,
        reduce_range=job["reduce_range"],
    )


def _nncf(job: Job, images: Images) -> None:
    import nncf
    import openvino as ov

    model = ov.Core().read_model(job["fp32"])
    data = nncf.Dataset([{0: one[None]} for one in images])
    made = nncf.quantize(model, data, subset_size=len(images))
    ov.save_model(made, job["target"], compress_to_fp16=False)


MAKERS: Mapping[str, Callable[[Job, Images], None]] = {
    **{f"ort-{one.lower()}": partial(_onnxruntime, method=one)
       for one in ("MinMax", "Entropy", "Percentile")},
    "nncf": _nncf,
}  # fmt: skip
"""By the tool's name."""


if __name__ == "__main__":
    main()
