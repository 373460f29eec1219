import io
import json
import signal
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lpot_examples.errors import ModelError, OutputError
from lpot_examples.zoo import prepare as preparing
from lpot_examples.zoo.catalogue import CATALOGUE
from lpot_examples.zoo.entry import ZooModel
from lpot_examples.zoo.fetch.checksums import Checksum, ChecksumError
from lpot_examples.zoo.fetch.transfer import Patience
from lpot_examples.zoo.fetch.unpack import ArchiveError
from lpot_examples.zoo.node_names import _graph_type
from lpot_examples.zoo.prepare import Preparation, prepare, prepare_model, prepared_model, present

ROOT = Path(__file__).parents[2]
QUICK = Preparation(patience=Patience(attempts=2, pause=0.01, stall=2.0))
PATH = "/zoo/net_2018.tar.gz"
GRAPH = "net_2018/frozen_inference_graph.pb"


def graph(*names):
    return _graph_type()(node=[{"name": name} for name in names]).SerializeToString()


def archive(files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


FILES = {
    GRAPH: graph("image_tensor", "trunk", "detection_boxes"),
    "net_2018/pipeline.config": b"config",
    "net_2018/model.ckpt.index": b"checkpoint",
}


@pytest.fixture
def net(server):
    server.files[PATH] = archive(FILES)
    return ZooModel(
        name="net",
        domain="object_detection",
        title="a net",
        url=server.url(PATH),
        member=GRAPH,
        inputs=("image_tensor",),
        outputs=("detection_boxes",),
        dataset="coco",
        licence="none",
    )


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def tree(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_a_network_is_downloaded_unpacked_and_found_again(net, models, server):
    assert present(net, models) is None
    path = prepare(net, models, QUICK)
    assert path == models / "net" / GRAPH
    assert path.read_bytes() == FILES[GRAPH]
    # The archive is not kept; what was in it and its checksum are.
    assert tree(models) == [*(f"net/{name}" for name in sorted(FILES)), "net_2018.tar.gz.sha256"]
    assert prepare(net, models, QUICK) == path
    assert present(net, models) == path
    assert len(server.requests) == 1


def test_an_archive_that_was_unpacked_by_hand_counts(net, models):
    place = models / GRAPH
    place.parent.mkdir(parents=True)
    place.write_bytes(FILES[GRAPH])
    assert present(net, models) == place
    assert prepare(net, models, QUICK) == place


def test_an_archive_that_the_user_put_there_is_used_and_kept(net, models, server):
    models.mkdir()
    (models / "net_2018.tar.gz").write_bytes(server.files[PATH])
    prepare(net, models, QUICK)
    assert server.requests == []
    assert (models / "net_2018.tar.gz").exists()


def test_force_makes_it_anew(net, models, server):
    path = prepare(net, models, QUICK)
    path.write_bytes(b"spoiled")
    assert prepare(net, models, replace(QUICK, force=True)) == path
    assert path.read_bytes() == FILES[GRAPH]
    server.files[PATH] = archive({**FILES, "net_2018/new": b""})
    with pytest.raises(ChecksumError, match="recorded at the first download"):
        prepare(net, models, replace(QUICK, force=True))
    assert path.read_bytes() == FILES[GRAPH]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"other_2018/frozen_inference_graph.pb": FILES[GRAPH]},
            r"must hold net_2018/frozen.*it holds other_2018/frozen.*archive of another network",
        ),
        ({f"{i}": b"" for i in range(20)}, r"it holds 0, 1, 10, 11, 12, 13, 14, 15, …\. It is"),
        ({}, "it holds nothing"),
        (
            {GRAPH: graph("image_tensor", "logits")},
            r"must have the nodes image_tensor, detection_boxes; it has 2 nodes, but no detect",
        ),
        ({GRAPH: b"not a graph"}, "is no frozen TensorFlow graph"),
    ],
)
def test_an_archive_of_another_network_is_refused(net, models, server, files, message):
    server.files[PATH] = archive(files)
    with pytest.raises(ModelError, match=message):
        prepare(net, models, QUICK)
    assert tree(models) == []  # and what was wrong is not recorded as right
    server.files[PATH] = archive(FILES)
    prepare(net, models, QUICK)


def test_a_broken_archive_is_not_taken_for_good_later(net, models, server):
    server.files[PATH] = server.files[PATH][:-50]
    with pytest.raises(ArchiveError, match="is broken"):
        prepare(net, models, QUICK)
    assert tree(models) == []


def test_a_malicious_archive_leaves_nothing(net, models, server):
    server.files[PATH] = archive({**FILES, "../../evil": b""})
    with pytest.raises(ArchiveError, match="a path outside the folder"):
        prepare(net, models, QUICK)
    assert tree(models.parent) == []


def test_an_archive_that_is_what_was_published_stays_for_another_look(net, models, server):
    server.files[PATH] = archive({})
    models.mkdir()
    (models / "x").write_bytes(server.files[PATH])
    known = replace(net, checksum=Checksum.of(models / "x"), checksum_source="us")
    with pytest.raises(ModelError, match="it holds nothing"):
        prepare(known, models, QUICK)
    assert tree(models) == ["net_2018.tar.gz", "x"]


def test_a_saved_model_is_a_folder(net, models, server):
    files = {
        "net_2018/saved_model/saved_model.pb": b"",
        "net_2018/saved_model/variables/variables.index": b"",
    }
    server.files[PATH] = archive(files)
    saved = replace(net, format="saved_model", member="net_2018/saved_model")
    assert prepare(saved, models, QUICK) == models / "net" / "net_2018" / "saved_model"
    assert prepare(saved, models, QUICK).is_dir()


def test_a_folder_of_that_name_is_not_overwritten(net, models):
    (models / "net").mkdir(parents=True)
    (models / "net" / "mine.pb").write_text("!")
    with pytest.raises(OutputError, match="models/net exists already"):
        prepare(net, models, QUICK)
    assert "net/mine.pb" in tree(models)


def test_what_a_killed_process_left_is_swept(net, models):
    left = models / ".net.4194999.tmp"
    left.mkdir(parents=True)
    (left / "x").write_text("half")
    other = models / ".nets.4194999.tmp"
    other.mkdir()
    prepare(net, models, QUICK)
    assert not left.exists()
    assert other.exists()


def test_two_processes_prepare_once(net, models, server):
    def slowly(handler, path):
        time.sleep(1.0)
        handler.serve(path)

    server.script = [slowly]
    fields = {name: getattr(net, name) for name in net.__dataclass_fields__}
    code = (
        "import json, sys\nfrom pathlib import Path\n"
        "from lpot_examples.zoo.entry import ZooModel\n"
        "from lpot_examples.zoo.prepare import Preparation, prepare\n"
        "fields = json.loads(sys.argv[1])\n"
        "how = Preparation(tell=lambda remark: print(remark, file=sys.stderr))\n"
        "print(prepare(ZooModel(**fields), Path(sys.argv[2]), how))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, json.dumps(fields), str(models)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [output for output, _ in outputs] == [f"{models / 'net' / GRAPH}\n"] * 2, outputs
    assert "Another process is preparing net; waiting…" in outputs[0][1] + outputs[1][1]
    assert len(server.requests) == 1
    assert not list(models.glob(".*"))


def test_ctrl_c_keeps_what_arrived(models, server):
    model = CATALOGUE["ssd_mobilenet_v1"]
    arrived = threading.Event()

    def slowly(handler, _):
        handler.send_response(200)
        handler.send_header("Content-Length", str(model.size))
        handler.send_header("ETag", '"a"')
        handler.end_headers()
        handler.wfile.write(bytes(1 << 20))
        arrived.set()
        time.sleep(30)

    server.script = [slowly]
    options = [f"--mirror={server.address}", f"--model_name={model.name}", f"--model_path={models}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lpot_examples", "prepare_model", *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert arrived.wait(30)
        part = models / f"{model.download_name}.part"
        deadline = time.monotonic() + 10
        while not (part.exists() and part.stat().st_size):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        messages = process.communicate(timeout=20)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert messages.splitlines()[-1] == "stopped."
    assert 0 < part.stat().st_size <= 1 << 20
    assert not list(models.glob(".*"))


def test_by_name_and_through_a_mirror(models, server, monkeypatch):
    model = CATALOGUE["inception_v1"]
    names = (*model.inputs, *model.outputs)
    server.files["/m/download.tensorflow.org/models/inception_v1_2016_08_28_frozen.pb.tar.gz"] = (
        archive({model.member: graph(*names), "labels.txt": b""})
    )
    remarks = []
    path = prepare_model(
        "inception_v1",
        models,
        mirror=server.url("/m"),
        patience=QUICK.patience,
        tell=remarks.append,
    )
    assert path == models / "inception_v1" / "inception_v1_2016_08_28_frozen.pb"
    assert prepared_model("inception_v1", models) == path
    assert prepared_model("inception_v2", models) is None
    assert prepared_model("my_own", models) is None
    assert remarks[0].endswith("(a mirror)")
    with pytest.raises(ModelError, match="--model_name must be one of"):
        prepare_model("my_own", models)


def test_a_keras_network_is_built_from_its_weights(net, models, server, monkeypatch):
    server.files["/w/net_weights.h5"] = b"weights"
    keras = replace(
        net, member="", application="Net", url=server.url("/w/net_weights.h5"), inputs=("input",)
    )
    built = []

    def build(model, weights, target):
        built.append((model.application, weights.name, weights.read_bytes()))
        target.write_bytes(graph("input", "detection_boxes"))

    monkeypatch.setattr(preparing, "build_keras", build)
    assert prepare(keras, models, QUICK) == models / "net" / "net.pb"
    assert built == [("Net", "net_weights.h5", b"weights")]
    assert tree(models) == ["net/net.pb", "net_weights.h5.sha256"]

    monkeypatch.setattr(preparing, "build_keras", lambda *args: args[2].write_bytes(graph("x")))
    with pytest.raises(ModelError, match="but no input, no detection_boxes"):
        prepare(keras, models, replace(QUICK, force=True))
    assert present(keras, models)


@pytest.fixture(scope="module")
def mobilenet():
    """Keras's MobileNet with random weights: the smallest whose weights Keras does not know."""
    from lpot_examples.backends.tensorflow.runtime import import_tensorflow

    keras = import_tensorflow().keras
    keras.utils.set_random_seed(3)
    return keras.applications.MobileNet(weights=None)


@pytest.mark.slow
def test_a_real_keras_network(mobilenet, models, server, tmp_path):
    import numpy as np

    from lpot_examples.backends.tensorflow.model import load_model

    weights = tmp_path / "mobilenet_1_0_224_tf.h5"

    _save_as_published(mobilenet, weights)
    server.files[f"/{weights.name}"] = weights.read_bytes()
    model = replace(
        CATALOGUE["resnet50_v1"],
        name="mobilenet",
        application="MobileNet",
        url=server.url(f"/{weights.name}"),
        checksum=Checksum.of(weights),
    )
    path = prepare(model, models, QUICK)
    assert tree(models) == ["mobilenet/mobilenet.pb"]
    batch = np.random.default_rng(0).normal(size=(2, 224, 224, 3)).astype(np.float32)
    network = load_model(path)
    assert (network.input_names, network.output_names) == (("input",), ("predictions",))
    np.testing.assert_allclose(network(batch), mobilenet(batch), atol=1e-6)


def _save_as_published(model, path):
    """Write weights in the layout of the files that keras.applications downloads."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


@pytest.mark.slow
def test_weights_of_another_network_are_refused(models, server):
    import h5py

    models.mkdir()
    with h5py.File(models / "w", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = []
    name = "mobilenet_1_0_224_tf.h5"
    server.files[f"/{name}"] = (models / "w").read_bytes()
    model = replace(
        CATALOGUE["resnet50_v1"],
        name="mobilenet",
        application="MobileNet",
        url=server.url(f"/{name}"),
        checksum=None,
    )
    with pytest.raises(ModelError, match=r"could not be built.*\n.*\n.*do not fit keras") as error:
        prepare(model, models, QUICK)
    assert "Traceback" not in str(error.value)
    assert tree(models) == ["w"]
