"""int8 that is slower than fp32 is not the result; nothing else changes what is."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lpot_examples.errors import OutputError
from lpot_examples.report.document import parse_report
from lpot_examples.report.fallback import ship_faster
from lpot_examples.report.view import verdict
from lpot_examples.testing.fake_backend import FakeNetwork, tune_fake
from lpot_examples.testing.timings import timed
from lpot_examples.workspace import page_path, report_path


@pytest.fixture
def outcome_of(tmp_path, monkeypatch):
    """Return a function that tunes a fake network and gives the outcome, timed as wished."""

    def make(ratio, *, harm=1e-4):
        seen = []

        def capture(outcome, slower):
            seen.append((outcome, slower))
            return outcome

        monkeypatch.setattr("lpot_examples.conclusion.ship_faster", capture)
        tune_fake(FakeNetwork(harm={"a": harm}), tmp_path / "work")
        source = tmp_path / "given.fake"
        source.write_text("the fp32 network as given")
        outcome, slower = seen[0]
        return replace(
            outcome, source=source, latency=timed(ratio * np.linspace(0.95, 1.05, 8))
        ), slower

    return make


def test_fp32_takes_the_place_of_slower_int8(outcome_of):
    outcome, slower = outcome_of(0.8)
    int8 = outcome.model.read_bytes()
    shipped = ship_faster(outcome, slower)
    assert shipped.model.read_bytes() == outcome.source.read_bytes() != int8
    assert slower.read_bytes() == int8
    made = json.loads(report_path(shipped.model).read_text())
    assert made["model"]["precision"] == "fp32"
    assert made["model"]["slower_int8"] == str(slower)
    assert made["size_bytes"]["int8"] == len(int8)
    assert "fp32 returned" in verdict(parse_report(made))[1]
    assert "fp32 returned" in page_path(shipped.model).read_text()


@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_int8_that_is_not_shown_to_be_slower_stays(outcome_of, ratio):
    outcome, slower = outcome_of(ratio)
    assert ship_faster(outcome, slower) is outcome
    assert not slower.exists()


def test_without_a_comparison_or_with_a_missed_bar_nothing_changes(outcome_of):
    outcome, slower = outcome_of(0.8)
    assert ship_faster(replace(outcome, latency=None), slower).slower is None
    assert ship_faster(replace(outcome, source=None), slower).slower is None
    missed = replace(outcome, best=replace(outcome.best, met=False))
    assert ship_faster(missed, slower).slower is None


def test_no_room_for_the_int8_model_leaves_it_where_it_is(outcome_of, monkeypatch):
    outcome, slower = outcome_of(0.8)
    int8 = outcome.model.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lpot_examples.report.fallback.shutil.copyfile", full)
    with pytest.raises(OutputError, match="cannot be kept"):
        ship_faster(outcome, slower)
    assert outcome.model.read_bytes() == int8
