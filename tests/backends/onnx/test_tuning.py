"""The driver, the command line and the benchmark on ONNX networks."""

import json

import numpy as np
import pytest

from lpot_examples import EvaluationResult, Quantization, load_model, load_spec, tune
from lpot_examples.benchmark.runner import benchmark
from lpot_examples.errors import LpotError, SpecError
from lpot_examples.testing.onnx_networks import batches, encoder_network, image_network


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def conf(framework="onnxrt_qdq", **quantization):
    return {
        "model": {"name": "small", "framework": framework},
        "quantization": {"calibration": {"sampling_size": 16}, **quantization},
        "tuning": {"accuracy_criterion": {"relative": 0.05}},
    }


def write(folder, model):
    path = folder / "given.onnx"
    path.write_bytes(model.SerializeToString())
    return path


class Loader:
    """Batches with their channels last, as image loaders give them."""

    def __init__(self, *, last=True, model=None):
        self.last = last
        self.batches = [next(iter(one.values())) for one in batches(model or image_network())]
        self.batches *= 12

    def __iter__(self):
        for one in self.batches:
            yield (np.moveaxis(one, 1, -1) if self.last else one), None


class Closeness:
    """Scores how close outputs are to those of the network as given."""

    def __init__(self, model, loader):
        from lpot_examples.backends.onnx.framework import open_network

        self.loader = list(loader)[:4]
        network = open_network(model)
        self.wanted = [network(x) for x, _ in self.loader]

    def __call__(self, model):
        wrong = [
            np.abs(model(x) - y).mean() / np.abs(y).mean()
            for (x, _), y in zip(self.loader, self.wanted, strict=True)
        ]
        return EvaluationResult(score=1 - float(np.mean(wrong)), metric="closeness")


def run(config, path, loader):
    """Tune without a comparison of latencies: so small a network is slower in int8."""
    return tune(
        load_spec(config),
        path,
        loader,
        eval_func=Closeness(path, loader),
        output=path.with_name("int8.onnx"),
        benchmark_seconds=0,
    )


@pytest.mark.parametrize("framework", ["onnxrt_qdq", "onnxrt_qlinearops", "tensorflow"])
def test_tuning(here, framework):
    path = write(here, image_network())
    before = path.read_bytes()
    loader = Loader()
    result = run(conf(framework), path, loader)
    tuned = result.model
    assert result.met
    assert path.read_bytes() == before
    types = {node.op_type for node in tuned.proto.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= types
    report = json.loads((here / "int8.report.json").read_text())
    assert {op["precision"] for op in report["ops"]} == {"int8", "fp32"}
    x, _ = next(iter(loader))
    np.testing.assert_array_equal(load_model(here / "int8.onnx")(x), tuned(x))


def test_integer_ops_take_ranges_at_run_time(here):
    model = encoder_network()
    path = write(here, model)
    loader = Loader(last=False, model=model)
    result = run(conf("onnxrt_integerops"), path, loader)
    assert result.met
    types = {node.op_type for node in result.model.proto.graph.node}
    assert "DynamicQuantizeLinear" in types
    assert "QuantizeLinear" not in types


def test_specs_that_do_not_fit(here):
    path = write(here, image_network())
    loader = Loader()

    def refused(config, model=path, **options):
        return Quantization(config)(model, loader, eval_func=lambda _: 1.0, **options)

    with pytest.raises(SpecError, match="onnxrt_integerops has post_training_dynamic_quant only"):
        refused(conf("onnxrt_integerops", approach="post_training_static_quant"))
    with pytest.raises(SpecError, match="'post_training_auto_quant' is not supported for ONNX"):
        refused(conf(approach="post_training_auto_quant"))
    with pytest.raises(SpecError, match="needs an .onnx file, and the model is one of TensorFlow"):
        refused(conf(), model=here / "network.pb")
    with pytest.raises(LpotError, match=r"int8.pb must end in .onnx"):
        refused(conf(), output=here / "int8.pb")
    with pytest.raises(LpotError, match="is the input model itself"):
        refused(conf(), output=path)
    assert [one.name for one in here.iterdir()] == ["given.onnx"]


def test_neural_compressor_is_for_tensorflow(here):
    quantizer = Quantization(conf(), engine="neural_compressor")
    with pytest.raises(LpotError, match="this one is of ONNX; use --engine=lpot"):
        quantizer(write(here, image_network()), Loader(), eval_func=lambda _: 1.0)


def test_benchmark(here):
    path = write(here, image_network())
    other = here / "other.onnx"
    other.write_bytes(image_network(seed=1).SerializeToString())
    report = benchmark([path, other], iterations=6, warmup=1)
    assert set(report.latency) == {"given.onnx", "other.onnx"}
    assert all(one.p50 > 0 for one in report.latency.values())
