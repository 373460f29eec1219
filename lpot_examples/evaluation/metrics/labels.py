"""What detection datasets say of an image, in this package's form or LPOT's, as one record each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.arguments import ArgumentError
from lpot_examples.evaluation.metrics.class_names import COCO_NAMES

_LPOT_PARTS = 4


@dataclass(frozen=True, kw_only=True)
class ImageLabels:
    """The objects of one image; N is their number.

    Attributes:
        identity: The image's id; empty if it has none.
        boxes: float64 [N, 4], corners (ymin, xmin, ymax, xmax) as fractions of the image.
        classes: int64 [N].
        crowd: bool [N], regions that hold many objects.
        difficult: bool [N], objects that need not be found.
        area: float64 [N] in pixels, that of the objects rather than of their boxes; None if it is
            not known.
        size: (height, width) of the image in pixels; None if it is not known.
    """

    identity: str
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    area: NDArray[np.float64] | None = None
    size: tuple[int, int] | None = None


class LabelReader:
    """Reads the labels of batches, in one of two forms.

    - This package's, with an attribute ``images``: one `data.pipeline.labels.DetectionLabel`, or
      an object with its attributes, for each image.
    - LPOT's ``(boxes, texts, classes, image_ids)``, each with one entry for each image: [N, 4],
      names [N], integers [N] and an id. Names or classes may be empty.

    With a label map names are read; else classes, and names where all classes are 0 or missing.

    Args:
        anno_path: The label map, a yaml file with lines ``name: id``.
        names: The ids of names where there is no label map.

    Raises:
        ArgumentError: If the file cannot be used.
    """

    def __init__(
        self, anno_path: str | None = None, *, names: Mapping[str, int] = COCO_NAMES
    ) -> None:
        self._mapped = anno_path is not None
        self._ids = names if anno_path is None else read_label_map(anno_path)
        self._place = "COCO's or VOC's classes" if anno_path is None else anno_path

    def __call__(self, labels: Any) -> list[ImageLabels]:
        """Return one record for each image of a batch.

        Raises:
            EvaluationError: If the labels have another form, or a name has no id.
        """
        if hasattr(labels, "images"):
            return [self._record(one) for one in labels.images]
        if not isinstance(labels, (tuple, list)) or len(labels) != _LPOT_PARTS:
            raise _unknown(labels)
        boxes, texts, classes, identities = labels
        return [
            self._image(corners, _at(texts, at), _at(classes, at), _at(identities, at))
            for at, corners in enumerate(boxes)
        ]

    def _record(self, given: Any) -> ImageLabels:
        found = self._image(given.boxes, given.texts, given.classes, given.image_id)
        return replace(
            found,
            crowd=np.asarray(given.is_crowd, dtype=bool),
            difficult=np.asarray(given.difficult, dtype=bool),
            area=np.asarray(given.area, dtype=np.float64),
            size=given.size,
        )

    def _image(self, boxes: Any, texts: Any, classes: Any, identity: Any) -> ImageLabels:
        corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        number = len(corners)
        kinds = self._classes(_flat(texts), _flat(classes))
        if len(kinds) != number:
            raise EvaluationError(
                f"mAP needs one class for each of the {number} boxes of image '{_text(identity)}'; "
                f"there are {len(kinds)}. Check the dataset."
            )
        return ImageLabels(
            identity=_text(identity),
            boxes=corners,
            classes=kinds,
            crowd=np.zeros(number, dtype=bool),
            difficult=np.zeros(number, dtype=bool),
        )

    def _classes(self, texts: list[Any], classes: list[Any]) -> NDArray[np.int64]:
        if texts and (self._mapped or not any(classes)):
            return np.asarray([self._id(_text(text)) for text in texts], dtype=np.int64)
        return np.asarray(classes, dtype=np.int64)

    def _id(self, name: str) -> int:
        if name not in self._ids:
            raise EvaluationError(
                f"the class '{name}' has no id in {self._place}. Give a label map, a yaml file "
                "with lines 'name: id', as the metric's anno_path."
            )
        return self._ids[name]


def read_label_map(path: str) -> dict[str, int]:
    """Read a yaml file with lines ``name: id``, or ``id: name``.

    Raises:
        ArgumentError: If the file is missing or holds something else.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ArgumentError(f"cannot be read: {path}: {error.strerror}.", "anno_path") from None
    except (UnicodeDecodeError, YAMLError) as error:
        said = " ".join(str(error).split())
        raise ArgumentError(f"must be a yaml file; {path}: {said}.", "anno_path") from None
    pairs = content.items() if isinstance(content, dict) else ()
    found: dict[str, int] = {}
    for key, value in pairs:
        name, number = (value, key) if isinstance(key, int) else (key, value)
        if isinstance(number, bool) or not isinstance(number, int):
            found = {}
            break
        found[str(name)] = number
    if not found:
        raise ArgumentError(
            f"must be a yaml file with lines 'name: id', such as 'person: 1'; {path} is not.",
            "anno_path",
        )
    return found


def _unknown(labels: Any) -> EvaluationError:
    several = isinstance(labels, (tuple, list, np.ndarray))
    what = f"{type(labels).__name__}{f' of {len(labels)} parts' if several else ''}"
    return EvaluationError(
        "mAP needs labels with boxes, as COCORecord, COCORaw and VOCRecord give them, or LPOT's "
        f"(boxes, class names, class ids, image ids); they are {what}. Use such a dataset."
    )


def _at(parts: Any, index: int) -> Any:
    """Return one image's entry; nothing where the dataset gives nothing for any image."""
    listed = isinstance(parts, (list, tuple)) or getattr(parts, "ndim", 0) > 0
    return parts[index] if listed and len(parts) > index else ()


def _flat(values: Any) -> list[Any]:
    if isinstance(values, (str, bytes)):
        return [values]
    return list(np.asarray(values).ravel().tolist())


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else ""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return "" if isinstance(value, tuple) else str(value)
