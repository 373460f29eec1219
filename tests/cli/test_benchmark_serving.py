"""``run_benchmark.sh --mode=serving`` and ``--recommend``."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lpot_examples.cli import benchmark as command
from lpot_examples.cli import console
from lpot_examples.cli.benchmark_serving import Wanted, plot_target
from lpot_examples.errors import LpotError, OutputError

PICTURE = b"\x89PNG with the title lpot_examples: serving"


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """Two networks of ONNX in the current directory; the second one scores badly."""
    import onnx

    from lpot_examples.testing.onnx_networks import image_network

    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("good.onnx", "bad.onnx")):
        onnx.save(image_network(seed=seed), name)
    folder = tmp_path / "classification" / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.yaml").write_text("model: {name: tiny, framework: onnxrt_qdq}\n")
    (folder / "eval_func.py").write_text(
        "def build(*, dataset_location=None, batch_size=4, limit=None):\n"
        "    return lambda model: 0.5 if 'bad' in str(model.source) else 0.9\n"
    )
    return tmp_path


def words(text):
    """The text without its line breaks and boxes."""
    return " ".join(text.replace("│", " ").split())


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


def test_serving_gives_tables_a_picture_and_json(networks):
    (networks / "result.png").write_bytes(b"a picture of the user's")
    result = invoke(
        "--mode=serving",
        "--input_model=good.onnx,bad.onnx",
        "--batch-size=1,2",
        "--instances=1",
        "--cores_per_instance=1",
        "--seconds=1",
        "--latency-limit=500",
        "--output_json=result.json",
    )
    assert result.exit_code == 0, result.output
    for expected in (
        "Throughput with every instance busy",
        "Latency under load",
        "p99 under load within 500 ms",
        "good.onnx on onnxruntime",
        "1×1",
        "90 %",
    ):
        assert expected in result.stdout
    written = json.loads(Path("result.json").read_text())
    for name in ("good.onnx on onnxruntime", "bad.onnx on onnxruntime"):
        found = written["models"][name]
        assert {one["batch_size"] for one in found["settings"]} == {1, 2}
        assert found["load"][0]["points"][0]["latency_ms"]["p99"] > 0
        assert found["within_limit"]["samples_per_second"] > 0
    # What was there stays.
    assert written["plot"] == "result-2.png"
    assert Path("result-2.png").read_bytes().startswith(b"\x89PNG")
    assert (networks / "result.png").read_bytes() == b"a picture of the user's"


def test_a_recommendation_is_among_those_that_keep_the_bar(networks):
    result = invoke(
        "--recommend",
        "--topology=tiny",
        "--input_model=good.onnx,bad.onnx",
        "--runtime=onnxruntime",
        "--batch_size=1,2",
        "--seconds=1",
        "--output_json=result.json",
    )
    assert result.exit_code == 0, result.output
    text = words(result.stdout)
    assert "For latency (batch 1): good.onnx on ONNX Runtime with" in text
    assert "For throughput: good.onnx on ONNX Runtime" in text
    assert "missed, left out" in text
    assert "taskset -c 0" in text
    assert "intra_op_num_threads = " in text
    assert "not checked" not in text
    written = json.loads(Path("result.json").read_text())
    assert list(written["models"]) == ["good.onnx on onnxruntime"]
    chosen = written["recommendation"]["latency"]
    assert chosen["file"] == "good.onnx"
    assert chosen["runtime"] == "onnxruntime"
    assert chosen["environment"]["OMP_NUM_THREADS"] == str(chosen["chosen"]["cores_per_instance"])
    assert (
        written["recommendation"]["accuracy"]["bad.onnx on onnxruntime"]["accuracy"]["score"] == 0.5
    )
    assert not list(networks.glob("*.png"))


def test_without_data_it_says_that_accuracy_was_not_checked(networks):
    result = invoke(
        "--recommend",
        "--mode=benchmark",
        "--input_model=good.onnx",
        "--runtime=onnxruntime",
        "--batch_size=1",
        "--instances=1",
        "--seconds=1",
    )
    assert result.exit_code == 0, result.output
    text = words(result.stdout)
    assert "Accuracy was not checked: give --topology or --config" in text
    assert "the only one measured" in text


def test_several_numbers_are_for_serving_only():
    result = invoke("--mode=benchmark", "--input_model=a.onnx", "--batch_size=1,2")
    assert result.exit_code == 2
    assert "several are for --mode=serving" in words(result.output)
    for wrong in ("0", "1,x", ",", "-1"):
        result = invoke("--mode=serving", "--input_model=a.onnx", f"--batch_size={wrong}")
        assert result.exit_code == 2
        assert "is not a number from 1 on" in words(result.output)


def test_the_picture_replaces_only_its_own_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def target(plot="", *, tables=True, json=None):
        return plot_target(Wanted(tables=tables, recommend=False, plot=plot, output_json=json))

    assert target() == Path("serving.png")
    assert target(json=Path("out/r.json")) == Path("out/r.png")
    assert target(tables=False) is None
    assert target("none") is None
    assert target("p.svg", tables=False) == Path("p.svg")
    Path("serving.png").write_bytes(PICTURE)
    assert target() == Path("serving.png")
    Path("serving.png").write_bytes(b"the user's own")
    assert target() == Path("serving-2.png")
    for plot, message in (
        ("serving.png", "is not a plot of an earlier run"),
        ("p.jpg", "ends in .png or .svg"),
        ("nowhere/p.png", "a folder that exists"),
    ):
        with pytest.raises(OutputError, match=message):
            target(plot)


def test_without_matplotlib_only_a_picture_that_was_asked_for_is_an_error(monkeypatch):
    from lpot_examples.cli import benchmark_serving

    monkeypatch.setattr(benchmark_serving.importlib.util, "find_spec", lambda name: None)
    assert plot_target(Wanted(tables=True, recommend=False)) is None
    with pytest.raises(OutputError, match="pip install matplotlib"):
        plot_target(Wanted(tables=True, recommend=False, plot="p.png"))
