"""The detectors of the catalogue, all trained on COCO.

The archives are those of TensorFlow's two detection zoos
(https://github.com/tensorflow/models/tree/master/research/object_detection/g3doc). Their sizes and
checksums were published by Open Model Zoo (the ``model.yml`` of each network in
https://github.com/openvinotoolkit/open_model_zoo/tree/master/models/public).
"""

from __future__ import annotations

from lpot_examples.zoo.entry import ZooModel
from lpot_examples.zoo.fetch.checksums import Checksum

_ZOO = "http://download.tensorflow.org/models/object_detection/"
_BOXES = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")


def _detector(
    name: str,
    title: str,
    archive: str,
    *,
    size: int,
    checksum: Checksum,
    outputs: tuple[str, ...] = _BOXES,
) -> ZooModel:
    """Return a network of the zoo of 2018: a frozen graph with checkpoint and SavedModel."""
    return ZooModel(
        name=name,
        domain="object_detection",
        title=title,
        url=f"{_ZOO}{archive}.tar.gz",
        member=f"{archive}/frozen_inference_graph.pb",
        inputs=("image_tensor",),
        outputs=outputs,
        dataset="coco",
        size=size,
        checksum=checksum,
        checksum_source="Open Model Zoo",
        licence="Apache-2.0",
    )


DETECTORS = (
    _detector(
        "ssd_resnet50_v1",
        "SSD with ResNet-50 v1 FPN, 640×640",
        "ssd_resnet50_v1_fpn_shared_box_predictor_640x640_coco14_sync_2018_07_03",
        size=366_947_246,
        checksum=Checksum(
            "sha256", "b5ff24a4a013130ebbbf5da71fbbd05a5df27825184632899650f45833ffb66b"
        ),
    ),
    _detector(
        "ssd_mobilenet_v1",
        "SSD with MobileNet v1, 300×300",
        "ssd_mobilenet_v1_coco_2018_01_28",
        size=76_541_073,
        checksum=Checksum(
            "sha256", "8788f89108519fd1102b8a5c2ac861cf6d86603571b6ce5bbd1c245b7fe005e3"
        ),
    ),
    _detector(
        "faster_rcnn_inception_resnet_v2",
        "Faster R-CNN with Inception-ResNet v2, atrous",
        "faster_rcnn_inception_resnet_v2_atrous_coco_2018_01_28",
        size=672_221_478,
        checksum=Checksum(
            "sha384",
            "4b44a30cd9b989bc1c0d2f247977389a7daab590a0154b333d80a23fafa9570d"
            "e6a4bc38226ee67c5cdd5549d8ea96d5",
        ),
    ),
    _detector(
        "faster_rcnn_resnet101",
        "Faster R-CNN with ResNet-101 v1",
        "faster_rcnn_resnet101_coco_2018_01_28",
        size=593_445_323,
        checksum=Checksum(
            "sha384",
            "d39799f52422740e78f66b9f8df2c360b232fb39a1d895d89dbebf71c4a9e653"
            "69b8d42f52e442552f13d11fe23ca758",
        ),
    ),
    _detector(
        "mask_rcnn_inception_v2",
        "Mask R-CNN with Inception v2",
        "mask_rcnn_inception_v2_coco_2018_01_28",
        outputs=(*_BOXES, "detection_masks"),
        size=177_817_887,
        checksum=Checksum(
            "sha256", "4f57861c2ff1c87e92495789ee266e41a7dc79a038521d93a153be403b0b601f"
        ),
    ),
    ZooModel(
        name="efficientdet_d0",
        domain="object_detection",
        title="EfficientDet-D0, 512×512",
        url=f"{_ZOO}tf2/20200711/efficientdet_d0_coco17_tpu-32.tar.gz",
        member="efficientdet_d0_coco17_tpu-32/saved_model",
        format="saved_model",
        inputs=("input_tensor",),
        outputs=_BOXES,
        dataset="coco",
        licence="Apache-2.0",
    ),
)
