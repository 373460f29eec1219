"""What compile_peers.py makes of figures; the measuring itself is not repeated here."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import compile_peers  # noqa: E402
from peers import columns, make_network, measure, networks, store, summary, tables  # noqa: E402

from lpot_examples.benchmark.interleaved import Schedule  # noqa: E402
from lpot_examples.benchmark.stats import LatencyStats  # noqa: E402


def result(network="resnet50", *, error="", cosine=0.99, **milliseconds):
    """A result in which each column takes a constant time at batch 1."""
    stats = {
        name: LatencyStats(rounds_ms=tuple(np.full(2, float(ms)) for _ in range(6)))
        for name, ms in milliseconds.items()
    }
    found = {
        name: {
            "error": "",
            "made": {"seconds": {"quantize": 2.0}, "foreign": 0.5},
            "output": {"cosine": cosine if name == "inc" else 1.0, "sqnr_db": None},
            "latency_ms": {"1": {"p10": s.p50, "p50": s.p50, "p90": s.p90}},
        }
        for name, s in stats.items()
    }
    if error:
        found["ort"] = {"error": error, "made": {}, "latency_ms": {}}
    noise = {"1": {"quiet": False}}
    return {
        "network": network,
        "columns": found,
        "noise": noise,
        "ratios": {"1": measure.ratios(stats)},
    }


def test_goals_follow_from_the_ratios():
    results = [
        result("resnet50", fp32=100, ours=40, inc=80, ort=50, openvino=20),
        result("squeezenet", fp32=10, ours=11, inc=22, ort=44, openvino=1),
    ]
    found = summary.summarize(results)
    assert found["means"]["inc"]["all"] == pytest.approx(0.5)
    assert found["means"]["fp32"]["1"] == pytest.approx((0.4 * 1.1) ** 0.5)
    assert found["goals"]["inc"]["met"] is True
    assert found["goals"]["fp32"]["met"] is False
    # Only ResNet-50 and VGG-16 count, against the faster of the two.
    assert found["goals"]["best"] == {"limit": 1.10, "value": pytest.approx(2.0), "met": False}
    assert [row["column"] for row in found["best"]] == ["openvino", "openvino"]
    assert found["slower"] == [{"network": "squeezenet", "batch": 1, "ratio": pytest.approx(1.1)}]
    assert found["goals"]["slower"]["met"] is False


def test_goals_without_figures_are_neither_met_nor_missed():
    goals = summary.summarize([result(ours=40)])["goals"]
    assert {goal["met"] for goal in goals.values()} == {None}


def test_output_error_is_that_of_the_worst_output():
    rng = np.random.default_rng(0)
    y = rng.standard_normal((8, 10)).astype(np.float32)
    noisy = y + 0.1 * rng.standard_normal(y.shape).astype(np.float32)
    good = summary.output_error({"a": y}, {"a": y})
    assert good["cosine"] == pytest.approx(1)
    both = summary.output_error({"a": y, "b": y}, {"a": y, "b": noisy})
    assert both["sqnr_db"] == pytest.approx(20, abs=1.5)
    assert both["cosine"] < 0.999


def test_a_constant_offset_does_not_hide_an_error():
    y = np.random.default_rng(0).standard_normal((8, 10)) + 100
    assert summary.output_error({"a": y}, {"a": np.full_like(y, 100)})["sqnr_db"] < 1


@pytest.mark.parametrize("other", [np.full((8, 10), np.nan), np.zeros((8, 9))])
def test_wrong_outputs_have_no_similarity(other):
    y = np.ones((8, 10))
    assert summary.output_error({"a": y}, {"a": other}) == {"cosine": 0.0, "sqnr_db": None}


def test_tables_show_failures_noise_and_doubtful_outputs():
    results = [result(fp32=100, ours=40, inc=80, cosine=0.5, error="KeyError: [no such op]")]
    report = {
        "columns": ["fp32", "ours", "inc", "ort"],
        "batches": [1],
        "results": results,
        "summary": summary.summarize(results),
        "skipped": {"fastestdet": "needs data"},
        "cores": [0, 1],
        "host": {"cpu": "some CPU", "cpu_isa": "avx2"},
    }
    text = tables.render(report, markdown=True)
    assert "FAILED: resnet50, ort: KeyError: [no such op]" in text
    assert "80.0 (80.0–80.0) !" in text
    assert "40.0 (40.0–40.0) |" in text
    assert "ResNet-50 (noisy)" in text
    assert "~2.0" in text
    assert "yes (noisy)" in text
    assert "not measured: fastestdet: needs data" in text


@pytest.mark.parametrize(
    ("code", "timeout", "said"),
    [
        ("raise KeyError('x')", 60, "KeyError: 'x'"),
        ("import time; time.sleep(60)", 1, "timeout after 1 s"),
        ("import os; print('Warning'); os.kill(os.getpid(), 9)", 60, "ended by SIGKILL"),
    ],
)
def test_a_maker_that_fails_says_why(tmp_path, code, timeout, said):
    work = store.Store(work=tmp_path, data=None, cores=(0,), timeout=timeout)
    record = work._run([sys.executable, "-c", code], tmp_path)
    assert record["error"] == said


def test_results_are_kept_only_for_the_same_models_and_settings(tmp_path):
    artifacts = {"ours": store.Artifact(path=tmp_path, key="a", record={})}
    plan = measure.Plan(batches=(1,), schedule=Schedule(rounds=6), timeout=1)
    longer = measure.Plan(batches=(1,), schedule=Schedule(rounds=7), timeout=1)
    other = {"ours": store.Artifact(path=tmp_path, key="b", record={})}
    key = measure.result_key(artifacts, plan, [0])
    assert key == measure.result_key(artifacts, plan, [0])
    assert key != measure.result_key(artifacts, longer, [0])
    assert key != measure.result_key(other, plan, [0])


def test_images_are_seeded_and_within_bytes():
    images = make_network.smooth_images(2, size=32)
    assert images.shape == (2, 32, 32, 3)
    assert images.min() >= 0
    assert images.max() <= 255
    assert np.array_equal(images, make_network.smooth_images(2, size=32))
    assert not np.array_equal(images[0], images[1])


def test_networks_that_need_data_are_left_out_without_it(tmp_path):
    assert "squeezenet.pb" in networks.missing("squeezenet", tmp_path)
    assert not networks.missing("ssd_shapes", None)
    assert not networks.missing("resnet50", None)


def test_every_column_has_a_maker_and_an_environment():
    folder = Path(columns.__file__).parent
    for column in columns.COLUMNS.values():
        assert (folder / f"{column.maker}.py").is_file()
        for name in (column.maker_environment, column.runtime_environment):
            assert name == "own" or (folder / f"requirements-{name}.txt").is_file()


def test_options_are_checked():
    assert compile_peers._batches("1,8") == [1, 8]
    with pytest.raises(argparse.ArgumentTypeError, match="divide 8"):
        compile_peers._batches("3")
    with pytest.raises(argparse.ArgumentTypeError, match="'vgg' is none of"):
        compile_peers.names(networks.NETWORKS)("resnet50,vgg")
