"""scripts/environment.sh, run in a small clone whose requirements file is empty."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROBE = """
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "prefix": sys.prefix,
                  "path": sys.path, "package": __file__}))
"""


def make_clone(folder):
    (folder / "lpot_examples").mkdir(parents=True)
    (folder / "lpot_examples" / "__init__.py").touch()
    (folder / "lpot_examples" / "__main__.py").write_text(PROBE)
    (folder / "requirements.txt").write_text("# nothing\n")
    for name in ("run_tuning.sh", "run_benchmark.sh", "scripts"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def start(script, *arguments, cwd, **environ):
    environ = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": "", **environ}
    return subprocess.Popen(
        ["bash", str(script), *arguments],
        cwd=cwd,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script, *arguments, cwd, **environ):
    process = start(script, *arguments, cwd=cwd, **environ)
    out, messages = process.communicate(timeout=120)
    return process.returncode, json.loads(out) if out else None, messages


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone, in a path with a space, whose environment two runs have made at the same time."""
    folder = make_clone(tmp_path_factory.mktemp("a b") / "the clone")
    both = [start(folder / "run_tuning.sh", cwd=folder) for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert sum("Installing" in messages for _, messages in ends) == 1, ends
    return folder


def test_a_complete_environment_is_used_as_it_is(clone):
    log = (clone / ".venv/install.log").stat().st_mtime_ns
    code, seen, messages = run(clone / "run_tuning.sh", cwd=clone)
    assert (code, messages) == (0, "")
    assert Path(seen["prefix"]) == clone / ".venv"
    assert (clone / ".venv/install.log").stat().st_mtime_ns == log


def test_from_another_directory_through_a_link(clone, tmp_path):
    here = tmp_path / "user's data"
    here.mkdir()
    (here / "json.py").write_text("raise SystemExit('the wrong json')")
    (here / "tune").symlink_to(os.path.relpath(clone / "run_benchmark.sh", here))
    arguments = ["--input_model=a b.pb", "*", "--", "--no-venv"]
    code, seen, messages = run("tune", *arguments, cwd=here, PYTHONPATH="/of the user")
    assert (code, messages) == (0, "")
    assert seen["argv"] == ["benchmark", *arguments]
    assert Path(seen["cwd"]) == here
    assert Path(seen["package"]).parent == clone / "lpot_examples"
    assert "/of the user" in seen["path"]
    assert str(here) not in seen["path"]


def test_changed_requirements_are_installed(clone):
    (clone / "requirements.txt").write_text("# still nothing\n")
    for expected in (True, False):
        code, _, messages = run(clone / "run_tuning.sh", cwd=clone)
        assert code == 0
        assert ("Installing" in messages) is expected


EXTRAS = [
    ("run_tuning.sh", "neural-compressor", "Neural Compressor", ["--engine=neural_compressor"]),
    ("run_tuning.sh", "neural-compressor", "Neural Compressor", ["--engine", "neural_compressor"]),
    ("run_benchmark.sh", "openvino", "OpenVINO", ["--runtime=onnxruntime,openvino"]),
    ("run_benchmark.sh", "openvino", "OpenVINO", ["--runtime", "openvino, tensorflow"]),
]


@pytest.mark.parametrize(("script", "file", "title", "arguments"), EXTRAS)
def test_an_extra_is_installed_when_it_is_asked_for(clone, script, file, title, arguments):
    (clone / f"requirements-{file}.txt").write_text(f"# nothing for {arguments}\n")
    assert run(clone / script, cwd=clone)[2] == ""
    for expected in (True, False):
        code, seen, messages = run(clone / script, *arguments, cwd=clone)
        assert (code, seen["argv"][1:]) == (0, arguments)
        assert (f"Installing {title} into .venv" in messages) is expected
    # What was complete before is still complete.
    options = ["--engine=lpot", "--runtime=onnxruntime"]
    assert run(clone / script, *options, cwd=clone)[2] == ""


def test_extras_stay_beside_each_other_and_tests_need_every_runtime(clone):
    for name in ("dev", "openvino", "neural-compressor"):
        (clone / f"requirements-{name}.txt").write_text(f"# of {name}\n")
    tuning = (clone / "run_tuning.sh").read_text()
    (clone / "run_tests.sh").write_text(tuning.replace("environment runtime", "environment dev"))
    assert run(clone / "run_tuning.sh", "--engine=neural_compressor", cwd=clone)[2]
    assert run(clone / "run_tests.sh", cwd=clone)[2]
    assert run(clone / "run_benchmark.sh", "--runtime=openvino", cwd=clone)[2] == ""
    assert run(clone / "run_tuning.sh", "--engine=neural_compressor", cwd=clone)[2] == ""


def test_no_venv_names_the_missing_engine(tmp_path):
    folder = make_clone(tmp_path / "clone")
    (folder / "requirements-neural-compressor.txt").write_text("no.such.engine==3  # x\n")
    arguments = ["--no-venv", "--engine=neural_compressor"]
    code, _, messages = run(folder / "run_tuning.sh", *arguments, cwd=folder)
    assert code == 1
    assert "pip install no.such.engine==3'" in messages
    assert run(folder / "run_tuning.sh", "--no-venv", cwd=folder)[0] == 0


def test_an_interrupted_installation_is_repaired(clone):
    (clone / ".venv/.installing").touch()
    (clone / ".venv/.complete-runtime").unlink()
    half_written = clone / ".venv/half-written"
    half_written.touch()
    code, _, messages = run(clone / "run_tuning.sh", cwd=clone)
    assert code == 0, messages
    assert not half_written.exists()
    assert not (clone / ".venv/.installing").exists()


def test_a_failed_installation_shows_why(clone):
    (clone / "requirements.txt").write_text("./no-such-folder/\n")
    code, seen, messages = run(clone / "run_tuning.sh", cwd=clone)
    assert (code, seen) == (1, None)
    assert "no-such-folder" in messages
    assert "install.log" in messages
    (clone / "requirements.txt").write_text("")
    assert run(clone / "run_tuning.sh", cwd=clone)[0] == 0


def test_no_suitable_python(tmp_path):
    folder = make_clone(tmp_path / "clone")
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\necho 3.9\n")
    old.chmod(0o755)
    code, seen, messages = run(folder / "run_tuning.sh", cwd=folder, PYTHON=str(old))
    assert (code, seen) == (1, None)
    assert messages.count("\n") == 1
    assert "3.11, 3.12 or 3.13 is required" in messages
    assert "python3.9 (3.9)" in messages


def test_another_machine_is_refused(tmp_path):
    folder = make_clone(tmp_path / "clone")
    (tmp_path / "uname").write_text("#!/bin/sh\n[ $1 = -s ] && echo Darwin || echo arm64\n")
    (tmp_path / "uname").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    code, seen, messages = run(folder / "run_tuning.sh", cwd=folder, PATH=path)
    assert (code, seen) == (1, None)
    assert "x86-64 CPU is required; this is Darwin on arm64" in messages
    assert not (folder / ".venv").exists()


def test_no_venv_uses_the_active_environment(tmp_path):
    folder = make_clone(tmp_path / "clone")
    code, seen, _ = run(folder / "run_tuning.sh", "--no-venv", "-x", cwd=folder)
    assert (code, seen["argv"]) == (0, ["tune", "-x"])
    assert seen["prefix"] == sys.prefix
    assert not (folder / ".venv").exists()


def test_no_venv_names_what_is_missing(tmp_path):
    folder = make_clone(tmp_path / "clone")
    (folder / "requirements.txt").write_text(
        "pillow==1.0  # its module has another name\nno.such==1.2\n# Needed by the above\nx==1\n"
    )
    code, seen, messages = run(folder / "run_tuning.sh", "--no-venv", cwd=folder)
    assert (code, seen) == (1, None)
    assert "pip install no.such==1.2'" in messages
    assert messages.count("\n") == 1
