"""Kernels without VNNI add pairs of products in 16 bits; here they are run, by emulation."""

import numpy as np
import onnx
import pytest

from lpot_examples.backends.onnx.framework import backend, open_network
from lpot_examples.errors import LpotError
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.testing.emulation import emulator, run_elsewhere
from lpot_examples.testing.saturating_kernels import kernel_network, reference, steps


def emitted(network, isa):
    """The network with weights for an instruction set, all names with that in front."""
    made = backend(
        open_network(network.model), INSTRUCTION_SETS[isa], approach="post_training_static_quant"
    )
    statistics = made.calibrate(iter([dict(network.calibrating)]), sizes=[2])[2]
    proto = made.emit(TuningConfig(), statistics).proto
    return onnx.compose.add_prefix(proto, f"{isa}/")


def test_weights_for_avx2_are_exact_there_and_others_are_not(tmp_path):
    try:
        haswell = emulator()
    except LpotError as error:
        pytest.skip(str(error))
    network = kernel_network(every=4)
    both, other = emitted(network, "avx2"), emitted(network, "avx_vnni")
    for field in ("node", "initializer", "input", "output"):
        getattr(both.graph, field).extend(getattr(other.graph, field))
    batch = {one.name: network.batch[one.name.partition("/")[2]] for one in both.graph.input}
    path = tmp_path / "both.onnx"
    path.write_bytes(both.SerializeToString())
    wanted = reference(both, batch)
    (found,) = run_elsewhere(path, [batch], runtime="onnxruntime", on=haswell)
    step = steps(both, [wanted])
    kinds = {"avx2": set(), "avx_vnni": set()}
    for name in wanted:
        worst = float(np.abs(found[name] - wanted[name]).max()) / step[name]
        isa, _, output = name.partition("/")
        if worst > 1.01:  # beside rounding
            kinds[isa].add(network.kinds[output])
    assert not kinds["avx2"]
    exact = {"Conv, depthwise", "Conv, depthwise, zero point"}
    assert kinds["avx_vnni"] == set(network.kinds.values()) - exact
