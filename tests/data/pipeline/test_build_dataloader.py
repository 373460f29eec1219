import numpy as np
import pytest
from PIL import Image

from lpot_examples.calibration.feed import batches
from lpot_examples.data.pipeline.build import build_postprocess
from lpot_examples.errors import DataError, SpecError


@pytest.fixture
def photographs(tmp_path, pixels):
    """``data/0`` and ``data/1`` with five images of three sizes."""
    for number in range(5):
        folder = tmp_path / "data" / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(number, 20 + number // 2, 30)).save(folder / f"{number}.png")


SECTION = {"dataset": {"ImageFolder": {"root": "data"}}}
RESIZED = {**SECTION, "transform": {"Resize": {"size": 8}}}
RANDOM = {
    **SECTION,
    "transform": {
        "RandomCrop": {"size": 10},
        "RandomHorizontalFlip": {},
        "RandomVerticalFlip": None,
        "RandomResizedCrop": {"size": 6},
    },
}


def equal(first, second):
    pairs = list(zip(first, second, strict=True))
    return all(np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in pairs)


@pytest.mark.parametrize("section", [RESIZED, RANDOM])
@pytest.mark.parametrize("cache_bytes", [0, 400, 1 << 30])
def test_every_pass_gives_the_same(load, photographs, section, cache_bytes):
    section = {**section, "batch_size": 2}
    loader = load(section, cache_bytes=cache_bytes)
    first = list(loader)
    assert equal(first, list(loader)) and equal(first, list(load(section)))
    assert [len(labels) for _, labels in first] == [2, 2, 1]


def test_random_transforms_depend_on_the_seed(load, photographs):
    first = list(load(RANDOM))
    assert not equal(first, list(load(RANDOM, seed=2)))


def test_transforms_are_applied_in_the_order_written(load, photographs):
    steps = {"CenterCrop": {"size": 16}, "Resize": {"size": 8}}
    turned = dict(reversed(steps.items()))
    (first,) = load({**SECTION, "transform": steps}, limit=1)
    assert first[0].shape == (1, 8, 8, 3)
    with pytest.raises(DataError, match=r"data/0/0.png: CenterCrop needs .* has 8x8.*Resize"):
        list(load({**SECTION, "transform": turned}))


def test_images_of_several_sizes_need_a_resize(load, photographs):
    assert len(list(load(SECTION))) == 5
    with pytest.raises(
        DataError,
        match=r"batch 0 of dataloader has 20x30x3, 21x30x3. Add Resize to dataloader.transform, or",
    ):
        list(load({**SECTION, "batch_size": 2}))


def test_last_batch(load, photographs):
    loader = load({**RESIZED, "batch_size": 2, "last_batch": "discard"})
    assert len(loader) == len(list(loader)) == 2 and loader.sample_count == 4
    with pytest.raises(DataError, match="discard leaves nothing of 5 samples in batches of 9"):
        len(load({**RESIZED, "batch_size": 9, "last_batch": "discard"}))


def test_limit_and_shuffle(load, photographs):
    loader = load({**RESIZED, "batch_size": 2}, limit=3)
    assert [len(labels) for _, labels in loader] == [2, 1] and loader.sample_count == 3
    shuffled = load({**RESIZED, "shuffle": True})
    rows = shuffled.rows.tolist()
    assert (
        sorted(rows) == list(range(5)) and rows == load({**RESIZED, "shuffle": True}).rows.tolist()
    )
    straight = list(load(RESIZED))
    assert equal(shuffled, [straight[row] for row in rows])
    with pytest.raises(DataError, match="number of samples must be at least 1; it is 0"):
        load(RESIZED, limit=0)


def test_any_order(load, photographs):
    loader = load({**RESIZED, "batch_size": 2})
    images = np.concatenate([images for images, _ in loader])
    order = np.array([4, 0, 3])
    found = np.concatenate([images for images, _ in loader.ordered(order)])
    assert np.array_equal(found, images[order])


def test_the_type_that_the_network_takes(load, photographs):
    (plain,), (rounded,) = list(load(RESIZED, limit=1)), list(load(RESIZED, limit=1, dtype="uint8"))
    assert plain[0].dtype == np.float32 and rounded[0].dtype == np.uint8
    assert np.array_equal(rounded[0], np.rint(plain[0]))
    ((floats, _),) = load(SECTION, limit=1, dtype=np.float32)
    assert floats.dtype == np.float32


def test_calibration_takes_the_batches(load, photographs):
    loader = load({**RESIZED, "batch_size": 2})
    spec = {"input": ((None, 8, 8, 3), np.dtype("float32"))}
    assert [len(batch["input"]) for batch in batches(loader, spec, limit=3)] == [2, 1]


class TestPlaces:
    def test_below_the_yaml_before_the_current_directory(
        self, load, photographs, tmp_path, monkeypatch
    ):
        assert load(SECTION).sample_count == 5
        monkeypatch.chdir(tmp_path)
        other = tmp_path / "yaml"
        other.mkdir()
        assert load(SECTION, base=other).sample_count == 5
        (other / "data" / "a").mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(other / "data" / "a" / "b.png")
        assert load(SECTION, base=other).sample_count == 1

    def test_dataset_location_replaces_the_root(self, load, photographs, tmp_path):
        section = {"dataset": {"ImageFolder": {"root": "/path/to/dataset"}}}
        assert load(section, dataset_location=tmp_path / "data").sample_count == 5
        assert load({"dataset": {"ImageFolder": {}}}, dataset_location=tmp_path / "data")
        below = load(SECTION, dataset_location=tmp_path)
        assert below.sample_count == 5  # <location>/data, as the yaml says, is there

    def test_what_is_missing(self, load, tmp_path):
        with pytest.raises(DataError, match=r"ImageFolder.root is required.*--dataset_location"):
            load({"dataset": {"ImageFolder": None}})
        with pytest.raises(DataError, match=r"--dataset_location is .*none, which does not exist"):
            load(SECTION, dataset_location=tmp_path / "none")
        with pytest.raises(
            DataError, match=r"ImageFolder.root must be where .*/data and .*/data do"
        ):
            load(SECTION)
        with pytest.raises(DataError, match=r"/path/to/dataset does not exist.*--dataset_location"):
            load({"dataset": {"ImageFolder": {"root": "/path/to/dataset"}}})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"transform": {"Resize": {"size": "big"}}},
            r"here.transform.Resize.size must be an integer >= 1; got 'big'",
        ),
        ({"transform": {"Resize": {}}}, r"here.transform.Resize.size is required, such as 224\."),
        (
            {"transform": {"Resize": {"size": [1, 2, 3]}}},
            r"Resize.size must be height and width in pixels, such as 224 .* got \[1, 2, 3\]",
        ),
        (
            {"transform": {"Resize": {"size": 8, "interpolate": "nearest"}}},
            r"Resize.interpolate is not an argument of Resize. Did you mean 'interpolation'",
        ),
        (
            {"transform": {"Resize": {"size": 8, "interpolation": "cubic"}}},
            r"interpolation must be one of bilinear, nearest, bicubic; got 'cubic'",
        ),
        ({"transform": {"Rescale": {"by": 255}}}, r"Rescale.by is not an argument .*takes none"),
        ({"transform": {"ToTensor": {}}}, r"here.transform.ToTensor is not served.*PyTorch"),
        ({"transform": {"Resize": 8}}, r"here.transform.Resize must be a mapping"),
        ({"dataset": {"bert": {}}}, r"here.dataset.bert is not served.*q_dataloader"),
        ({"dataset": {"ImageFolder": {"root": 3}}}, r"ImageFolder.root must be a path; got 3"),
    ],
)
def test_errors_name_the_key(load, photographs, section, message):
    with pytest.raises(SpecError, match=message):
        load({**SECTION, **section}, where="here")


def test_all_mistakes_of_one_name_at_once(load, photographs):
    with pytest.raises(SpecError) as error:
        arguments = {"x": -1, "y": 0, "width": 0, "height": 1, "sizes": 3}
        load({**SECTION, "transform": {"CropResize": arguments}})
    assert len(str(error.value).splitlines()) == 4


def test_postprocess():
    (shift,) = build_postprocess({"LabelShift": 1})
    outputs, labels = shift(("outputs", np.array([1, 5])))
    assert outputs == "outputs" and labels.tolist() == [0, 4]
    (shift,) = build_postprocess({"LabelShift": {"label_shift": -2}})
    assert shift((None, [3]))[1].tolist() == [5]
    with pytest.raises(SpecError, match=r"postprocess.transform.SquadV1 is not served.*eval_func"):
        build_postprocess({"SquadV1": {}})
    with pytest.raises(SpecError, match=r"LabelShift.label_shift must be an integer"):
        build_postprocess({"LabelShift": "one"})
    with pytest.raises(DataError, match="whole numbers; they are float64"):
        shift((None, [0.5]))
