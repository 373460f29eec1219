"""LPOT's names of datasets, transforms and filters, and what serves them.

Each table has the names of ``spec/names.py``, no more and no fewer. A name that is not served says
why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from lpot_examples.data.pipeline import (
    arithmetic,
    array_sets,
    coco_sets,
    dummy_sets,
    geometry,
    image_sets,
    imagenet,
    parsing,
    record_sets,
)
from lpot_examples.data.pipeline.arguments import Arguments
from lpot_examples.data.pipeline.dataset import DatasetArguments
from lpot_examples.data.pipeline.filters import Filter, LabelBalance
from lpot_examples.data.pipeline.postprocess import LabelShift, Postprocess
from lpot_examples.data.pipeline.transform import Transform
from lpot_examples.errors import SpecError, nearest


@dataclass(frozen=True)
class Unavailable:
    """A name of LPOT that is not served.

    Attributes:
        reason: Why, and what to do instead; full sentences.
    """

    reason: str


_TEXT = Unavailable(
    "It reads text with a tokenizer and a vocabulary, which this tool does not have. Give a "
    "q_dataloader and an eval_func in Python."
)
_SQUAD = Unavailable(
    "It makes text of BERT's answers with a tokenizer and a vocabulary, which this tool does not "
    "have. Give an eval_func in Python."
)

DATASETS: Mapping[str, type[DatasetArguments] | Unavailable] = MappingProxyType(
    {
        "CIFAR10": array_sets.CIFAR10,
        "CIFAR100": array_sets.CIFAR100,
        "MNIST": array_sets.MNIST,
        "FashionMNIST": array_sets.FashionMNIST,
        "ImageFolder": image_sets.ImageFolder,
        "TFRecordDataset": record_sets.TFRecordDataset,
        "ImageRecord": record_sets.ImageRecord,
        "Imagenet": record_sets.ImageRecord,  # its name until LPOT 1.2
        "ImagenetRaw": image_sets.ImagenetRaw,
        "VOCRecord": record_sets.VOCRecord,
        "COCORecord": record_sets.COCORecord,
        "COCORaw": coco_sets.COCORaw,
        "COCONpy": coco_sets.COCONpy,
        "dummy": dummy_sets.dummy,
        "dummy_v2": dummy_sets.dummy_v2,
        "sparse_dummy_v2": dummy_sets.sparse_dummy_v2,
        "bert": _TEXT,
        "mzbert": _TEXT,
        "GLUE": _TEXT,
        "style_transfer": image_sets.style_transfer,
    }
)

TRANSFORMS: Mapping[str, type[Transform] | Unavailable] = MappingProxyType(
    {
        "AlignImageChannel": arithmetic.AlignImageChannel,
        "BilinearImagenet": imagenet.BilinearImagenet,
        "Cast": arithmetic.Cast,
        "CenterCrop": geometry.CenterCrop,
        "CropResize": geometry.CropResize,
        "CropToBoundingBox": geometry.CropToBoundingBox,
        "Normalize": arithmetic.Normalize,
        "PaddedCenterCrop": geometry.PaddedCenterCrop,
        "ParseDecodeCoco": parsing.ParseDecodeCoco,
        "ParseDecodeImagenet": parsing.ParseDecodeImagenet,
        "ParseDecodeVoc": parsing.ParseDecodeVoc,
        "QuantizedInput": arithmetic.QuantizedInput,
        "RandomCrop": geometry.RandomCrop,
        "RandomHorizontalFlip": geometry.RandomHorizontalFlip,
        "RandomResizedCrop": geometry.RandomResizedCrop,
        "RandomVerticalFlip": geometry.RandomVerticalFlip,
        "Rescale": arithmetic.Rescale,
        "Resize": geometry.Resize,
        "ResizeCropImagenet": imagenet.ResizeCropImagenet,
        "ResizeWithAspectRatio": imagenet.ResizeWithAspectRatio,
        "ResizeWithRatio": geometry.ResizeWithRatio,
        "ToArray": arithmetic.ToArray,
        "ToNDArray": Unavailable("It makes an array of MXNet. Leave it out: images are arrays."),
        "ToPILImage": Unavailable("It makes an image for PyTorch. Leave it out."),
        "ToTensor": Unavailable(
            "It makes a tensor of PyTorch. Use Rescale, and Transpose with perm: [2, 0, 1]."
        ),
        "Transpose": arithmetic.Transpose,
    }
)

FILTERS: Mapping[str, type[Filter] | Unavailable] = MappingProxyType({"LabelBalance": LabelBalance})

POSTPROCESS_TRANSFORMS: Mapping[str, type[Postprocess] | Unavailable] = MappingProxyType(
    {
        "LabelShift": LabelShift,
        "SquadV1": _SQUAD,
        "SquadV1ModelZoo": _SQUAD,
        "Collect": Unavailable(
            "It collects the outputs of LPOT's own engine for SQuAD. Give an eval_func in Python."
        ),
    }
)

_Named = TypeVar("_Named", bound=Arguments)


def find(table: Mapping[str, type[_Named] | Unavailable], name: str, *, where: str) -> type[_Named]:
    """Return what serves a name.

    Args:
        table: One of the tables above.
        name: LPOT's name.
        where: The key that it stands under, for the message.

    Raises:
        SpecError: If there is no such name, or it is not served; the message says why.
    """
    found = table.get(name)
    if found is None:
        hint = nearest(name, table) or f" Known: {', '.join(table)}."
        raise SpecError(f"{where}.{name} is not a known name.{hint}")
    if isinstance(found, Unavailable):
        raise SpecError(f"{where}.{name} is not served. {found.reason}")
    return found
