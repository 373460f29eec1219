"""Whatever is given as a model, in Python and on the command line."""

from pathlib import Path

import numpy as np
import pytest
from networks import images, write_training_checkpoint

from lpot_examples import load_model, tune
from lpot_examples.backends.tensorflow.formats import open_model, open_object
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.benchmark.runner import benchmark
from lpot_examples.errors import LpotError, ModelError
from lpot_examples.spec import Spec


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_training_checkpoint(folder / "model.ckpt")
    return folder


def test_the_public_function_reads_every_format(checkpoint):
    model = load_model(checkpoint, threads=1)
    assert model.source == str(checkpoint)
    assert model(images()).shape == (4, 5)


def test_objects_are_opened_as_they_are(checkpoint):
    model = open_model(checkpoint)
    assert open_object(model) is model
    for form in (model.graph_def, model.graph, checkpoint, str(checkpoint)):
        opened = open_object(form, outputs=["logits"])
        assert isinstance(opened, TensorFlowModel)
        assert opened.output_names == ("logits",)
    with pytest.raises(ModelError, match="a GraphDef, a tf.Graph or a Keras model; got int"):
        open_object(3)


def test_formats_are_timed_against_each_other(checkpoint, tmp_path):
    frozen = open_model(checkpoint).save(tmp_path / "frozen.pb")
    np.save(tmp_path / "batch.npy", images())
    report = benchmark(
        [checkpoint, frozen], batch_size=4, input_file=tmp_path / "batch.npy", iterations=6
    )
    assert len(report.latency) == 2


@pytest.mark.parametrize(
    ("given", "output"),
    [
        ("model.ckpt", "model.ckpt.meta"),
        (".", "saved_model.pb"),
        (".", "variables/tuned.pb"),
        ("model.ckpt.index", "model.ckpt.index"),
    ],
)
def test_the_input_is_never_overwritten(checkpoint, given, output):
    files = {path: path.read_bytes() for path in checkpoint.iterdir()}
    with pytest.raises(LpotError, match="must not be overwritten|must stay as it is"):
        tune(Spec.default(), checkpoint / given, [images()], output=Path(checkpoint / output))
    assert {path: path.read_bytes() for path in checkpoint.iterdir()} == files
