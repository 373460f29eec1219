"""run_tests.sh: what runs side by side and what alone, and the exit code of it all."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Stands in for Python: notes what it is to run as a module, and ends as it is told.
STAND_IN = """\
#!/usr/bin/env bash
case "$1 $2" in
    "-P -m") echo "${*:3}" >>"$LOG" ;;
    *) exec "$REAL" "$@" ;;
esac
case "$*" in
    *ruff* | *mypy*) exit 0 ;;
    *--alone=only*) exit "$ALONE" ;;
    *) exit "$BESIDE" ;;
esac
"""
BESIDE = "pytest -n auto --dist=loadfile --no-loadscope-reorder --alone=without"


@pytest.fixture
def run(tmp_path):
    """Run the script in a clone; return its exit code and how pytest was called."""
    clone, log = tmp_path / "clone", tmp_path / "log"
    (clone / "tests" / "spec").mkdir(parents=True)
    (clone / "tests" / "test_x.py").touch()
    (clone / "requirements.txt").touch()
    (clone / "requirements-dev.txt").touch()
    (clone / "requirements-openvino.txt").touch()
    shutil.copy(ROOT / "run_tests.sh", clone)
    shutil.copytree(ROOT / "scripts", clone / "scripts")
    python = tmp_path / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)

    def call(*arguments, beside=0, alone=0, cwd=clone):
        log.write_text("")
        environment = {"PYTHON": python, "REAL": sys.executable, "LOG": log}
        environment |= {"BESIDE": beside, "ALONE": alone}
        done = subprocess.run(
            ["bash", str(clone / "run_tests.sh"), "--no-venv", *arguments],
            cwd=cwd,
            env={**os.environ, **{key: str(value) for key, value in environment.items()}},
            capture_output=True,
            text=True,
        )
        lines = log.read_text().splitlines()
        assert lines[:2] == ["ruff check", "mypy"], done.stderr
        return done.returncode, lines[2:]

    return call


def test_everything_runs_side_by_side_and_then_alone(run):
    assert run() == (0, [BESIDE, "pytest --alone=only"])
    options = ["tests/spec", "-k", "line"]
    assert run(*options) == (
        0,
        [f"{BESIDE} tests/spec -k line", "pytest --alone=only tests/spec -k line"],
    )
    assert run("--quick")[1] == [f"{BESIDE} -m not slow", "pytest --alone=only -m not slow"]


@pytest.mark.parametrize(
    "options",
    [
        ["tests/test_x.py"],
        ["tests/test_x.py::test_one[a b]", "-x"],
        ["tests/spec", "-n0"],
        ["-p", "no:xdist"],
        ["--pdb"],
        ["--junit-xml=report.xml"],
    ],
)
def test_one_process_where_one_is_asked_for(options, run):
    assert run(*options, alone=1) == (0, [f"pytest {' '.join(options)}"])
    assert run(*options, beside=1)[0] == 1


def test_a_file_named_from_elsewhere(run, tmp_path):
    (tmp_path / "test_y.py").touch()
    found = run("test_y.py::test", cwd=tmp_path)
    assert found == (0, [f"pytest {tmp_path}/test_y.py::test"])


@pytest.mark.parametrize(
    ("beside", "alone", "expected"),
    [(0, 5, 0), (5, 0, 0), (5, 5, 1), (1, 0, 1), (0, 1, 1), (1, 5, 1), (0, 2, 1)],
)
def test_one_exit_code_of_both(beside, alone, expected, run):
    code, calls = run(beside=beside, alone=alone)
    assert (code, len(calls)) == (expected, 2)


@pytest.mark.parametrize(
    ("beside", "options"), [(1, ["-x"]), (1, ["--maxfail=1"]), (2, []), (4, [])]
)
def test_nothing_follows_what_was_stopped(beside, options, run):
    code, calls = run(*options, beside=beside)
    assert (code, len(calls)) == (1, 1)
