"""The worker process, crashes and all, with a fake at the other end."""

import json
import sys
from pathlib import Path

import pytest

from lpot_examples.backends.neural_compressor.process import WorkerProcess
from lpot_examples.backends.neural_compressor.worker import Request
from lpot_examples.errors import EmitError

FAKE = (sys.executable, str(Path(__file__).parent / "fake_worker.py"))


@pytest.fixture
def worker(tmp_path):
    process = WorkerProcess(tmp_path / "w", command=FAKE, timeout=3)
    yield process
    process.stop()


def request(tmp_path, trouble=""):
    return Request(
        graph="fp32.pb",
        inputs=["input"],
        outputs=["logits"],
        batches="batches",
        recipe={"trouble": trouble},
        target=str(tmp_path / "made"),
    )


def test_requests_share_a_process(worker, tmp_path):
    asked = request(tmp_path)
    worker.run(asked)
    process = worker._process
    assert Request(**json.loads((tmp_path / "made").read_text())) == asked
    worker.run(asked)
    assert worker._process is process
    worker.stop()
    assert process.poll() is not None
    worker.stop()


def test_a_failure_is_told_and_the_process_goes_on(worker, tmp_path):
    with pytest.raises(EmitError, match="Neural Compressor failed: 'conv1' is too much"):
        worker.run(request(tmp_path, "error"))
    process = worker._process
    worker.run(request(tmp_path))
    assert worker._process is process


def test_a_crash_is_told_and_another_process_goes_on(worker, tmp_path):
    with pytest.raises(EmitError, match="was ended by SIGSEGV; its last words: fatal: a made-up"):
        worker.run(request(tmp_path, "crash"))
    worker.run(request(tmp_path))


def test_no_answer_in_time(worker, tmp_path):
    with pytest.raises(EmitError, match="did not finish within 3 s"):
        worker.run(request(tmp_path, "hang"))
    worker.run(request(tmp_path))


def test_its_environment(tmp_path, monkeypatch):
    """Calibration reads what TensorFlow prints, so the worker must not inherit silence."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    worker = WorkerProcess(tmp_path / "w", command=FAKE)
    worker.run(request(tmp_path))
    process = Path(f"/proc/{worker._process.pid}")
    try:
        assert b"TF_CPP_MIN_LOG_LEVEL" not in (process / "environ").read_bytes()
        assert f"TMPDIR={tmp_path / 'w'}".encode() in (process / "environ").read_bytes()
        assert (process / "cwd").readlink() == tmp_path / "w"
    finally:
        worker.stop()
