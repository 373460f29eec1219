"""What trials are compared by."""

import pytest

from lpot_examples.report.costs import estimated_ms, trial_costs
from lpot_examples.report.document import parse_report
from tests.report.reports import latency_map, op, report, several, trial

CROSSING = {
    "tensor": "a", "maker": "a", "readers": ["b"], "outside": False,
    "quantize": 0.25, "dequantize": 0.125,
}  # fmt: skip
MAP = latency_map({"a": (1.0, 3.0), "b": (0.5, 1.0)}, crossings=[CROSSING], rest=2.0)


def costs(made):
    parsed = parse_report(made)
    return trial_costs(parsed, parsed.search.history)


def aiming(made, *names, weights=()):
    made["search"]["objective"] = {"names": names, "weights": weights, "text": ", ".join(names)}
    return made


def test_a_latency_from_the_map_is_called_an_estimate():
    history = [trial(1, score=0.797), trial(2, score=0.798, fp32=["a"])]
    made = report(history=history)
    made["search"]["latency_map"] = MAP
    parsed = parse_report(made)
    known = [estimated_ms(parsed, one) for one in (*parsed.search.history, None)]
    assert known == [3.5, 5.75, 6.0]
    assert costs(made).title == "estimated latency, ms"
    assert estimated_ms(parse_report(report()), None) is None
    # What the search noted comes from the same map.
    history[0]["costs"] = {"performance": 3.5}
    found = costs(made)
    assert (found.title, found.values, found.fp32) == ("estimated latency, ms", (3.5, 5.75), 6.0)


def test_else_groups_in_fp32():
    made = report(ops=[op("a"), op("b"), op("c", precision="fp32"), op("move", group="")])
    found = costs(made)
    assert found.title.startswith("groups left in fp32")
    assert "not measured" in found.absent
    assert found.fp32 == 2  # c cannot be int8, so it is no cost of fp32
    assert costs(report(ops=[])).fp32 is None


def test_the_size_is_the_cost_where_it_is_the_objective():
    history = [trial(i, score=0.797, costs={"modelsize": 1e5 * i}) for i in (1, 2)]
    made = aiming(report(history=history), "modelsize")
    made["search"]["latency_map"] = MAP
    found = costs(made)
    assert found.title == "file size, MB"
    assert found.values == pytest.approx((0.1, 0.2))
    assert found.fp32 == 1.3  # of the fp32 file
    assert found.absent == ""


def test_peak_memory_is_known_of_trials_that_meet_the_bar():
    found = costs(several())
    assert found.title == "peak memory, MB"
    assert found.values == (None, 298.0, 297.0)
    assert found.fp32 is None
    assert "1 trial is not drawn: the peak memory is measured only where" in found.absent


def test_the_heaviest_objective_counts_and_accuracy_has_its_own_axis():
    made = several()
    titles = {
        (names, weights): costs(aiming(made, *names, weights=weights)).title
        for names, weights in [
            (("modelsize", "footprint"), (0.2, 0.8)),
            (("modelsize", "footprint"), ()),
            (("accuracy", "footprint"), (0.9, 0.1)),
            (("accuracy",), ()),
        ]
    }
    assert [title.split(",")[0] for title in titles.values()] == [
        "peak memory",
        "file size",
        "peak memory",
        "groups left in fp32 (fewer is faster)",
    ]


def test_a_cost_that_no_trial_has_is_replaced_and_said():
    found = costs(aiming(report(), "footprint"))
    assert found.title.startswith("groups left in fp32")
    assert found.absent.startswith("The footprint is not known of any trial.")
