"""What the commands print of metrics, objectives and trials."""

import re

import pytest

from lpot_examples.cli.listener import ConsoleListener
from lpot_examples.cli.report_tables import print_summary, trials_table
from lpot_examples.cli.tune_tables import print_result
from lpot_examples.report.document import parse_report
from lpot_examples.testing.fake_backend import FakeNetwork, FakeTransfer, emitting, tune_fake
from tests.report.reports import many_trials, report, several, weighted

NETWORK = FakeNetwork(harm={"a": 0.02, "b": 1e-4})
METRICS = {"topk": 1, "MSE": {}, "higher_is_better": [True, False], "relative": [0.01, 0.05]}


def both(model):
    return {"topk": model.score, "MSE": 1 + (0.8 - model.score)}


def lines(text):
    """The lines, without borders and with single spaces."""
    return [" ".join(line.replace("│", " ").replace("┃", " ").split()) for line in text.split("\n")]


def cells(table, heading):
    return list(next(column for column in table.columns if column.header == heading).cells)


@pytest.mark.parametrize(
    ("weight", "ends"),
    [
        ({}, ["at most 1 % relative loss; met", "at most 5 % relative loss; met"]),
        (
            {"weight": [0.8, 0.2]},
            ["at most 1 % relative loss; weight 0.8", "at most 5 % relative loss; weight 0.2"],
        ),
    ],
)
def test_a_run_of_two_metrics_has_a_row_for_each(tmp_path, capsys, weight, ends):
    spec = {
        "evaluation.accuracy.multi_metrics": {**METRICS, **weight},
        "tuning.objective": "modelsize",
    }
    result = tune_fake(NETWORK, tmp_path, spec=spec, eval_func=both)
    print_result(result)
    shown = lines(capsys.readouterr().out)
    rows = [line for line in shown if line.startswith(("topk 0.8000 0.7", "MSE 1.0000 1.0"))]
    assert [row.endswith(end) for row, end in zip(rows, ends, strict=True)] == [True, True]
    assert any(line.startswith("weighted loss") for line in shown) == bool(weight)
    assert any(line.endswith("; objective: modelsize") for line in shown)


def test_a_run_of_one_metric_and_latency_says_no_more_than_before(tmp_path, capsys):
    print_result(tune_fake(NETWORK, tmp_path))
    shown = capsys.readouterr().out
    assert "objective" not in shown
    assert "MISSED" not in shown


def test_the_summary_of_several_metrics(capsys):
    print_summary(several(), "x.html")
    shown = lines(capsys.readouterr().out)
    assert "topk 0.8000 0.7970 0.38 % lost; bar: at most 1 % relative loss; met" in shown
    assert "objective: 0.7 × footprint + 0.3 × performance" in shown
    assert any("0.7950, 0.2540" in line and "not equalized" in line for line in shown)
    print_summary(weighted(), "x.html")
    shown = lines(capsys.readouterr().out)
    assert "weighted loss +0.0026 / 0.0074 allowed; met" in shown


def test_the_summary_of_one_metric(capsys):
    print_summary(report(), "x.html")
    shown = capsys.readouterr().out
    assert "metrics" not in shown
    assert "objective" not in shown


def test_the_table_of_trials():
    table = trials_table(parse_report(several()))
    assert cells(table, "topk, MSE")[0] == "0.7900, 0.2600"
    assert cells(table, "peak memory, MB") == ["–", "298.00", "297.00"]
    assert cells(table, "calibration")[:2] == [
        "minmax/mse, equalization 0.5",
        "minmax/mse, not equalized",
    ]
    table = trials_table(parse_report(many_trials()), last=60)
    assert table.title == "the last 60 of 100"
    assert table.row_count == 60
    scores = cells(table, "score")
    assert scores[0] == "eval_func raised ValueError: <b>no</b>"
    assert scores[1] == "stopped"
    assert cells(table, "loss / allowed")[:2] == ["–", ">+0.0300 / 0.0080"]
    assert set(cells(table, "calibration")) == {"minmax/mse"}


def test_the_lines_of_a_run_name_every_metric(tmp_path, capsys):
    spec = {"evaluation.accuracy.multi_metrics": METRICS}
    tune_fake(NETWORK, tmp_path, spec=spec, eval_func=both, listener=ConsoleListener())
    shown = capsys.readouterr().err
    assert "fp32 topk 0.8000, MSE 1.0000" in shown
    assert re.search(r"trial 1: .*: topk 0\.7\d+, MSE 1\.0\d+, loss ", shown)
    tune_fake(NETWORK, tmp_path / "one", listener=ConsoleListener())
    assert re.search(r"fp32 accuracy 0\.8000\n", capsys.readouterr().err)


def test_each_file_has_a_row_and_a_missed_bar_a_command(tmp_path, capsys):
    worse = FakeNetwork(harm={"a": 0.02, "b": 0.009})
    result = tune_fake(NETWORK, tmp_path, emissions=emitting(FakeTransfer(worse)))
    print_result(result, again=["--topology=net", "--dataset_location=my images"])
    shown = capsys.readouterr().out
    rows = lines(shown)
    assert any(row.startswith(".fake fake meets the bar 0.7999 +0.01 %") for row in rows)
    assert any(row.startswith(".other another MISSES the bar 0.791") for row in rows)
    assert str(tmp_path / "fake-int8.fake.not-certified.other") in shown
    command = "bash run_tuning.sh --topology=net '--dataset_location=my images' --input_model="
    assert command in shown
    assert f"--output_model={tmp_path / 'fake-int8-another.other'}" in shown


def test_a_single_file_has_no_table_of_files(tmp_path, capsys):
    print_result(tune_fake(NETWORK, tmp_path))
    assert "on its own runtime" not in capsys.readouterr().out
