"""From what a network takes and gives to a first version of its topology folder.

Nothing tells what training did to an image, nor what an output means; what is guessed here is
listed as such, so that its owner can check it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lpot_examples.zoo.interface import Picture, Tensor, picture

Dataset = Literal["coco", "voc", "imagenet", "folder"]
Kind = Literal["classifier", "detector", "images", "arrays"]

DATASETS: tuple[Dataset, ...] = ("coco", "voc", "imagenet", "folder")

_BOXES = ("detection_boxes", "detection_scores", "detection_classes")
_DETECTIONS = ("num_detections", *_BOXES, "detection_masks")

_IMAGENET = 1000
_LARGE = 64  # rows from which on a photograph is cropped to its centre
_SIZES = {"classification": 224, "object_detection": 320}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a folder is written from.

    Attributes:
        kind: How its network is fed and scored.
        inputs: The network's.
        outputs: Those that are used.
        preprocessing: The arguments of an `ImageTransform`, as source text; empty where images
            reach the network as they are, or are none.
        named: A preprocessing by name in place of that, with ``size``; empty for none.
        size: Height and width for ``named``, pixels.
        classes: Of the dataset; 0 where there are none.
        background: Whether the network has a score for "none of them" before the classes.
        masks: Whether a detector gives masks.
        metric: The name of its score.
        guesses: What the owner should check, one sentence each.
    """

    kind: Kind
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    preprocessing: Mapping[str, str] = field(default_factory=dict)
    named: str = ""
    size: int = 0
    classes: int = 0
    background: bool = False
    masks: bool = False
    metric: str = "agreement"
    guesses: tuple[str, ...] = ()

    @property
    def batch(self) -> int | None:
        """The number of samples in a batch where the network fixes it."""
        return self.inputs[0].batch


def guess(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    *,
    domain: str,
    dataset: Dataset,
    turns: bool = False,
) -> Draft:
    """Make a first version of a topology.

    Args:
        inputs: The network's inputs, at least one.
        outputs: Its outputs.
        domain: ``classification`` or ``object_detection``.
        dataset: What it will be scored on.
        turns: Whether images may come with their channels last where the network has them first,
            as those in ONNX may.
    """
    draft = _draft(inputs, outputs, domain=domain, dataset=dataset, turns=turns)
    if draft.batch in (None, 1):
        return draft
    fixed = (
        f"The network takes batches of {draft.batch}, so the samples must be a multiple of that."
    )
    return replace(draft, guesses=(*draft.guesses, fixed))


def _draft(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    *,
    domain: str,
    dataset: Dataset,
    turns: bool,
) -> Draft:
    image = picture(inputs[0]) if len(inputs) == 1 else None
    if image is None:
        return _arrays(inputs, outputs)
    found = {tensor.plain_name: tensor for tensor in outputs}
    if set(_BOXES) <= found.keys() and dataset == "coco" and image.whole:
        return _detector(inputs, found)
    scores = [tensor for tensor in outputs if tensor.classes]
    if domain == "classification" and scores:
        others = len(outputs) - len(scores)
        return _classifier(inputs[0], image, scores, others=others, turns=turns)
    return _images(inputs[0], image, outputs, domain=domain)


def _detector(inputs: Sequence[Tensor], found: Mapping[str, Tensor]) -> Draft:
    return Draft(
        kind="detector",
        inputs=tuple(inputs),
        outputs=tuple(found[name] for name in _DETECTIONS if name in found),
        masks="detection_masks" in found,
        metric="box mAP" if "detection_masks" in found else "mAP",
        guesses=(
            "The network takes photographs as bytes, RGB, each at its own size.",
            "Its classes are the category ids of the annotations (1 to 90 on COCO).",
        ),
    )


def _classifier(
    tensor: Tensor, image: Picture, scores: Sequence[Tensor], *, others: int, turns: bool
) -> Draft:
    output = scores[0]
    count = output.classes or 0
    background = count == _IMAGENET + 1
    arguments, size, guesses = _preprocessing(image, "classification")
    named = _named(image, turns=turns)
    if named == "torch":
        guesses[-1] = (
            "Pixels are RGB, less ImageNet's mean and divided by its deviation, which networks "
            "with their channels first mostly take."
        )
    if len(scores) > 1 or others:
        guesses.append(
            f"The class scores are '{output.name}'; the network has {len(scores) + others} outputs."
        )
    if background:
        guesses.append("The first of the 1001 scores is for background, none of the classes.")
    return Draft(
        kind="classifier",
        inputs=(tensor,),
        outputs=(output,),
        preprocessing={} if named else arguments,
        named=named,
        size=size if named else 0,
        classes=count - background,
        background=background,
        metric="top-1",
        guesses=tuple(guesses),
    )


def _images(tensor: Tensor, image: Picture, outputs: Sequence[Tensor], *, domain: str) -> Draft:
    free = image.whole and image.height is None and image.channels == 3
    free = free and image.layout == "NHWC" and tensor.batch in (None, 1)
    arguments, _, guesses = _preprocessing(image, domain)
    if free:
        arguments, guesses = {}, ["The network takes images as bytes, RGB, each at its own size."]
    guesses.append(
        "What the outputs mean is not known, so no labels are used: the score is how far the "
        "outputs agree with those of the fp32 network. Write an evaluation of its task where you "
        "can."
    )
    return Draft(
        kind="images",
        inputs=(tensor,),
        outputs=tuple(outputs),
        preprocessing=arguments,
        guesses=tuple(guesses),
    )


def _arrays(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Draft:
    what = "The input is no image" if len(inputs) == 1 else f"There are {len(inputs)} inputs"
    return Draft(
        kind="arrays",
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        guesses=(
            f"{what}, so samples come from a NumPy file.",
            "What the outputs mean is not known, so no labels are used: the score is how far the "
            "outputs agree with those of the fp32 network. Write an evaluation of its task where "
            "you can.",
        ),
    )


def _named(image: Picture, *, turns: bool) -> str:
    """Return the named preprocessing that fits a square photograph in colour, or nothing."""
    photograph = (
        image.channels == 3
        and not image.whole
        and image.height == image.width
        and (image.height is None or image.height >= _LARGE)
    )
    if not photograph:
        return ""
    if image.layout == "NHWC":
        return "tf"
    return "torch" if turns else ""


def _preprocessing(image: Picture, domain: str) -> tuple[dict[str, str], int, list[str]]:
    """Return the arguments of an `ImageTransform`, the height and what was guessed."""
    default = _SIZES[domain]
    height, width = image.height or default, image.width or default
    arguments = {"height": str(height), "width": str(width)}
    guesses = []
    if image.height is None or image.width is None:
        guesses.append(f"The network takes images of any size; {width}x{height} pixels are used.")
    if domain == "classification" and min(height, width) >= _LARGE:
        arguments["crop"] = "0.875"
        guesses.append("Images are scaled, aspect kept, and cropped to their centre.")
    else:
        guesses.append("Images are resized as a whole, aspect not kept.")
    if image.channels == 1:
        arguments["channels"] = '"GREY"'
    if image.whole:
        arguments["dtype"] = '"uint8"'
        guesses.append("The network takes pixels from 0 to 255.")
    elif image.channels == 1 or domain == "object_detection":
        arguments["scale"] = "1 / 255"
        guesses.append(f"Pixels are {_colours(image)} from 0 to 1.")
    else:
        arguments["mean"] = "(127.5, 127.5, 127.5)"
        arguments["scale"] = "1 / 127.5"
        guesses.append(f"Pixels are {_colours(image)} from -1 to 1.")
    if image.layout == "NCHW":
        arguments["layout"] = '"NCHW"'
    return arguments, height, guesses


def _colours(image: Picture) -> str:
    return "grey" if image.channels == 1 else "RGB"
