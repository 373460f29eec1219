"""Further forms of a result: certified on their own, named for what they are, never in the way."""

import json

import pytest

from lpot_examples.emission import LARGEST_DEVIATION, Emission
from lpot_examples.errors import LpotError, OutputError
from lpot_examples.events import Listener
from lpot_examples.forms import beside, emissions, further_forms
from lpot_examples.report.document import parse_report
from lpot_examples.report.page import render
from lpot_examples.testing.fake_backend import FakeNetwork, FakeTransfer, emitting, tune_fake
from lpot_examples.workspace import report_path

# All int8 meets the bar of 0.008.
NETWORK = FakeNetwork(harm={"a": 0.002, "b": 0.003})
ALIKE = FakeNetwork(harm={"a": 0.002, "b": 0.004})
WORSE = FakeNetwork(harm={"a": 0.002, "b": 0.010})


class Heard(Listener):
    def __init__(self):
        self.warnings, self.notes = [], []

    def note(self, text):
        self.notes.append(text)

    def warning(self, text):
        self.warnings.append(text)


@pytest.fixture
def tuned(tmp_path):
    """Return a function that tunes and emits a second form; it returns the result and warnings."""

    def run(way, *, network=NETWORK, **options):
        listener = Heard()
        output = tmp_path / "out.pb"
        options = {"output": output, "listener": listener, **options}
        return tune_fake(
            network, tmp_path / "w", emissions=emitting(way), **options
        ), listener.warnings

    return run


def test_both_files_are_certified(tuned, tmp_path):
    result, warnings = tuned(FakeTransfer(ALIKE))
    own, other = result.report["artifacts"]
    assert result.certified is True
    assert not warnings
    assert (own["form"], own["runtime"], own["path"]) == ("pb", "fake", str(result.path))
    assert other["path"] == str(tmp_path / "out.other")
    assert own["accuracy"]["score"] == result.report["accuracy"]["int8"]
    # The score of the file itself, not of the one that was searched.
    written = json.loads((tmp_path / "out.other").read_text())["score"]
    assert other["accuracy"]["score"] == written < own["accuracy"]["score"]
    assert other["accuracy"]["fp32"] == own["accuracy"]["fp32"] == NETWORK.fp32_score
    assert other["groups"] == {"int8": 2, "fp32": 0}
    assert other["differences"]["groups"] == []
    assert json.loads(report_path(result.path).read_text())["artifacts"] == [own, other]


def test_a_form_that_misses_the_bar_is_named_so_and_spoils_nothing(tuned, tmp_path):
    result, warnings = tuned(FakeTransfer(WORSE))
    other = result.report["artifacts"][1]
    assert result.met is True
    assert result.certified is False
    assert result.path == tmp_path / "out.pb"
    assert other["met"] is False
    assert other["path"] == str(tmp_path / "out.not-certified.other")
    assert not (tmp_path / "out.other").exists()
    (warning,) = warnings
    assert "does NOT meet the bar" in warning
    assert f"--input_model={other['source']}" in warning
    assert "MISSES the bar" in render(result.report)
    # A later run that meets it takes the place of what the first one left.
    result, _ = tuned(FakeTransfer(ALIKE))
    assert result.certified is True
    assert (tmp_path / "out.other").exists()


def test_groups_without_a_counterpart_stay_fp32_and_are_listed(tuned):
    network = FakeNetwork(harm={"a": 0.002, "new": 0.5})
    result, _ = tuned(FakeTransfer(network, known=("a",)))
    other = result.report["artifacts"][1]
    assert other["met"]
    assert other["groups"] == {"int8": 1, "fp32": 1}
    (different,) = other["differences"]["groups"]
    assert (different["group"], different["here"]) == ("new", "fp32")
    assert different["reason"] == "nothing corresponds to it"
    assert other["differences"]["missing"] == ["b"]
    page = render(result.report)
    assert "nothing corresponds to it" in page
    entry = parse_report(result.report).artifacts[1]
    assert any("1 group is in another precision" in remark for remark in entry.remarks())


def test_another_network_is_not_certified(tuned, tmp_path):
    result, warnings = tuned(FakeTransfer(ALIKE, deviation=2 * LARGEST_DEVIATION))
    other = result.report["artifacts"][1]
    assert result.met is True
    assert result.certified is False
    assert other["path"] is None
    assert "not converted correctly" in other["error"]
    assert any("there is NO .other file" in text for text in warnings)
    assert not list(tmp_path.glob("out*.other"))


def test_an_evaluation_that_needs_tensorflow_says_what_to_do(tuned):
    def score(model):
        if model.config is not None and model.score == pytest.approx(ALIKE.fp32_score - 0.006):
            raise AttributeError("it has no graph_def")
        return model.score

    result, _ = tuned(FakeTransfer(ALIKE), eval_func=score)
    assert result.met is True
    assert "must score it by calling it" in result.report["artifacts"][1]["error"]


def test_without_an_evaluation_nothing_is_claimed(tuned):
    result, _ = tuned(FakeTransfer(ALIKE), eval_func=None)
    assert result.certified is None
    other = result.report["artifacts"][1]
    assert (other["met"], other["accuracy"]) == (None, None)
    assert other["path"].endswith("out.other")


def test_a_run_that_is_continued_does_not_evaluate_the_file_again(tuned, monkeypatch):
    scored = []

    def score(model):
        scored.append(model.score)
        return model.score

    real = Emission._measure

    def cut_off(self, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Emission, "_measure", cut_off)
    with pytest.raises(LpotError, match="complete but for the comparison of latency and further"):
        tuned(FakeTransfer(ALIKE), eval_func=score)
    before = len(scored)
    monkeypatch.setattr(Emission, "_measure", real)
    result, _ = tuned(FakeTransfer(ALIKE), eval_func=score)
    assert result.certified is True
    assert len(scored) == before


def test_samples_that_score_differently_are_counted(tuned):
    def score(model):
        right = [1.0] * 790 + [0.0] * 10
        if model.config is not None:
            right[0] = 0.0
        if model.score == pytest.approx(ALIKE.fp32_score - 0.006):
            right[:2] = 1.0, 0.0
        return sum(right) / 800, right

    result, _ = tuned(FakeTransfer(ALIKE), eval_func=score)
    assert result.report["artifacts"][1]["accuracy"]["differing"] == [2, 800]


class TestForms:
    @pytest.fixture
    def tensorflow(self):
        from lpot_examples.backends.registry import FRAMEWORKS

        return next(one for one in FRAMEWORKS if one.name == "tensorflow")

    @pytest.fixture
    def onnx(self):
        from lpot_examples.backends.registry import FRAMEWORKS

        return next(one for one in FRAMEWORKS if one.name == "onnx")

    def test_the_networks_own_form_is_always_made(self, tensorflow, onnx):
        assert further_forms((), tensorflow, engine="lpot") == ()
        assert further_forms(["pb"], tensorflow, engine="lpot") == ()
        assert further_forms(["onnx"], tensorflow, engine="lpot") == ("onnx",)
        assert further_forms([" PB", "onnx ", "onnx"], tensorflow, engine="lpot") == ("onnx",)
        assert further_forms(["onnx"], onnx, engine="lpot") == ()

    def test_what_cannot_be_made_is_refused(self, tensorflow, onnx):
        with pytest.raises(LpotError, match=r"takes onnx and pb.*'onx'.*Did you mean 'onnx'"):
            further_forms(["onx"], tensorflow, engine="lpot")
        with pytest.raises(LpotError, match=r"--emit=pb: a network in ONNX cannot become"):
            further_forms(["pb", "onnx"], onnx, engine="lpot")
        with pytest.raises(LpotError, match="use --engine=lpot, or leave onnx out"):
            further_forms(["onnx"], tensorflow, engine="neural_compressor")

    def test_where_files_go(self, tmp_path):
        assert beside(tmp_path / "a.b.pb", ".onnx") == tmp_path / "a.b.onnx"
        assert beside(tmp_path / "net.int8", ".onnx") == tmp_path / "net.int8.onnx"

    def test_a_file_of_others_is_not_replaced(self, tmp_path, tuned):
        forms = ["onnx"]

        def again(workspace, spec, journal, listener):
            return emissions(
                forms,
                [FakeTransfer(ALIKE) for _ in forms],
                dataloader=[],
                spec=spec,
                workspace=workspace,
                journal=journal,
                listener=listener,
                benchmark_seconds=0,
            )

        output, other = tmp_path / "out.pb", tmp_path / "out.onnx"
        options = {"output": output, "emissions": again}
        other.write_text("a network of the user")
        with pytest.raises(OutputError, match=r"would replace .*out\.onnx, which no run for out.p"):
            tune_fake(NETWORK, tmp_path / "w", **options)
        assert other.read_text() == "a network of the user"
        assert not output.exists()
        other.unlink()
        assert tune_fake(NETWORK, tmp_path / "w", **options).certified
        first = other.read_bytes()
        assert tune_fake(NETWORK, tmp_path / "w2", **options).certified
        assert other.read_bytes() == first
        heard = Heard()
        options = {"output": output, "listener": heard, "emissions": again}
        forms.clear()
        assert tune_fake(NETWORK, tmp_path / "w3", **options).certified
        assert heard.notes[0].startswith(f"{other} is of an earlier run")
        forms.append("onnx")
        other.write_text("changed by the user")
        with pytest.raises(OutputError, match="would replace"):
            tune_fake(NETWORK, tmp_path / "w", **options)
