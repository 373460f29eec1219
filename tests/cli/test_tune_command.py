"""``tune`` as users run it: messages, exit codes, and being stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lpot_examples import cli

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "classification" / "digits"

# A topology that never meets its bar, and takes its time.
EVALUATION = """
import time
from lpot_examples.data.digits import load_digits

def build(*, dataset_location=None, batch_size=64, limit=None):
    digits = load_digits("validation")

    def score(model):
        time.sleep(0.2)
        fp32 = any(node.op == "Conv2D" for node in model.graph_def.node)
        right = float((model(digits.images).argmax(1) == digits.labels).mean())
        return right if fp32 else right - 0.2

    return score
"""


@pytest.fixture
def folder(tmp_path):
    """A current directory with the topology ``hopeless``."""
    topology = tmp_path / "classification" / "hopeless"
    topology.mkdir(parents=True)
    (topology / "eval_func.py").write_text(EVALUATION)
    (topology / "q_dataloader.py").write_text((DIGITS / "q_dataloader.py").read_text())
    (topology / "hopeless.pb").write_bytes((DIGITS / "digits.pb").read_bytes())
    text = (DIGITS / "digits.yaml").read_text().replace("name: digits", "name: hopeless")
    text = text.replace("sampling_size: 200", "sampling_size: 40")
    text = text.replace("max_trials: 100", "max_trials: 2")
    (topology / "hopeless.yaml").write_text(text)
    return tmp_path


def start(folder, *options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LPOT_TEST_MARK": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-m", "lpot_examples", "tune", "--workspace=w", *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def read_until(process, wanted):
    """Return what was said on standard error up to a line with that text."""
    said = ""
    for line in process.stderr:
        said += line
        if wanted in line:
            return said
    pytest.fail(f"'{wanted}' was never said:\n{said}")


def left_running(folder):
    """The processes that were started for a test and still run."""
    mark = f"LPOT_TEST_MARK={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append(process.name)
        except OSError:
            continue
    return found


def test_stopped_by_ctrl_c_and_continued(folder):
    options = ("--topology=hopeless", "--output_model=out/x.pb", "--benchmark_seconds=0")
    process = start(folder, *options)
    said = read_until(process, "trial 1:")
    os.killpg(process.pid, signal.SIGINT)
    output, rest = process.communicate(timeout=60)
    assert process.returncode == 130, said + rest
    assert (
        "stopped. The best model so far (does not meet the bar) is out/x.not-certified.pb" in rest
    )
    assert "Traceback" not in said + rest
    assert output == ""
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "x.not-certified.pb",
        "x.not-certified.report.html",
        "x.not-certified.report.json",
    ]

    process = start(folder, *options)
    output, said = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert "is continued" in said
    assert said.count("from the journal") == 2  # the fp32 score and one trial
    assert "the accuracy bar is NOT met" in output
    assert "x.not-certified.report.json" in output
    report = json.loads((folder / "out" / "x.not-certified.report.json").read_text())
    assert report["search"]["full_evaluations"] == 3
    assert not [*folder.rglob("*.tmp")]


def test_stopped_while_latency_is_compared(folder):
    process = start(folder, "--topology=hopeless", "--max_trials=1", "--benchmark_seconds=20")
    said = read_until(process, "Comparing latency")
    deadline = time.monotonic() + 30
    while len(left_running(folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "is complete but for the comparison of latency" in rest
    assert "Traceback" not in said + rest
    assert not left_running(folder)
    assert not [*folder.rglob("*.tmp")]


def run(monkeypatch, *arguments):
    """Run the command line in this process; return the exit code and its last words."""
    monkeypatch.setattr(sys, "argv", ["lpot_examples", *arguments])
    return cli._run()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tune", "--bogus"], "No such option: --bogus. See"),
        (["tune", "--topolgy=digits"], "--topology"),
        (["tune", "--topology"], "requires an argument"),
        (["tun"], "Did you mean 'tune'?"),
        (["tune", "--timeout=soon"], "Invalid value for '--timeout'"),
        (["tune", "--max_trials=0"], "greater than or equal to 1"),
        (["tune", "extra"], "unexpected extra argument"),
        (["tune"], "--topology or --config is required"),
        (["tune", "--topology=digts"], "Did you mean 'digits'?"),
        (["tune", "--topology=digits", "--emit=pb,onx"], "Did you mean 'onnx'?"),
        (["tune", "--topology=digits", "--emit=onnx", "--output_model=a.onnx"], "writes an .onnx"),
        (["tune", "--topology=fastestdet"], "has no embedded model"),
        (["tune", "--topology=digits", "--config=nowhere.yaml"], "No such spec file"),
        (["benchmark", "--mode=speed"], "Invalid value for '--mode'"),
        (["benchmark"], "a model is required"),
    ],
)
def test_a_wrong_command_line_is_one_message(monkeypatch, arguments, message):
    code, words = run(monkeypatch, *arguments)
    assert code == 1  # 2 says that the bar was missed
    assert words.startswith("error: ")
    assert message in words
    assert "\n" not in words


@pytest.mark.parametrize(("certified", "code"), [(True, 0), (False, 2), (None, 0)])
def test_the_exit_code_is_of_all_files(monkeypatch, certified, code):
    from types import SimpleNamespace

    asked = {}

    def tune(*args, **options):
        asked.update(options)
        return SimpleNamespace(met=True, certified=certified)

    monkeypatch.setattr("lpot_examples.quantization.tune", tune)
    monkeypatch.setattr("lpot_examples.cli.tune_tables.print_result", lambda *_, **__: None)
    assert run(monkeypatch, "tune", "--topology=digits", "--emit=pb,onnx")[0] == code
    assert asked["emit"] == ["pb", "onnx"]


def test_a_typo_in_the_yaml(monkeypatch, tmp_path):
    text = (DIGITS / "digits.yaml").read_text().replace("max_trials", "max_trails")
    (tmp_path / "my.yaml").write_text(text)
    code, words = run(monkeypatch, "tune", "--topology=digits", f"--config={tmp_path / 'my.yaml'}")
    assert code == 1
    assert "my.yaml:18: " in words
    assert "Did you mean 'max_trials'?" in words


def test_help_and_no_arguments(monkeypatch, capsys):
    for arguments in ([], ["--help"], ["tune", "--help"], ["benchmark", "-h"]):
        assert run(monkeypatch, *arguments) == (0, "")
    assert "the bar is met" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_that_stop(name):
    number = getattr(signal, name)
    before = {n: signal.getsignal(getattr(signal, n)) for n in ("SIGINT", "SIGTERM", "SIGHUP")}
    try:
        signal.signal(number, signal.SIG_DFL if name != "SIGINT" else signal.default_int_handler)
        cli._listen(name)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        signal.signal(number, signal.SIG_IGN)
        cli._listen(name)
        assert signal.getsignal(number) is signal.SIG_IGN  # as under nohup
    finally:
        for other, handler in before.items():
            signal.signal(getattr(signal, other), handler)
