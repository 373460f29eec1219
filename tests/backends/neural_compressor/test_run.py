"""Whole runs of the engine, with a fake in Neural Compressor's place."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from lpot_examples import LpotError, Quantization, load_model, tune
from lpot_examples.backends.neural_compressor.backend import NeuralCompressorBackend
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.data.digits import load_digits
from lpot_examples.errors import EmitError
from lpot_examples.events import Listener
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.spec import load_spec

DIGITS = Path(__file__).parents[3] / "classification" / "digits" / "digits.pb"
CONV = "digits_1/conv2_1/convolution"


class Log(Listener):
    def __init__(self):
        self.notes, self.trials = [], []

    def note(self, text):
        self.notes.append(text)

    def trial(self, trial, *, again):
        self.trials.append((trial, again))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, compressor):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    monkeypatch.setattr("lpot_examples.conclusion.measure", lambda *_, **__: None)
    return tmp_path


def run(folder, *, allowed=0.01, engine="neural_compressor", size=20, quantization=None, **others):
    digits = load_digits("validation")
    calibration = {"calibration": {"sampling_size": size}, **(quantization or {})}
    spec = load_spec(
        {
            "model": {"name": "digits", "framework": "tensorflow", "outputs": "logits"},
            "quantization": calibration,
            "tuning": {"accuracy_criterion": {"relative": allowed}},
        },
        overrides={"tuning.workspace.path": str(folder)},
    )
    images = load_digits("train").images

    def score(model):
        return float((model(digits.images).argmax(1) == digits.labels).mean())

    data = [images[start : start + 10] for start in range(0, 60, 10)]
    log = Log()
    others = {"listener": log, "benchmark_seconds": 0, "eval_func": score, **others}
    return tune(spec, DIGITS, data, engine=engine, **others), log


def test_report_and_journal_name_the_engine(here):
    result, log = run(here / "w", allowed=0.9)
    assert result.met
    assert result.report["engine"] == "neural_compressor 0.fake"
    assert result.report["calibration"]["samples"] == 20
    assert any("the engine is neural_compressor 0.fake" in note for note in log.notes)
    started = json.loads((here / "w" / "journal.jsonl").read_text().splitlines()[0])
    assert started["identity"]["engine"] == "neural_compressor 0.fake"
    # Only what certification needs is left.
    assert not [*here.rglob("*.tmp"), *here.rglob("fp32.pb")]
    written = load_model(result.path)
    image = np.zeros((1, 8, 8, 1), np.float32)
    assert not np.array_equal(written(image), load_model(DIGITS)(image))


def test_the_configuration_claims_nothing_that_the_engine_does_not_do(here):
    result, _ = run(here / "w", allowed=0.9)
    config = result.report["config"]
    assert config["equalization"] == 0
    assert not config["bias_correction"]
    assert (config["activation_algorithm"], config["weight_algorithm"]) == ("minmax", "minmax")


def test_a_failure_is_a_failed_trial_and_the_search_goes_around_it(here, compressor):
    compressor.trouble = {CONV}
    result, log = run(here / "w", allowed=0.9)
    first = log.trials[0][0]
    assert first.score is None
    assert first.error == f"Neural Compressor failed: '{CONV}' is too much"
    assert result.met
    assert CONV in result.report["config"]["fp32"]
    assert result.report["search"]["history"][0]["error"] == first.error


def test_a_failed_trial_is_tried_again_when_the_run_continues(here, compressor):
    compressor.trouble = {CONV}

    class Stop(Log):
        def trial(self, trial, *, again):
            raise KeyboardInterrupt

    with pytest.raises(LpotError, match="stopped"):
        run(here / "w", allowed=0.9, listener=Stop())
    compressor.trouble = set()
    log = Log()
    result, _ = run(here / "w", allowed=0.9, listener=log)
    assert "continued" in " ".join(log.notes)
    assert [(trial.met, again) for trial, again in log.trials] == [(True, False)]
    assert result.met


def test_a_continued_run_reads_the_calibration_data_again(here):
    class Stop(Log):
        def trial(self, trial, *, again):
            raise KeyboardInterrupt

    with pytest.raises(LpotError, match="stopped"):
        run(here / "w", allowed=0.9, listener=Stop())
    result, log = run(here / "w", allowed=0.9)
    assert "statistics of this model and data are in the cache." in log.notes
    assert log.trials[0][1]
    assert result.met


def test_the_engines_are_not_continued_by_each_other(here):
    class Stop(Log):
        def trial(self, trial, *, again):
            raise KeyboardInterrupt

    with pytest.raises(LpotError, match="stopped"):
        run(here / "w", listener=Stop())
    result, log = run(here / "w", engine="lpot")
    assert any("unfinished run of another model" in note for note in log.notes)
    assert result.report["engine"] == "lpot"


def test_a_network_that_never_works_says_why(here, compressor):
    compressor.trouble = {"digits_1/classes_1/MatMul"}
    groups = {"op_wise": {"digits_1/classes_1/MatMul": {"weight": {"dtype": "int8"}}}}
    with pytest.raises(LpotError, match="Neural Compressor failed: 'digits_1/classes_1/MatMul'"):
        run(here / "w", quantization=groups)


def test_many_failures_without_a_success_end_the_run(here, compressor):
    network = load_model(DIGITS)
    backend = NeuralCompressorBackend(network, INSTRUCTION_SETS["avx2"], version="0.fake")
    backend.start(here / "files", [np.zeros((4, 8, 8, 1), np.float32)])
    compressor.trouble = {CONV}
    names = [group.name for group in backend.op_graph.quantizable if group.name != CONV]
    configs = [TuningConfig(fp32=frozenset(pair)) for pair in itertools.combinations(names, 2)]
    statistics = Statistics({}, 4)
    for config in configs[:9]:
        for _ in range(2):  # what has failed is not attempted again
            with pytest.raises(EmitError):
                backend.emit(config, statistics)
    assert len(compressor.requests) == 9
    with pytest.raises(LpotError, match="no network of any of 10 configurations") as caught:
        backend.emit(configs[9], statistics)
    assert not isinstance(caught.value, EmitError)
    backend.close()
    assert not (here / "files").exists()


def test_networks_are_kept_for_a_while(here, compressor):
    backend = NeuralCompressorBackend(
        load_model(DIGITS), INSTRUCTION_SETS["avx2"], version="0.fake"
    )
    backend.start(here / "files", [np.zeros((4, 8, 8, 1), np.float32)])
    names = [group.name for group in backend.op_graph.quantizable]
    configs = [TuningConfig(fp32=frozenset(pair)) for pair in itertools.combinations(names, 2)]
    for config in [*configs[:9], configs[8], configs[1], configs[0]]:
        backend.emit(config, Statistics({}, 4)).close()
    assert len(compressor.requests) == 10  # the first had gone to make room
    assert len([*(here / "files").glob("*.pb")]) == 9  # eight and the fp32 network
    backend.close()


def test_more_sampling_sizes_than_one(here):
    result, _ = run(here / "w", size=[5, 20], allowed=0.9)
    assert result.report["calibration"]["samples"] in (5, 20)


@pytest.mark.parametrize(
    ("quantization", "message"),
    [
        ({"model_wise": {"activation": {"algorithm": "mse"}}}, "by mse with the engine neural_com"),
        ({"model_wise": {"weight": {"algorithm": "mse"}}}, "weight scales cannot be chosen by mse"),
        ({"op_wise": {CONV: {"weight": {"bit": 7}}}}, f"bits of weights \\(op '{CONV}'\\)"),
        ({"op_wise": {CONV: {"activation": {"algorithm": "mse"}}}}, f"range of '{CONV}'"),
    ],
)
def test_what_the_engine_does_not_have_is_refused(here, quantization, message):
    with pytest.raises(LpotError, match=message):
        run(here / "w", quantization=quantization)
    assert not (here / "w").exists()


def test_the_target_cannot_be_chosen(here):
    with pytest.raises(LpotError, match="--target_isa has no meaning"):
        run(here / "w", target_isa="avx2")


def test_the_drivers_keyword(here):
    digits = load_digits("train").images
    quantizer = Quantization(engine="neural_compressor")
    quantizer(DIGITS, [digits[:10]], output=here / "out.pb")
    assert quantizer.result.report["engine"] == "neural_compressor 0.fake"
