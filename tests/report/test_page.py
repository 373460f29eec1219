"""The page: that it stands alone, escapes what it shows, and says what is absent."""

import copy
import re
from html.parser import HTMLParser

import pytest

from lpot_examples.errors import LpotError, OutputError
from lpot_examples.report.page import render, write_page
from tests.report.reports import (
    HOSTILE,
    NO_LATENCY,
    REPORTS,
    many_trials,
    report,
    several,
    trial,
    weighted,
)

# HTML lets these be left open.
OPTIONAL = {"tr", "td", "th", "li", "p", "option"}
VOID = {"meta", "link", "input", "br", "img"}


class Reader(HTMLParser):
    """Collects text by element, attributes, and tags that do not match."""

    def __init__(self, page):
        super().__init__()
        self.open, self.wrong, self.text, self.attributes, self.ids = [], [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and self.open[-1] in OPTIONAL:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.mark.parametrize("name", REPORTS)
def test_every_page_is_whole_and_stands_alone(name):
    page = render(REPORTS[name]())
    read = Reader(page)
    assert not read.wrong
    assert not read.open
    assert len(page.encode("utf-8", "replace")) < 1_000_000
    assert len(read.ids) == len(set(read.ids))
    outside = [
        (tag, value)
        for tag, attribute, value in read.attributes
        if attribute in ("src", "href", "data", "action", "poster") and not value.startswith("#")
    ]
    assert outside == [("link", "data:,")]
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp", page)
    links = {value[1:] for _, name, value in read.attributes if name == "href" and value[0] == "#"}
    assert links <= set(read.ids)


def test_names_are_text_never_markup():
    page = render(REPORTS["large"]())
    assert "<script>alert" not in page
    read = Reader(page)
    assert page.count("<script>") == 1
    assert HOSTILE in read.words
    page = render(report(history=[trial(1, score=0.797), trial(2, score=None, error=HOSTILE)]))
    assert "<script>alert" not in page


def test_half_a_surrogate_pair_can_be_written(tmp_path):
    write_page(report(name="half \ud800 pair"), tmp_path / "x.html")
    assert "half ? pair" in (tmp_path / "x.html").read_text(encoding="utf-8")


def test_the_verdict_and_the_figures():
    words = Reader(render(report())).words
    for text in (
        "Accuracy bar met",
        "0.7970",
        "0.38 % lost",
        "1.60×",
        "4.00 → 2.50 ms",
        "1.30 MB → 0.40 MB",
        "8 of 8",
        "1.60 times as fast (1.50 to 1.70, 96 % interval)",
        "lpot_examples tune --topology=net",
        "ab" * 32,
        "cd" * 32,
        "avx2 (of avx512_vnni)",
    ):
        assert text in words, text


def test_what_is_absent_is_said():
    words = Reader(render(REPORTS["unchecked"]())).words
    assert "Accuracy was not checked in this run" in words
    assert "Latency was not compared" in words
    assert "no sensitivity and no latency of single groups" in words
    assert "No trial was evaluated" in words
    assert "Accuracy bar met" not in words
    words = Reader(render(report(latency=NO_LATENCY))).words
    assert "latency was not compared" in words
    assert "times as fast" not in words


def test_a_missed_bar_and_a_network_in_fp32():
    words = Reader(render(REPORTS["failed"]())).words
    assert "Accuracy bar missed" in words
    assert "No op runs in int8" in words
    assert "does not meet the accuracy bar" in words


def test_the_interval_and_what_it_means():
    words = Reader(render(many_trials())).words
    assert "95 % interval of the loss -0.0020 … +0.0120" in words
    assert "-0.25 % … +1.50 %" in words
    assert "Certainty of the bar: the validation set is too small to be sure" in words
    assert "stopped early: the loss is above 0.0300" in words
    assert "eval_func raised ValueError: <b>no</b>" in words


def test_a_slower_model_is_called_slower():
    made = report()
    made["latency_ms"] = {
        **made["latency_ms"], "speedup": 0.7, "faster_than_fp32": False, "slower_than_fp32": True
    }  # fmt: skip
    words = Reader(render(made)).words
    assert "the int8 model is slower than fp32" in words
    made["latency_ms"] |= {"speedup": 1.01, "slower_than_fp32": False}
    assert "no clear difference" in Reader(render(made)).words


def test_exactness_in_either_form():
    made = report()
    assert "avx2 ✗ no 8-bit weights may saturate" in Reader(render(made)).words
    made["instruction_sets"] = {
        "avx2": {"exact": False, "groups": 4, "known": "a run", "names": ["a"] * 4},
        "avx": {"exact": None},
    }
    words = Reader(render(made)).words
    assert "avx2 ✗ no groups: 4; known: a run" in words
    assert "avx –" in words


def test_a_report_of_an_older_version_is_drawn():
    made = report()
    for key in ("source", "engine", "run", "exact_on", "calibration", "versions", "host"):
        del made[key]
    del made["search"]["shipped"]
    words = Reader(render(made)).words
    assert "The command line was not recorded" in words
    assert "trial 1, shipped" in words  # found by its configuration


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"accuracy": None}, "accuracy"),
        ({"ops": [{"name": "a"}]}, "ops.0.precision"),
        ({"size_bytes": {"int8": "large"}}, "size_bytes.int8"),
        ({"latency_ms": {"speedup": float("nan")}}, "latency_ms.speedup"),
    ],
)
def test_what_is_not_a_report_is_refused(change, place):
    with pytest.raises(LpotError, match="is not a report of a tuning run") as error:
        render({**copy.deepcopy(report()), **change})
    assert place in str(error.value)


def test_a_page_is_whole_or_not_written(tmp_path):
    with pytest.raises(OutputError, match="cannot write the page"):
        write_page(report(), tmp_path / "nowhere" / "x.html")
    assert not [*tmp_path.iterdir()]


def test_several_metrics_each_have_a_row_and_a_chart():
    words = Reader(render(several())).words
    for text in (
        "accuracy bars met 2 of 2 topk 0.8000 → 0.7970, MSE 0.2500 → 0.2510",
        "Each metric must meet its own bar.",
        "Bar: topk: at most 1 % relative loss; MSE: at most 2 % relative loss ·",
        "loss of topk, % of fp32",
        "loss of MSE, % of fp32",
        "topk at most 1 % relative loss met 0.8000 0.7970 0.38 % lost",
        "MSE at most 2 % relative loss met 0.2500 0.2510 0.40 % lost",
        "those of the metric that lost most of what it may",
    ):
        assert text.replace(" ·", "") in words, text
    assert "relative loss of topk" not in words
    # Every score of every trial.
    assert "2 met 0.7950 0.2540 +0.0064 0.0080 1 298.00" in words


def test_weights_are_shown_and_the_sum_decides():
    words = Reader(render(weighted())).words
    assert "weighted loss, of what is allowed 35 %" in words
    assert "The weighted loss is +0.0026; the bar allows 0.0074" in words
    assert "topk at most 1 % relative loss met 0.8000 0.7970 0.38 % lost 0.8" in words
    made = weighted()
    made["accuracy"]["weighted"] = {"loss": -0.01, "allowance": 0.0}
    assert "of what is allowed none" in Reader(render(made)).words


def test_one_bar_of_several_metrics_is_said_to_be_of_each():
    made = several()
    for part in (made["accuracy"], *made["accuracy"]["metrics"]):
        part["criterion"]["text"] = "at most 1 % relative loss"
    words = Reader(render(made)).words
    assert "Bar: at most 1 % relative loss of each of topk, MSE" in words


def test_the_objective_is_named_unless_it_is_latency():
    words = Reader(render(several())).words
    assert "objective: 0.7 × footprint + 0.3 × performance" in words
    assert "the one to ship is chosen by 0.7 × footprint" in words
    assert "peak memory, MB" in words
    assert "peak memory 297 MB" in words
    assert "file size, MB" in Reader(render(weighted())).words
    words = Reader(render(report())).words
    assert "objective" not in words
    assert "is chosen by" not in words


def test_trials_say_how_they_differ():
    words = Reader(render(several())).words
    assert "minmax/mse , equalization 0.5" in words
    assert "minmax/mse , not equalized" in words
    assert "Settings of all trials: biases corrected, 64 samples." in words
    assert "Settings: equalization 0.5, biases corrected." in Reader(render(report())).words


def test_the_runner_up_is_told():
    made = report()
    ratio = {"value": 1.12, "interval": {"low": 1.05, "high": 1.2, "confidence": 0.95}}
    made["search"]["runner_up"] = {"trial": 3, "instead_of": 1, "ratio": ratio, "taken": True}
    words = Reader(render(made)).words
    assert "Trial 3, the runner-up, was timed in the same rounds: 1.12 times as fast as" in words
    assert "(1.05 to 1.20), so it is the result." in words


def test_what_an_unfinished_run_does_not_know_yet():
    made = report()
    made["search"]["complete"] = False
    words = Reader(render(made)).words
    assert "No sensitivity and no latency of single groups is known yet" in words


def delivered():
    """A report of two files, with names that mean harm."""
    entry = {
        "form": "onnx",
        "runtime": HOSTILE,
        "path": f"out/{HOSTILE}.onnx",
        "met": False,
        "accuracy": {"fp32": 0.8, "score": 0.7, "loss": 0.1, "met": False, "differing": [3, 500]},
        "groups": {"int8": 7, "fp32": 1},
        "latency_ms": {"fp32": {"p50": 2.0}, "int8": {"p50": 3.0}, "speedup": 0.7,
                       "slower_than_fp32": True},
        "differences": {"groups": [{"group": HOSTILE, "here": "fp32", "there": "int8",
                                    "reason": HOSTILE}]},
    }  # fmt: skip
    own = {"form": "pb", "runtime": "tensorflow", "path": "out/net-int8.pb", "met": True}
    return report(artifacts=[own, entry])


def test_files_delivered_are_listed_where_there_are_several():
    page = Reader(render(delivered()))
    assert not page.wrong
    assert "artifacts" in page.ids
    assert "MISSES the bar" in page.words
    assert "3 of 500 samples score otherwise" in page.words
    assert "slower than fp32" in page.words
    assert "<script>alert(1)" not in render(delivered())
    assert "artifacts" not in Reader(render(report())).ids
    failed = {"form": "onnx", "met": False, "error": "its op Foo has no form"}
    page = Reader(render(report(artifacts=[{"form": "pb"}, failed])))
    assert "There is no .onnx file: its op Foo has no form" in page.words
