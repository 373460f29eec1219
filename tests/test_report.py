"""What the report says about latency, and that it is one file that is whole or not there."""

import json

import numpy as np
import pytest

from lpot_examples.cli.tune_tables import print_result
from lpot_examples.errors import OutputError
from lpot_examples.report.build import measure, write_report
from lpot_examples.testing.fake_backend import FakeNetwork, tune_fake
from lpot_examples.testing.timings import timed

NETWORK = FakeNetwork(harm={"a": 1e-4, "b": 1e-4})


@pytest.mark.parametrize(
    ("ratios", "words", "slower"),
    [
        (np.linspace(1.4, 1.6, 8), "1.50x, faster;", False),
        (np.linspace(0.6, 0.8, 8), "0.70x, SLOWER than fp32;", True),
        (np.linspace(0.9, 1.12, 8), "1.01x, about as fast as fp32;", False),
        (np.linspace(0.88, 1.1, 8), "0.99x, about as fast as fp32;", False),
    ],
)
def test_no_more_is_claimed_than_was_measured(tmp_path, monkeypatch, capsys, ratios, words, slower):
    monkeypatch.setattr("lpot_examples.conclusion.Conclusion._measure", lambda *_: timed(ratios))
    result = tune_fake(NETWORK, tmp_path)
    latency = result.report["latency_ms"]
    assert latency["slower_than_fp32"] is slower
    assert latency["faster_than_fp32"] is ("faster" in words)
    assert latency["speedup_interval"]["low"] <= latency["speedup"]
    print_result(result)
    shown = capsys.readouterr().out
    assert words in shown
    assert ("the int8 model is SLOWER than fp32" in shown) is slower
    assert json.loads(result.report_path.read_text()) == json.loads(json.dumps(result.report))


def test_the_table_without_latency_or_accuracy(tmp_path, capsys):
    print_result(tune_fake(NETWORK, tmp_path, eval_func=None))
    shown = capsys.readouterr().out
    assert "accuracy NOT checked" in shown
    assert "latency p50" not in shown


def test_the_table_of_trials_is_shown_when_the_bar_is_missed(tmp_path, capsys):
    hopeless = FakeNetwork(harm={"a": 0.3})
    print_result(tune_fake(hopeless, tmp_path, spec={"tuning.exit_policy.max_trials": 1}))
    shown = capsys.readouterr().out
    assert "the accuracy bar is NOT met" in shown
    assert "1 trial, 2 full evaluations" in shown
    assert "missed" in shown
    assert "not-certified" in shown


def test_a_report_is_valid_json_or_not_written(tmp_path):
    path = tmp_path / "x.report.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report({"score": float("nan")}, path)
    with pytest.raises(OutputError, match="cannot write the report"):
        write_report({}, tmp_path / "nowhere" / "x.json")
    assert not [*tmp_path.iterdir()]


def test_the_scratch_folder_of_the_benchmark_is_removed(tmp_path, monkeypatch):
    given = {}

    def compare(models, **options):
        with np.load(options["input_file"]) as arrays:
            given.update(arrays)
        raise KeyboardInterrupt

    monkeypatch.setattr("lpot_examples.benchmark.runner.compare", compare)
    sample = {"image": np.ones((4, 2)), "switch": np.bool_(True), "table": np.ones((3, 2))}
    with pytest.raises(KeyboardInterrupt):
        measure(
            {"fp32": tmp_path, "int8": tmp_path},
            inputs=(),
            outputs=(),
            sample=sample,
            seconds=1,
            precision=0.03,
            folder=tmp_path / "scratch",
            progress=lambda done, total: None,
        )
    assert {name: array.shape for name, array in given.items()} == {
        "image": (1, 2),
        "switch": (),
        "table": (3, 2),
    }
    assert not [*tmp_path.iterdir()]
