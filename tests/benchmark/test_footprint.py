"""The peak memory of a model's own process."""

from pathlib import Path

import pytest

from lpot_examples.benchmark.footprint import peak_memory
from lpot_examples.errors import LpotError

LOADER = "stand_in_models:load"


@pytest.fixture(autouse=True)
def _stand_ins_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def test_it_is_that_of_the_worker_and_not_of_its_parent(tmp_path):
    model = tmp_path / "sleep-1.pb"
    model.touch()
    ballast = bytearray(400_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert 5_000_000 < peak_memory(model, loader=LOADER) < 300_000_000


def test_a_model_that_crashes_is_told(tmp_path):
    model = tmp_path / "crash-1.pb"
    model.touch()
    with pytest.raises(LpotError, match="SIGSEGV"):
        peak_memory(model, loader=LOADER)
