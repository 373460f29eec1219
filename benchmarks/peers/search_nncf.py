"""NNCF's accuracy-aware quantization on OpenVINO: ``python -m peers.search_nncf``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from peers.search_peer import Peer, run


def search(peer: Peer) -> None:
    """Run ``quantize_with_accuracy_control`` with its defaults and the bar of the task."""
    import nncf
    import openvino as ov

    task = peer.task
    core = ov.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": len(task["cores"])})
    model = ov.convert_model(task["fp32"])
    shape = model.inputs[0].partial_shape
    shape[0] = 1
    model.reshape(shape)

    def outputs(compiled: Any, rows: list[int]) -> list[Any]:
        ports = [compiled.output(f"{name}:0") for name in task["outputs"]]
        found = [compiled(peer.validation[row : row + 1]) for row in rows]
        return [np.concatenate([one[port] for one in found]) for port in ports]

    def validate(compiled: Any, items: Iterable[int]) -> tuple[float, list[float]]:
        rows = [int(item) for item in items]
        score, values = peer.score(outputs(compiled, rows), rows)
        return score, values

    calibration = nncf.Dataset([image[None] for image in peer.calibration])
    rows = list(range(len(peer.validation)))
    validation = nncf.Dataset(rows, lambda row: peer.validation[row : row + 1])
    started = time.perf_counter()
    made = nncf.quantize_with_accuracy_control(
        model,
        calibration,
        validation,
        validate,
        max_drop=task["bar"],
        drop_type=nncf.DropType.RELATIVE,
        subset_size=len(peer.calibration),
    )
    search_s = time.perf_counter() - started
    ov.save_model(made, task["target"], compress_to_fp16=False)
    wall_s = peer.wall()
    ov.save_model(model, task["fp32_file"], compress_to_fp16=False)
    compiled = core.compile_model(task["target"], "CPU")
    peer.score(outputs(compiled, rows), rows, certify=True)
    plain = nncf.quantize(model, calibration, subset_size=len(peer.calibration))
    ov.save_model(plain, task["all_int8"], compress_to_fp16=False)
    versions = {"nncf": nncf.__version__, "openvino": ov.__version__.split("-")[0]}
    peer.done(search_s=search_s, wall_s=wall_s, facts=versions)


if __name__ == "__main__":
    run(search)
