"""What a report says of the shipped model: accuracy, and where its weights are exact."""

import json

import pytest

from lpot_examples.backends.base import FRAGILE, OpDecision, exactness_of
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.report.build import Outcome, build_report, write_report
from lpot_examples.search import Trial
from lpot_examples.spec import load_spec


def decision(name, group, reason):
    return OpDecision(name=name, type="Conv2D", group=group, precision="int8", reason=reason)


PLAIN = decision("a", "a", "_FusedQuantizedConv2D: u8 input, 8-bit weights, u8 result")
SHAKY = [
    decision("b", "b", f"_FusedQuantizedConv2D: u8 input, 8-bit weights, u8 result, {FRAGILE}"),
    decision("b/bias", "b", f"_FusedQuantizedConv2D: u8 input, {FRAGILE}"),
]


@pytest.fixture
def report(tmp_path):
    def build(*, fp32=0.8, int8=0.796, decisions=(PLAIN,), checked=True):
        model = tmp_path / "int8.pb"
        model.write_bytes(b"weights")
        config = TuningConfig(fp32=frozenset({"c"}), equalization=0.5, bias_correction=True)
        trial = Trial(
            index=1,
            config=config,
            score=int8,
            loss=fp32 - int8,
            allowance=0.008,
            met=True,
            seconds=2.0,
        )
        outcome = Outcome(
            spec=load_spec({"model": {"name": "net", "framework": "tensorflow"}}),
            criterion=Criterion(relative=0.01),
            baseline=EvaluationResult(metric="top-1", score=fp32, samples=10) if checked else None,
            best=trial if checked else None,
            trials=[trial] if checked else [],
            seconds=3.0,
            latency=None,
            decisions=decisions,
            exactness=exactness_of(decisions),
            config=config,
            source=None,
            model=model,
            calibration_samples=8,
            strategy="bisection",
            engine="lpot",
        )
        path = tmp_path / "report.json"
        write_report(build_report(outcome), path)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["int8.pb", "report.json"]
        return json.loads(path.read_text())

    return build


def test_a_model_is_exact_everywhere_if_no_kernel_could_saturate(report):
    found = report()["exact_on"]
    assert found["instruction_sets"] == dict.fromkeys(INSTRUCTION_SETS, True)
    assert found["groups_that_may_saturate_elsewhere"] == 0


def test_a_kernel_that_could_saturate_is_exact_where_products_do_not(report):
    found = report(decisions=[PLAIN, *SHAKY])["exact_on"]
    assert found["instruction_sets"] == {
        name: not isa.u8s8_saturates for name, isa in INSTRUCTION_SETS.items()
    }
    assert found["instruction_sets"]["avx2"] is False
    assert found["instruction_sets"]["avx512_vnni"] is True
    # Both ops are one group.
    assert found["groups_that_may_saturate_elsewhere"] == 1


def test_each_instruction_set_has_its_groups(report):
    found = report(decisions=[PLAIN, *SHAKY])["instruction_sets"]
    assert list(found) == list(INSTRUCTION_SETS)
    assert found["avx2"] == {"exact": False, "groups": 1, "known": "measured", "names": ["b"]}
    assert found["amx_int8"] == {"exact": True, "groups": 0, "known": "documented", "names": []}


def test_the_configuration_can_be_made_again(report):
    found = TuningConfig.from_dict(report()["config"])
    assert found == TuningConfig(fp32=frozenset({"c"}), equalization=0.5, bias_correction=True)


def test_accuracy(report):
    found = report()["accuracy"]
    assert found["checked"] is True
    assert found["drop_absolute"] == pytest.approx(0.004)
    assert found["drop_relative"] == pytest.approx(0.005)
    assert found["met"] is True


def test_of_a_score_of_zero_no_fraction_is_lost(report):
    found = report(fp32=0.0, int8=0.0)["accuracy"]
    assert found["drop_relative"] is None
    assert found["drop_absolute"] == 0


def test_accuracy_that_was_not_checked_claims_nothing(report):
    found = report(checked=False)
    assert found["accuracy"]["checked"] is False
    assert found["accuracy"]["met"] is None
    assert found["search"]["full_evaluations"] == 0


def test_evaluations_count_the_baseline(report):
    assert report()["search"]["full_evaluations"] == 2


def test_a_latency_that_was_not_measured_claims_nothing(report):
    assert report()["latency_ms"] == {
        "fp32": None,
        "int8": None,
        "speedup": None,
        "measured": False,
    }
