import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

from lpot_examples.backends.onnx.model import load_model as load_onnx
from lpot_examples.backends.tensorflow.model import load_model as load_frozen
from lpot_examples.errors import DataError, ModelError
from lpot_examples.runtimes import openvino_model
from lpot_examples.runtimes.openvino_model import load_model
from lpot_examples.testing.onnx_networks import NetworkMaker, image_network


def written(model, folder):
    path = folder / "network.onnx"
    onnx.save(model, path)
    return path


def images(count, *, seed=0):
    return np.random.default_rng(seed).random((count, 3, 16, 16), np.float32)


@pytest.mark.parametrize("built_in", ["batch", 2])
def test_onnx_networks_give_what_onnx_runtime_gives(tmp_path, built_in):
    path = written(image_network(batch=built_in), tmp_path)
    model, other = load_model(path), load_onnx(path)
    assert (model.input_names, model.output_names) == (other.input_names, other.output_names)
    assert model.input_spec("image") == other.input_spec("image")
    for batch in (images(5), np.moveaxis(images(2), 1, -1)):  # in parts; channels last
        found = model(batch)
        assert (found.dtype, found.shape) == (np.float32, (len(batch), 10))
        np.testing.assert_allclose(found, other(batch), atol=1e-5)


def test_outputs_come_in_the_order_of_their_names(frozen):
    rng = np.random.default_rng(0)
    image = rng.random((3, 16, 16, 3), np.float32)
    other = load_frozen(frozen)
    assert load_model(frozen).output_names == other.output_names == ("first", "scores")
    for names in (["scores", "first:0"], ["first", "scores"], ["scores"]):
        found = load_model(frozen, inputs=["image"], outputs=names)(image)
        for one, wanted in zip(
            found if isinstance(found, tuple) else (found,), other.run(names, image), strict=True
        ):
            np.testing.assert_allclose(one, wanted, atol=1e-5)


def test_fp32_is_computed_in_fp32(tmp_path):
    """By itself OpenVINO takes bfloat16, with 8 bits of mantissa, on CPUs that have it."""
    maker = NetworkMaker()
    x = maker.matmul(maker.matmul("x", (256, 256)), (256, 64))
    path = written(maker.model({"x": ["n", 256]}, {x: ["n", 64]}), tmp_path)
    batch = np.random.default_rng(0).normal(size=(8, 256)).astype(np.float32)
    found, wanted = load_model(path)(batch), load_onnx(path)(batch)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_batches_are_compiled_one_by_one_and_images_of_any_size_in_the_end_together(tmp_path):
    maker = NetworkMaker()
    x = maker.conv("x", (3, 4))
    free = maker.model({"x": ["n", 3, "h", "w"]}, {x: ["n", 4, "h", "w"]})
    path = written(free, tmp_path)
    model, other = load_model(path), load_onnx(path)
    for size in range(4, 12):
        batch = images(1)[:, :, :size]
        np.testing.assert_allclose(model(batch), other(batch), atol=1e-5)
    assert len(model._requests) == openvino_model._STATIC_SHAPES + 1
    model = load_model(written(image_network(), tmp_path))
    for count in range(1, 11):
        assert model(images(count)).shape == (count, 10)
    assert [key[0][0] for key in model._requests] == list(range(3, 11))
    model.close()
    assert not model._requests
    assert model(images(2)).shape == (2, 10)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_threads_stay_on_the_cores_of_the_process(tmp_path):
    path = written(image_network(), tmp_path)
    last = max(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{last}}})\n"
        "import numpy as np\n"
        "from lpot_examples.runtimes.openvino_model import load_model\n"
        f"load_model({str(path)!r}, threads=1)(np.zeros((1, 3, 16, 16), np.float32))\n"
        "print({frozenset(os.sched_getaffinity(int(t))) for t in os.listdir('/proc/self/task')})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=search_path()
    )
    assert done.stdout.strip() == str({frozenset({last})})


def test_as_many_threads_as_asked_for(tmp_path):
    model = load_model(written(image_network(), tmp_path), threads=1)
    model(images(1))
    (request,) = model._requests.values()
    compiled = request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("NUM_STREAMS") == 1


def test_what_does_not_fit_is_told(tmp_path, frozen, eight_bits):
    path = written(image_network(), tmp_path)
    model = load_model(path)
    with pytest.raises(DataError, match=r"'image' takes float32.*got float64"):
        model(images(1).astype(np.float64))
    with pytest.raises(DataError, match=r"takes float32 \['\?', 3, 16, 16\] and got .* \[1, 3, 8"):
        model(images(1)[:, :, :8])
    with pytest.raises(ModelError, match="no output 't18'. Did you mean 't19'"):
        load_model(path, outputs=["t18"])
    with pytest.raises(ModelError, match="no input 'imag'. Did you mean 'image'"):
        load_model(path, inputs=["imag"])
    with pytest.raises(ModelError, match="no output 'score'. Did you mean 'scores'"):
        load_model(frozen, outputs=["score"])
    with pytest.raises(ModelError, match=r"OpenVINO \S+ cannot read .*int8\.pb: No conversion.*Q"):
        load_model(eight_bits)
    (tmp_path / "cut.onnx").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cut off"):
        load_model(tmp_path / "cut.onnx")


def search_path():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def test_its_own_format(tmp_path):
    import openvino

    from lpot_examples.runtimes.table import own_runtime, runtimes_of

    given = written(image_network(batch=2), tmp_path)
    path = tmp_path / "network.xml"
    openvino.save_model(openvino.Core().read_model(given), path, compress_to_fp16=False)
    model, other = load_model(path), load_onnx(given)
    assert (model.input_names, model.output_names) == (other.input_names, other.output_names)
    np.testing.assert_allclose(model(images(3)), other(images(3)), atol=1e-5)
    assert own_runtime(path).name == "openvino"
    assert runtimes_of(path) == ("openvino",)
    path.write_text("<net>")
    with pytest.raises(ModelError, match=r"network\.xml is damaged, or no IR of OpenVINO"):
        load_model(path)
