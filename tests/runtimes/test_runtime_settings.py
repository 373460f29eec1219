import pytest

from lpot_examples.runtimes.settings import settings
from lpot_examples.runtimes.table import RUNTIMES


def test_every_runtime_has_settings_with_the_threads():
    for name in RUNTIMES:
        assert "5" in settings(name, threads=5)
        assert settings(name, threads=5) != settings(name, threads=6)


def test_they_are_what_is_measured_with_onnxruntime():
    from lpot_examples.backends.onnx.runtime import session_options

    options = session_options(threads=5)
    for name in ("intra_op_num_threads", "inter_op_num_threads"):
        assert f"{name} = {getattr(options, name)}" in settings("onnxruntime", threads=5)
    entry = "session.force_spinning_stop"
    value = options.get_session_config_entry(entry)
    assert f'add_session_config_entry("{entry}", "{value}")' in settings("onnxruntime", threads=5)


def test_they_are_what_is_measured_with_tensorflow():
    from lpot_examples.backends.tensorflow.runtime import session_config

    config = session_config(threads=5)
    for name in ("intra_op_parallelism_threads", "inter_op_parallelism_threads"):
        assert f"{name}={getattr(config, name)}" in settings("tensorflow", threads=5)


def test_they_are_what_is_measured_with_openvino(monkeypatch):
    openvino = pytest.importorskip("openvino")
    from lpot_examples.runtimes import openvino_model

    given = {}

    class Core:
        def compile_model(self, network, device, options):
            given.update(options)

    monkeypatch.setattr(openvino, "Core", Core)
    openvino_model._compiled(None, threads=5)
    text = settings("openvino", threads=5)
    assert given["INFERENCE_NUM_THREADS"] == 5
    for name, value in given.items():
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        assert f'"{name}": {shown}' in text
