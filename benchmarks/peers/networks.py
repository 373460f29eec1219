"""The networks that compilers are compared on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network and where its weights come from.

    Attributes:
        title: Name for readers.
        application: Attribute of ``keras.applications``; its weights are random. Empty for a
            network with trained weights.
        size: Height and width of the input of an application, pixels.
        preprocessing: What an application makes of RGB bytes: ``caffe``, ``tf`` or ``none``, as
            ``keras.applications.imagenet_utils`` names them.
        topology: Topology folder whose ``q_dataloader`` gives the images; empty for an
            application.
        dataset: Folder of the user's data with the images; empty where they are embedded.
    """

    title: str
    application: str = ""
    size: int = 224
    preprocessing: str = "none"
    topology: str = ""
    dataset: str = ""


NETWORKS: Mapping[str, Network] = {
    "resnet50": Network(title="ResNet-50", application="ResNet50", preprocessing="caffe"),
    "mobilenetv2": Network(title="MobileNetV2", application="MobileNetV2", preprocessing="tf"),
    "vgg16": Network(title="VGG-16", application="VGG16", preprocessing="caffe"),
    "inceptionv3": Network(
        title="Inception-v3", application="InceptionV3", size=299, preprocessing="tf"
    ),
    "efficientnetb0": Network(title="EfficientNet-B0", application="EfficientNetB0"),
    "ssd_shapes": Network(title="SSD (embedded)", topology="ssd_shapes"),
    "fastestdet": Network(title="FastestDet", topology="fastestdet", dataset="coco"),
    "squeezenet": Network(title="SqueezeNet (trained)", topology="squeezenet", dataset="imagenet"),
    "mobilenet_v2": Network(
        title="MobileNetV2 (trained)", topology="mobilenet_v2", dataset="imagenet"
    ),
}
"""The networks by the names of ``--networks``."""


def model_file(name: str, data: Path | None) -> Path | None:
    """Return the ``.pb`` of a network that is not an application; None where it is missing.

    Args:
        name: A key of `NETWORKS`.
        data: The user's folder with ``models/*.pb`` and the datasets.
    """
    network = NETWORKS[name]
    if not network.dataset:
        root = Path(__file__).resolve().parents[2]
        return root / "object_detection" / name / f"{name}.pb"
    if data is None:
        return None
    file = data / "models" / f"{name}.pb"
    return file if file.is_file() and (data / network.dataset).is_dir() else None


def missing(name: str, data: Path | None) -> str:
    """Say why a network cannot be measured; empty where it can."""
    network = NETWORKS[name]
    if network.application or model_file(name, data) is not None:
        return ""
    return f"needs models/{name}.pb and {network.dataset}/ in the folder of --data"
