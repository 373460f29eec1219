import pytest

from lpot_examples.zoo.guess import guess
from lpot_examples.zoo.interface import Tensor, picture


def tensor(shape, dtype="float32", name="x"):
    return Tensor(name=name, shape=shape, dtype=dtype)


ZOO = [
    tensor((None, 100, 4), name="detection_boxes"),
    tensor((None,), name="num_detections"),
    tensor((None, 100), name="detection_scores"),
    tensor((None, 100), name="detection_classes"),
]
BYTES = tensor((None, None, None, 3), "uint8", "image_tensor")


@pytest.mark.parametrize(
    ("shape", "dtype", "wanted"),
    [
        ((None, 224, 192, 3), "float32", ("NHWC", 224, 192, 3, False)),
        ((1, 3, 32, 64), "float32", ("NCHW", 32, 64, 3, False)),
        ((None, 8, 8, 1), "uint8", ("NHWC", 8, 8, 1, True)),
        ((None, None, None, None), "float16", ("NHWC", None, None, 3, False)),
        (None, "uint8", ("NHWC", None, None, 3, True)),
        ((None, 3, None, None), "float32", ("NCHW", None, None, 3, False)),
    ],
)
def test_inputs_that_are_images(shape, dtype, wanted):
    found = picture(tensor(shape, dtype))
    assert (found.layout, found.height, found.width, found.channels, found.whole) == wanted


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((None, 10), "float32"),
        ((None, 8, 8, 4), "float32"),
        ((None, 8, 8, 3), "bool"),
        ((), "float32"),
        ((None, 4, 8, 8, 3), "float32"),
    ],
)
def test_inputs_that_are_none(shape, dtype):
    assert picture(tensor(shape, dtype)) is None


@pytest.mark.parametrize(
    ("shape", "classes"),
    [
        ((None, 10), 10),
        ((1, 1, 1, 1000), 1000),
        ((None, 12, 1, 1), 12),
        ((None, 2, 3), None),
        ((None, 1), None),
        ((None,), None),
        ((None, None), None),
        (None, None),
    ],
)
def test_class_scores(shape, classes):
    assert tensor(shape).classes == classes
    assert tensor(shape, "int64").classes is None


def test_a_classifier_of_imagenet():
    draft = guess(
        [tensor((None, 299, 299, 3))],
        [tensor((None,), "int64", "ArgMax"), tensor((None, 1001), name="softmax")],
        domain="classification",
        dataset="imagenet",
    )
    assert (draft.kind, draft.named, draft.size) == ("classifier", "tf", 299)
    assert (draft.classes, draft.background) == (1000, True)
    assert [output.name for output in draft.outputs] == ["softmax"]
    assert any("'softmax'; the network has 2 outputs" in text for text in draft.guesses)


@pytest.mark.parametrize(
    ("shape", "dtype", "arguments"),
    [
        ((None, 8, 8, 1), "float32", {"channels": '"GREY"', "scale": "1 / 255"}),
        ((None, 32, 32, 3), "uint8", {"dtype": '"uint8"'}),
        ((None, 3, 96, 96), "float32", {"layout": '"NCHW"', "crop": "0.875"}),
    ],
)
def test_other_classifiers(shape, dtype, arguments):
    taken = [tensor(shape, dtype)]
    scores = [tensor((None, 10))]
    draft = guess(taken, scores, domain="classification", dataset="folder")
    assert draft.kind == "classifier" and not draft.named
    assert arguments.items() <= draft.preprocessing.items()
    assert ("crop" in draft.preprocessing) == ("crop" in arguments)


def test_a_detector_of_the_zoos_and_what_is_none():
    draft = guess([BYTES], ZOO, domain="object_detection", dataset="coco")
    assert (draft.kind, draft.masks, draft.metric) == ("detector", False, "mAP")
    assert draft.outputs[0].name == "num_detections"
    masks = [*ZOO, tensor((None, 100, 15, 15), name="scope/detection_masks")]
    draft = guess([BYTES], masks, domain="object_detection", dataset="coco")
    assert draft.masks and draft.metric == "box mAP"
    assert guess([BYTES], ZOO, domain="object_detection", dataset="voc").kind == "images"
    floats = [tensor((None, 300, 300, 3))]
    assert guess(floats, ZOO, domain="object_detection", dataset="coco").kind == "images"
    assert guess([BYTES], ZOO[:2], domain="object_detection", dataset="coco").kind == "images"


def test_unknown_outputs_and_inputs():
    maps = [tensor((None, 22, 22, 85))]
    image = tensor((None, None, None, 3))
    draft = guess([image], maps, domain="object_detection", dataset="coco")
    assert draft.kind == "images"
    assert draft.preprocessing["height"] == "320"
    assert any("any size; 320x320" in text for text in draft.guesses)
    assert guess([BYTES], maps, domain="object_detection", dataset="coco").preprocessing == {}
    two = [image, tensor((None, 4), name="size")]
    assert guess(two, maps, domain="object_detection", dataset="coco").kind == "arrays"
    words = [tensor((None, 128), "int32")]
    assert guess(words, maps, domain="classification", dataset="folder").kind == "arrays"
    assert guess([image], maps, domain="classification", dataset="folder").kind == "images"


def test_a_fixed_batch_is_kept():
    taken, scores = [tensor((4, 32, 32, 3))], [tensor((4, 10))]
    draft = guess(taken, scores, domain="classification", dataset="folder")
    assert draft.batch == 4
    assert "batches of 4" in draft.guesses[-1]
    taken = [tensor((1, 32, 32, 3))]
    draft = guess(taken, scores, domain="classification", dataset="folder")
    assert draft.batch == 1
    assert "batches" not in draft.guesses[-1]


@pytest.mark.parametrize(("turns", "named"), [(True, "torch"), (False, "")])
def test_photographs_with_channels_first(turns, named):
    """What takes them either way gets a preprocessing by name; the rest the layout it needs."""
    draft = guess(
        [tensor((None, 3, 224, 224))],
        [tensor((None, 1000)), tensor((None, 4))],
        domain="classification",
        dataset="imagenet",
        turns=turns,
    )
    assert draft.named == named
    assert ("layout" in draft.preprocessing) == (not turns)
    assert any("class scores are" in one for one in draft.guesses)
    assert any(one.startswith("Pixels are RGB") for one in draft.guesses)
