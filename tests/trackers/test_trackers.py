"""What trackers record of a run, and that none of them can end it."""

import sys
import types

import numpy as np
import pytest

from lpot_examples.errors import LpotError
from lpot_examples.events import Listener
from lpot_examples.spec import load_spec
from lpot_examples.testing.fake_backend import FakeNetwork, tune_fake
from lpot_examples.trackers.choice import with_trackers
from lpot_examples.trackers.mlflow import MlflowTracker
from lpot_examples.trackers.tensorboard import TensorBoardTracker, histogram
from lpot_examples.trackers.tracker import Guarded, Tracker

NETWORK = FakeNetwork(harm={"a": 0.02, "b": 1e-4, "c": 1e-4})
SPEC = {"model": {"name": "net", "framework": "tensorflow"}}


class Remembering(Listener):
    def __init__(self):
        self.warnings, self.notes = [], []

    def warning(self, text):
        self.warnings.append(text)

    def note(self, text):
        self.notes.append(text)


class FakeClient:
    """An ``MlflowClient`` that remembers, and fails where it is told to."""

    broken = ""
    calls: list = []

    def __getattr__(self, name):
        def call(*arguments, **options):
            if name == self.broken:
                raise ConnectionError("the server is gone")
            self.calls.append((name, *arguments, options))
            if name == "create_run":
                return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"))
            return None if name == "get_experiment_by_name" else "7"

        return call


@pytest.fixture
def mlflow(monkeypatch):
    monkeypatch.setattr(FakeClient, "calls", [])
    monkeypatch.setattr(FakeClient, "broken", "")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    module = types.ModuleType("mlflow")
    module.MlflowClient = FakeClient
    module.get_tracking_uri = lambda: "http://server"
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return FakeClient


def events(folder):
    """Read event files back: {tag: {step: value or histogram}}."""
    import tensorflow as tf

    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                got = value.histo if value.HasField("histo") else value.simple_value
                found.setdefault(value.tag, {})[event.step] = got
    return found


def test_tensorboard_gets_scalars_of_every_trial_and_histograms(tmp_path):
    values = {"fp32.fake": np.array([[0.0, 1.0, 1.0]]), "int8.fake": np.int8([[-127, 0, 127]])}

    def weights(path):
        yield "conv", values["fp32.fake" if path.name == "fp32.fake" else "int8.fake"]

    logs = tmp_path / "logs"
    tracker = TensorBoardTracker(logs, 3, source=tmp_path / "fp32.fake", weights=weights)
    result = tune_fake(NETWORK, tmp_path / "w", listener=tracker)
    tracker.ended()
    found = events(logs)
    history = result.report["search"]["history"]
    assert len(history) > 1
    assert found["trial/accuracy"][0] == pytest.approx(0.8)
    for trial in history:
        step = trial["index"]
        assert found["trial/accuracy"][step] == pytest.approx(trial["score"], rel=1e-6)
        assert found["trial/loss"][step] == pytest.approx(trial["loss"], rel=1e-5, abs=1e-9)
        assert found["trial/int8_groups"][step] == 3 - len(trial["config"]["fp32"])
    assert "trial/latency_ms" not in found  # it was not measured
    assert found["final/accuracy"][0] == pytest.approx(result.report["accuracy"]["int8"])
    fp32 = found["weights/fp32/conv"][0]
    assert (fp32.num, fp32.sum, fp32.min, fp32.max) == (3, 2, 0, 1)
    assert found["weights/int8/conv"][0].min == -127


def test_a_histogram_counts_everything():
    values = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
    found = histogram(values)
    assert sum(found.bucket) == found.num == 35
    assert found.sum == pytest.approx(float(values.sum()), rel=1e-5)
    assert found.bucket_limit[-1] == pytest.approx(found.max)
    assert sum(histogram(np.full((2, 2), 127, np.int8)).bucket) == 4  # all the same


def test_mlflow_gets_parameters_metrics_and_files(tmp_path, mlflow):
    tracker = MlflowTracker("net", 3, parameters={"seed": 1978, "long": "x" * 900})
    result = tune_fake(NETWORK, tmp_path, listener=tracker)
    tracker.ended()
    names = [call[0] for call in mlflow.calls]
    assert names[:2] == ["get_experiment_by_name", "create_experiment"]
    assert ("log_param", "r1", "seed", "1978", {}) in mlflow.calls
    assert ("log_param", "r1", "long", "x" * 500, {}) in mlflow.calls
    accuracy = {
        call[-1]["step"]: call[3]
        for call in mlflow.calls
        if call[0] == "log_metric" and call[2] == "accuracy"
    }
    history = result.report["search"]["history"]
    assert accuracy == {0: 0.8} | {trial["index"]: trial["score"] for trial in history}
    files = [call[2] for call in mlflow.calls if call[0] == "log_artifact"]
    assert sorted(path.rsplit("/", 1)[1] for path in files) == [
        "fake-int8.fake",
        "fake-int8.report.html",
        "fake-int8.report.json",
    ]
    assert mlflow.calls[-1] == ("set_terminated", "r1", {"status": "FINISHED"})


def test_mlflow_knows_that_a_run_failed(tmp_path, mlflow):
    tracker = MlflowTracker("net", 3, parameters={})

    def score(model):
        raise ValueError("no data")

    with pytest.raises(LpotError):
        tune_fake(NETWORK, tmp_path, listener=tracker, eval_func=score)
    tracker.ended()
    assert mlflow.calls[-1] == ("set_terminated", "r1", {"status": "FAILED"})


def test_mlflow_must_be_there_and_reachable(mlflow, monkeypatch):
    mlflow.broken = "create_run"
    with pytest.raises(LpotError, match="cannot record to http://server: the server is gone"):
        MlflowTracker("net", 3, parameters={})
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(LpotError, match=r"pip install 'lpot-examples\[mlflow\]'"):
        MlflowTracker("net", 3, parameters={})


def test_a_tracker_that_fails_is_told_once_and_the_run_goes_on(tmp_path, mlflow):
    mlflow.broken = "log_metric"
    listener = Remembering()
    guarded = Guarded(MlflowTracker("net", 3, parameters={}), listener)
    assert tune_fake(NETWORK, tmp_path, listener=guarded).met is True
    assert len(listener.warnings) == 1
    assert "MLflow records nothing more of this run: the server is gone" in listener.warnings[0]


def test_interrupts_are_not_taken_for_failures():
    class Interrupting(Tracker):
        def ended(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guarded(Interrupting(1), Remembering()).ended()


def test_the_spec_and_the_option_choose(tmp_path, mlflow):
    listener = Remembering()
    given = {"folder": tmp_path, "groups": 3, "source": None, "weights": None}
    plain = load_spec(SPEC)
    assert with_trackers(listener, plain, mlflow=False, **given) is listener
    wanted = load_spec({**SPEC, "tuning": {"tensorboard": True}})
    assert wanted.notes == ()
    chosen = with_trackers(listener, wanted, mlflow=True, **given)
    tune_fake(NETWORK, tmp_path / "w", listener=chosen)
    chosen.ended()
    assert "trial/accuracy" in events(tmp_path / "tensorboard")
    assert ("log_param", "r1", "strategy", plain.tuning.strategy.name, {}) in mlflow.calls
    assert any("tensorboard --logdir=" in note for note in listener.notes)


def test_weights_are_read_from_files():
    from pathlib import Path

    from lpot_examples.backends.tensorflow.constants import stored_weights

    digits = Path(__file__).parents[2] / "classification" / "digits" / "digits.pb"
    found = dict(stored_weights(digits))
    assert len(found) == 9
    assert all(array.ndim >= 2 and array.dtype == np.float32 for array in found.values())
