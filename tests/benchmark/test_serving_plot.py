import pytest
from serving_reports import large_report, report, served

from lpot_examples.benchmark.serving.plot import _drawn_curves, draw, is_own


@pytest.fixture(autouse=True)
def words_as_text():
    """Have words in SVG be text, not outlines."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):
        yield


def test_a_picture_says_what_was_measured_and_knows_that_it_is_one(tmp_path):
    found = large_report(3, limit=3.0)
    target = tmp_path / "plot.svg"
    target.write_bytes(draw(found, form="svg"))
    assert is_own(target)
    text = target.read_text()
    for words in (
        *found.models,
        found.host.cpu,
        found.host.isa,
        "openvino 2026.4.1",
        "Pareto front",
        "limit",
        "p50",
        "p99",
        "28×1",
        "b: samples in a request (1, 2, 4, 8, 16)",
    ):
        assert words in text


def test_curves_that_cannot_be_told_apart_are_left_out():
    assert len(_drawn_curves(large_report(3))) == 6
    few = _drawn_curves(large_report(4))
    assert len({curve.setting.subject for curve in few}) == len(few) == 4


def test_one_setting_without_load_is_a_picture_too(tmp_path):
    target = tmp_path / "plot.png"
    target.write_bytes(draw(report([served("a.pb", (1, 1), 1, 3.0)])))
    assert target.read_bytes().startswith(b"\x89PNG")
    assert is_own(target)
    assert "not measured" in draw(report([served("a.pb", (1, 1), 1, 3.0)]), form="svg").decode()


def test_a_picture_of_something_else_is_not_own(tmp_path):
    (tmp_path / "mine.png").write_bytes(b"\x89PNG of a holiday")
    assert not is_own(tmp_path / "mine.png")
