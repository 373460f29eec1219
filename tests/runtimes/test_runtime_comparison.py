import json
from pathlib import Path

import numpy as np
import pytest

from lpot_examples.benchmark.stats import LatencyStats
from lpot_examples.cli import console
from lpot_examples.cli.benchmark_tables import print_comparison
from lpot_examples.evaluation.bars import Bars
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.host import host_info
from lpot_examples.runtimes.artifacts import Artifact
from lpot_examples.runtimes.comparison import Comparison
from lpot_examples.testing.timings import quiet

# Milliseconds and score by name; None for what cannot be run.
MEASURED = {
    "fp32.pb on tensorflow": (20.0, 0.500),
    "int8.pb on tensorflow": (8.0, 0.498),
    "int8.pb on openvino": (None, None),
    "int8.onnx on onnxruntime": (4.0, 0.496),
    "int8.onnx on openvino": (2.0, 0.480),
}
REASON = "OpenVINO does not know TensorFlow's int8 ops."


def comparison(measured=MEASURED, *, timed=True, scored=True, higher=True):
    found, latency, scores = [], {}, {}
    rng = np.random.default_rng(0)
    for name, (milliseconds, score) in measured.items():
        label, _, runtime = name.partition(" on ")
        reason = REASON if milliseconds is None else ""
        note = "converted" if runtime == "onnxruntime" else ""
        found.append(
            Artifact(
                name=name,
                label=label,
                model=Path("models") / label,
                runtime=runtime,
                file=Path(label),
                precision=label[:4],
                reason=reason,
                note=note,
            )
        )
        if milliseconds is not None:
            rounds = tuple(milliseconds * rng.uniform(0.97, 1.03, 10) for _ in range(12))
            latency[name] = LatencyStats(rounds_ms=rounds)
            scores[name] = EvaluationResult(score=score, metric="mAP", samples=64)
    bars = Bars(criterion=Criterion(relative=0.01, higher_is_better=higher))
    return Comparison(
        artifacts=found,
        report=quiet(latency) if timed else None,
        scores=scores if scored else {},
        bars=bars if scored else None,
    )


def printed(found, capsys, monkeypatch, *, width=120):
    monkeypatch.setenv("COLUMNS", str(width))
    console.results.cache_clear()
    print_comparison(found)
    return capsys.readouterr().out


def test_the_fastest_and_the_fastest_within_the_bar(capsys, monkeypatch):
    found = comparison()
    assert found.fastest.artifact.name == "int8.onnx on openvino"
    assert found.recommended.artifact.name == "int8.onnx on onnxruntime"
    assert [row.met for row in found.rows] == [True, True, None, True, False]
    assert found.rows[4].change == pytest.approx(-0.04)
    out = printed(found, capsys, monkeypatch)
    assert "keeps the bar (at most 1 % relative loss) is int8.onnx on ONNX Runtime with" in out
    assert "Faster, but it misses the bar: int8.onnx on OpenVINO" in out
    assert f"int8.pb on OpenVINO cannot be run: {REASON}" in out
    assert "int8.onnx on ONNX Runtime: converted." in out
    assert "! misses the bar" in out
    content = json.loads(json.dumps(found.to_dict()))
    assert (content["fastest"], content["fastest_within_bar"]) == (
        "int8.onnx on openvino",
        "int8.onnx on onnxruntime",
    )
    entry = content["models"]["int8.onnx on onnxruntime"]
    assert (entry["runtime"], entry["precision"], entry["made"]) == (
        "onnxruntime",
        "int8",
        "converted",
    )
    assert entry["speedup"]["value"] == pytest.approx(5, rel=0.05)
    assert entry["accuracy"]["bar_met"] is True
    assert content["models"]["int8.pb on openvino"]["reasons"] == [REASON]


def test_what_is_not_told_apart_is_named_and_no_faster_one_claimed(capsys, monkeypatch):
    found = comparison({"a.pb on tensorflow": (4.01, 0.5), "a.onnx on openvino": (4.0, 0.4)})
    assert found.recommended.artifact.name == "a.pb on tensorflow"
    assert "Faster, but" not in printed(found, capsys, monkeypatch)
    found = comparison({"a.pb on tensorflow": (4.01, 0.5), "a.onnx on openvino": (4.0, 0.5)})
    assert "(not told apart from it: a." in printed(found, capsys, monkeypatch)


def test_scores_that_are_better_when_lower():
    found = comparison({"a on tensorflow": (4, 0.50), "b on tensorflow": (2, 0.51)}, higher=False)
    assert [row.met for row in found.rows] == [True, False]
    assert found.rows[1].change == pytest.approx(0.02)


def test_latency_alone_and_accuracy_alone(capsys, monkeypatch):
    out = printed(comparison(scored=False), capsys, monkeypatch)
    assert "The fastest is int8.onnx on OpenVINO" in out
    assert "was not measured" in out and "mAP" not in out
    out = printed(comparison(timed=False), capsys, monkeypatch)
    assert "These miss the bar (at most 1 % relative loss): int8.onnx on OpenVINO." in out
    assert "p50" not in out


def test_a_narrow_terminal_loses_nothing(capsys, monkeypatch):
    out = printed(comparison(), capsys, monkeypatch, width=80)
    table = out.partition(host_info().cpu)[0]
    assert "…" not in out
    assert max(map(len, table.splitlines())) <= 80
    for word in ("int8.onnx", "onnxruntime, int8", "-4.00% !", "samples/s", "cannot run"):
        assert word in out
