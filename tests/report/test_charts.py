"""Where things lie in the charts."""

import pytest

from lpot_examples.report.charts import axis, loss_line, metric_line, trial_plot
from lpot_examples.report.document import parse_report
from tests.report.reports import many_trials, report, several, trial


@pytest.mark.parametrize(
    "values", [[0.0], [5.0, 5.0], [1e-9, 2e-9], [-3, 1e6], [0.79, 0.791], [0, 1e-300], [1e30]]
)
def test_an_axis_holds_its_values_and_has_round_ticks(values):
    found = axis(values)
    assert all(0 < found.at(value) < 100 for value in values)
    places = [tick.at for tick in found.ticks]
    assert places == sorted(places)
    assert 2 <= len(places) <= 11
    texts = [tick.text for tick in found.ticks]
    assert len(set(texts)) == len(texts)


def test_whole_numbers_have_no_ticks_between_them():
    assert [tick.text for tick in axis([0, 2], whole=True).ticks] == ["0", "1", "2"]


def test_counts_have_no_marks_below_zero():
    assert axis([0], whole=True).ticks[0].text == "0"


def plot(made):
    parsed = parse_report(made)
    return trial_plot(parsed, parsed.search.shipped)


def kinds(found):
    return {point.kind for point in found.points}


def test_accuracy_is_drawn_against_measured_latency_where_every_trial_has_it():
    history = [
        trial(1, score=0.78, costs={"performance": 2.0}),
        trial(2, score=0.797, fp32=["a"], costs={"performance": 3.0}),
    ]
    found = plot(report(history=history, shipped=2))
    assert found.x_title == "measured latency, ms"
    assert found.absent == ""
    by_kind = {point.kind: point for point in found.points}
    assert by_kind["missed"].x < by_kind["winner"].x < by_kind["fp32"].x
    # From the top: fp32, the winner, the bar, the one that misses it.
    heights = [by_kind["fp32"].y, by_kind["winner"].y, found.bar, by_kind["missed"].y]
    assert heights == sorted(heights)


def test_no_score_no_plot():
    assert plot(report(history=[trial(1, score=None, error="failed")], shipped=None)) is None
    assert plot(report(history=[], shipped=None)) is None


def test_a_shipped_trial_that_misses_the_bar_is_marked():
    winner = plot(report(history=[trial(1, score=0.7)])).points[-1]
    assert (winner.kind, winner.missed) == ("winner", True)
    assert not plot(report()).points[-1].missed


def test_failed_trials_are_counted():
    assert "2 trials without a score cannot be drawn" in plot(many_trials()).absent


def test_the_frontier_is_what_nothing_beats():
    history = [
        trial(i, score=score, costs={"performance": cost})
        for i, (score, cost) in enumerate([(0.78, 1), (0.77, 2), (0.79, 3), (0.785, 3)], 1)
    ]
    found = plot(report(history=history))
    corners = {(line.x1, line.y1) for line in found.frontier}
    worse = next(point for point in found.points if point.tip.startswith("trial 2:"))
    assert (worse.x, worse.y) not in corners
    assert len(found.frontier) == 4  # 1 → 3 → fp32, two segments each


def test_where_lower_is_better_the_bar_lies_above_fp32():
    made = report(history=[trial(1, score=0.805, met=True)])
    made["accuracy"]["criterion"]["higher_is_better"] = False
    found = plot(made)
    fp32 = next(point for point in found.points if point.kind == "fp32")
    assert not found.pass_above
    assert found.bar < fp32.y


@pytest.mark.parametrize("score", [0.797, 0.799999, 0.8, 0.805, 0.79])
@pytest.mark.parametrize("cost", [1.0, 3.9, 4.0, 9.0])
def test_the_labels_of_fp32_and_the_winner_keep_apart(score, cost):
    history = [trial(1, score=score, costs={"performance": cost})]
    found = plot(report(history=history))
    fp32, winner = (
        next(point for point in found.points if point.kind == kind) for kind in ("fp32", "winner")
    )
    # About where the labels are, of a plot of 600 × 300.
    boxes = []
    for point in (fp32, winner):
        x, y = 6 * point.x, 3 * point.y + (24 if point.below else -14)
        width = 8 * len(point.label)
        boxes.append((x - width if point.anchor == "end" else x, y, width))
    (x1, y1, w1), (x2, y2, w2) = boxes
    assert abs(y1 - y2) > 12 or x1 + w1 < x2 or x2 + w2 < x1


def test_the_loss_lies_beside_the_bar():
    found = loss_line(parse_report(many_trials()))
    assert found.unit == "%"
    assert found.low < found.zero < found.loss < found.bar < found.high
    made = report()
    made["accuracy"]["criterion"] |= {"relative": None, "absolute": 0.02}
    found = loss_line(parse_report(made))
    assert found.unit == "top-1"
    assert found.low is None
    assert found.zero < found.loss < found.bar
    assert loss_line(parse_report(report(history=[], shipped=None))) is None


def test_of_several_metrics_the_share_of_the_allowance_is_drawn():
    found = plot(several())
    assert found.y_title == "loss, % of what is allowed"
    assert not found.pass_above
    met = {p.tip.split(":")[0]: p.y > found.bar for p in found.points}  # places are from the top
    assert met == {"trial 2": True, "trial 3": True}
    assert found.fp32_line > found.bar
    assert "topk 0.7970, MSE 0.2510" in found.points[-1].tip
    assert "equalization 0.5" in found.points[-1].tip


def test_where_a_metric_may_lose_nothing_the_first_one_is_drawn():
    made = several()
    for one in made["search"]["history"]:
        one["allowance"] = 0.0
    made["accuracy"]["metrics"][1]["allowance"] = 0.0
    found = plot(made)
    assert found.y_title == "topk"
    assert found.pass_above
    assert found.bar == pytest.approx(100 - found.y.at(0.8 - 0.008), abs=1e-3)


def test_each_metric_has_a_line():
    first, second = map(metric_line, parse_report(several()).accuracy.metrics)
    assert first.unit == second.unit == "%"
    assert first.zero < first.loss < first.bar  # 0.375 % of 1 %
    assert second.zero < second.loss < second.bar
    assert second.bar - second.zero > 4 * (second.loss - second.zero) > 0  # 0.4 % of 2 %
    unknown = several()
    unknown["accuracy"]["metrics"][0]["loss"] = None
    assert metric_line(parse_report(unknown).accuracy.metrics[0]) is None
