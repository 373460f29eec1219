import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lpot_examples.benchmark.pool import BenchmarkError
from lpot_examples.cli import benchmark as command
from lpot_examples.cli import console
from lpot_examples.errors import LpotError, ModelError, OutputError


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """Two frozen graphs of the same input: one convolution, and eight."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("graphs")
    for layers in (8, 1):
        with tf.Graph().as_default() as graph:
            x = tf.compat.v1.placeholder(tf.float32, [None, 32, 32, 8], name="image")
            for _ in range(layers):
                x = tf.nn.relu(tf.nn.conv2d(x, tf.ones([3, 3, 8, 8]) / 72, 1, "SAME"))
            tf.identity(x, name="scores")
        (folder / f"conv{layers}.pb").write_bytes(graph.as_graph_def().SerializeToString())
    return folder


@pytest.fixture
def topology(tmp_path, monkeypatch, graphs):
    """A topology folder in the current directory, with conv1 embedded."""
    folder = tmp_path / "classification" / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.yaml").write_text(
        "model: {name: tiny, framework: tensorflow, inputs: image, outputs: scores}\n"
        "evaluation: {performance: {warmup: 2, iteration: 12,"
        " configs: {inter_num_of_threads: 2}, dataloader: {batch_size: 3,"
        " dataset: {dummy: {shape: [3, 32, 32, 8]}}}}}\n"
    )
    (folder / "tiny.pb").write_bytes((graphs / "conv1.pb").read_bytes())
    (folder / "eval_func.py").write_text(
        "import numpy as np\n"
        "from lpot_examples.evaluation.result import EvaluationResult\n"
        "def build(*, dataset_location=None, batch_size=4, limit=None):\n"
        "    def evaluate(model, *, progress=None):\n"
        "        score = float(model(np.ones((batch_size, 32, 32, 8), np.float32)).mean())\n"
        "        progress(batch_size, batch_size)\n"
        "        return EvaluationResult(score=score, metric='warmth', samples=batch_size,\n"
        "                                details={'peak': 1.0})\n"
        "    return evaluate\n"
    )
    monkeypatch.chdir(tmp_path)
    return "tiny"


def invoke(*arguments):
    app = typer.Typer(pretty_exceptions_enable=False)
    command.register(app)
    app.command("other")(lambda: None)
    console.results.cache_clear()
    console.messages.cache_clear()
    result = CliRunner().invoke(app, ["benchmark", *map(str, arguments)])
    if isinstance(result.exception, LpotError):
        raise result.exception
    return result


@pytest.mark.alone
def test_two_models_are_timed_against_each_other(graphs, tmp_path):
    result = invoke(
        f"--input_model={graphs}/conv8.pb,{graphs}/conv1.pb",
        "--mode=benchmark",
        "--iters=30",
        "--cores-per-instance=1",
        f"--output-json={tmp_path}/result.json",
    )
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "result.json").read_text())
    speedup = written["models"]["conv1.pb"]["speedup"]["value"]
    assert speedup > 1.5
    assert f"{speedup:.2f}x" in result.stdout
    for word in ("conv8.pb", "conv1.pb", "p50", "p90", "p99", "1 thread,", "oneDNN"):
        assert word in result.stdout
    assert written["models"]["conv1.pb"]["latency_ms"]["iterations"] >= 18
    assert written["versions"]["tensorflow"]


def test_a_topology_brings_its_model_and_its_spec_the_settings(topology, tmp_path):
    result = invoke("--topology=tiny", "--batch_size=2", "--output_json=result.json")
    assert result.exit_code == 0, result.output
    written = json.loads(Path("result.json").read_text())
    assert list(written["models"]) == ["tiny.pb"]
    assert written["batch_size"] == 2
    assert "inter_num_of_threads is not used" in result.stderr
    assert written["models"]["tiny.pb"]["latency_ms"]["iterations"] >= 12


def test_accuracy_is_scored_by_the_topology(topology, graphs, tmp_path):
    result = invoke(
        "--topology=tiny",
        f"--input_model={graphs}/conv1.pb,{graphs}/conv8.pb",
        "--mode=accuracy",
        "--batch_size=5",
        "--output_json=result.json",
    )
    assert result.exit_code == 0, result.output
    models = json.loads(Path("result.json").read_text())["models"]
    one, eight = models[f"{graphs}/conv1.pb"], models[f"{graphs}/conv8.pb"]
    assert (one["metric"], one["samples"], one["details"]) == ("warmth", 5, {"peak": 1.0})
    assert f"{eight['score'] / one['score'] - 1:+.2%}" in result.stdout
    assert "peak 1.0000" in result.stderr


def test_networks_are_measured_on_every_runtime(topology, graphs):
    import onnx

    from lpot_examples.testing.onnx_networks import image_network

    onnx.save(image_network(), "other.onnx")
    arguments = (
        "--topology=tiny",
        f"--input_model={graphs}/conv1.pb,{graphs}/conv8.pb,other.onnx",
        "--runtime=tensorflow,onnxruntime,openvino",
        "--iters=12",
        "--inputs=image",
        "--outputs=scores",
        "--output_json=result.json",
    )
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    written = json.loads(Path("result.json").read_text())
    models = written["models"]
    runtimes = ("tensorflow", "onnxruntime", "openvino")
    names = [f"conv{n}.pb on {runtime}" for n in (1, 8) for runtime in runtimes]
    assert list(models)[:6] == names and written["baseline"] == names[0]
    for name in names:
        assert models[name]["latency_ms"]["iterations"] >= 12
        assert models[name]["accuracy"]["score"] == pytest.approx(
            models[f"{name[:8]} on tensorflow"]["accuracy"]["score"], rel=1e-4
        )
    assert models[names[1]]["made"].startswith("converted to ONNX by tf2onnx")
    assert "does not read" in models["other.onnx on tensorflow"]["reasons"][0]
    assert "no output 'scores'" in models["other.onnx on openvino"]["reasons"][0]
    assert written["versions"]["openvino"] and written["topology"] == "tiny"
    assert written["fastest_within_bar"] in names[:3]
    assert models[names[3]]["accuracy"]["bar_met"] is False
    assert "The fastest that keeps the bar (at most 1 % relative loss) is conv1.pb" in result.stdout
    assert "other.onnx on TensorFlow cannot be run" in result.stdout
    # Of either alone.
    result = invoke(*arguments[:4], "--mode=benchmark", *arguments[4:])
    assert "warmth" not in result.stdout and "speed-up" in result.stdout
    assert json.loads(Path("result.json").read_text())["fastest_within_bar"] is None
    result = invoke(*arguments, "--mode=accuracy")
    assert "warmth" in result.stdout and "speed-up" not in result.stdout
    assert json.loads(Path("result.json").read_text())["host"]["cpu"]


def test_runtimes_are_checked_before_anything_else(monkeypatch):
    with pytest.raises(LpotError, match="no runtime 'opnvino'. Did you mean 'openvino'"):
        invoke("--topology=nowhere", "--runtime=onnxruntime,opnvino")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LpotError, match=r"openvino needs .*run_benchmark\.sh --runtime=openvino"):
        invoke("--topology=nowhere", "--runtime=openvino")


def test_nothing_that_can_be_run_is_an_error(topology, graphs, tmp_path):
    import onnx

    from lpot_examples.testing.onnx_networks import image_network

    onnx.save(image_network(), tmp_path / "other.onnx")
    with pytest.raises(LpotError, match=r"other\.onnx on TensorFlow: TensorFlow does not read"):
        invoke(f"--input_model={tmp_path}/other.onnx", "--runtime=tensorflow")
    with pytest.raises(LpotError, match="--mode=accuracy needs --topology"):
        invoke(f"--input_model={graphs}/conv1.pb", "--runtime=openvino", "--mode=accuracy")


def test_mistakes_are_named_before_any_measurement(topology, tmp_path):
    with pytest.raises(LpotError, match="a model is required"):
        invoke("--mode=benchmark")
    with pytest.raises(LpotError, match="--mode=accuracy needs --topology"):
        invoke("--mode=accuracy", "--input_model=a.pb")
    with pytest.raises(LpotError, match="Did you mean 'tiny'"):
        invoke("--topology=tinny")
    (tmp_path / "classification" / "tiny" / "tiny.pb").unlink()
    with pytest.raises(LpotError, match=r"'tiny' has no embedded model.*--input_model"):
        invoke("--topology=tiny")
    with pytest.raises(ModelError, match=r"nowhere\.pb"):
        invoke("--input_model=nowhere.pb")
    with pytest.raises(BenchmarkError, match="need 1000000 cores"):
        invoke("--input_model=a.pb", "--cores_per_instance=1000000")
    assert invoke("--input_model=a.pb", "--iters=0").exit_code == 2


def test_an_unwritable_result_file_is_refused_before_any_measurement(tmp_path):
    with pytest.raises(OutputError, match=r"cannot write the result to nowhere/r\.json"):
        invoke("--input_model=nowhere.pb", "--output_json=nowhere/r.json")


def test_progress_off_a_terminal_is_a_line_now_and_then(monkeypatch, capsys):
    console.messages.cache_clear()
    now = iter([0.0, 1.0, 10.5, 11.0, 21.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with console.progress("Evaluating [a].pb", unit="images") as report:
        for done, total in ((1, 40), (2, 40), (3, 40), (4, None)):
            report(done, total)
    assert capsys.readouterr().err.splitlines() == [
        "Evaluating [a].pb: 2/40 images",
        "Evaluating [a].pb: 4 images",
    ]


def test_help_is_quick_and_loads_no_framework():
    code = (
        "import sys, typer; from lpot_examples.cli.benchmark import register;"
        "app = typer.Typer(); register(app);\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'tensorflow', 'numpy', 'pydantic'} & set(sys.modules)"
    )
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "--input_model" in done.stdout and "Examples" in done.stdout
