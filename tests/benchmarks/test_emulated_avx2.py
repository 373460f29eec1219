"""Emulation with a program in QEMU's place that runs everything on this CPU."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import emulated_avx2  # noqa: E402

from lpot_examples.errors import LpotError  # noqa: E402
from lpot_examples.evaluation.result import EvaluationResult  # noqa: E402
from lpot_examples.testing import emulation  # noqa: E402
from lpot_examples.testing.onnx_networks import image_network  # noqa: E402

STAND_IN = """#!/bin/sh
case "$1 $2" in
  "--version "*) echo "qemu-x86_64 version VERSION (Debian)" ;;
  "-cpu help") echo "Available CPUs:"; echo "x86 Haswell   (alias)" ;;
  *) shift 2; exec "$@" ;;
esac
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    def put(version="8.2.1"):
        program = tmp_path / emulation.PROGRAM
        program.write_text(STAND_IN.replace("VERSION", version))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return put


def test_what_is_needed_is_said(stand_in, monkeypatch):
    stand_in()
    assert emulation.emulator().version == "8.2.1"
    with pytest.raises(LpotError, match="no CPU 'Haswel'"):
        emulation.emulator("Haswel")
    stand_in("7.1.0")
    with pytest.raises(LpotError, match=r"QEMU 7\.2 or newer is needed"):
        emulation.emulator()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", ["emulated_avx2.py"])
    with pytest.raises(SystemExit, match="'apt-get install qemu-user'"):
        emulated_avx2.main()


def test_a_stuck_process_is_started_anew(tmp_path):
    mark = tmp_path / "begun"
    once = f"[ -e {mark} ] && echo here || {{ touch {mark}; sleep 60; }}"
    assert emulation.run_stubbornly(["sh", "-c", once], patience=0.5) == ["here"]
    with pytest.raises(LpotError, match="gave no sign for 0 s, 3 times"):
        emulation.run_stubbornly(["sleep", "60"], patience=0.2)
    with pytest.raises(LpotError, match="ended with 3: no room$"):
        emulation.run_stubbornly(["sh", "-c", "echo no room >&2; exit 3"], patience=9)


def test_a_network_is_scored_here_and_there(stand_in, tmp_path):
    """Images that the network takes with their channels first; the score sees both outputs."""
    stand_in()
    path = tmp_path / "m.onnx"
    path.write_bytes(image_network().SerializeToString())
    images = np.random.default_rng(0).uniform(0, 1, (6, 16, 16, 3)).astype(np.float32)
    seen = []

    def score(model):
        seen.append(np.concatenate([model(images[:4]), model(images[4:])]))
        return EvaluationResult(score=float(seen[-1].max()), metric="highest", samples=6)

    row = emulated_avx2.network_row(emulation.emulator(), path, "onnxruntime", score)
    np.testing.assert_array_equal(*seen)
    assert seen[0].shape == (6, 10)
    assert (row.samples, row.identical, row.decibels) == (6, 1.0, None)
    assert row.score == row.score_here == seen[0].max()
