"""The classifiers of the catalogue, all trained on ImageNet's 1000 classes.

The frozen graphs are those of TF-Slim
(https://github.com/tensorflow/models/tree/master/research/slim), with sizes and checksums that Open
Model Zoo published (the ``model.yml`` of each network in
https://github.com/openvinotoolkit/open_model_zoo/tree/master/models/public). The others are built
by ``keras.applications``; addresses and MD5 sums of their weights are those in Keras's source,
rounded sizes those of https://keras.io/api/applications.
"""

from __future__ import annotations

from lpot_examples.zoo.entry import ZooModel
from lpot_examples.zoo.fetch.checksums import Checksum

_DOWNLOADS = "https://storage.googleapis.com/download.tensorflow.org/models/"
_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"
_WEIGHTS = "_weights_tf_dim_ordering_tf_kernels.h5"


def _slim(
    name: str,
    title: str,
    url: str,
    *,
    member: str,
    output: str,
    preprocessing: str = "inception",
    image_size: int = 224,
    size: int | None = None,
    sha256: str = "",
) -> ZooModel:
    """Return a frozen graph of TF-Slim."""
    return ZooModel(
        name=name,
        domain="classification",
        title=title,
        url=url,
        member=member,
        inputs=("input",),
        outputs=(output,),
        preprocessing=preprocessing,
        image_size=image_size,
        background=True,
        dataset="imagenet",
        size=size,
        checksum=Checksum("sha256", sha256) if sha256 else None,
        checksum_source="Open Model Zoo" if sha256 else "",
        licence="Apache-2.0",
    )


def _keras(
    name: str,
    title: str,
    application: str,
    weights: str,
    *,
    preprocessing: str,
    megabytes: int,
    md5: str,
    licence: str,
) -> ZooModel:
    """Return a network of ``keras.applications``."""
    return ZooModel(
        name=name,
        domain="classification",
        title=title,
        url=weights,
        application=application,
        inputs=("input",),
        outputs=("predictions",),
        preprocessing=preprocessing,
        image_size=224,
        dataset="imagenet",
        megabytes=megabytes,
        checksum=Checksum("md5", md5),
        checksum_source="Keras",
        licence=licence,
    )


CLASSIFIERS = (
    _keras(
        "vgg16",
        "VGG-16",
        "VGG16",
        f"{_KERAS}vgg16/vgg16{_WEIGHTS}",
        preprocessing="caffe",
        megabytes=528,
        md5="64373286793e3c8b2b4e3219cbf3544b",
        licence="CC BY (Oxford)",
    ),
    _keras(
        "vgg19",
        "VGG-19",
        "VGG19",
        f"{_KERAS}vgg19/vgg19{_WEIGHTS}",
        preprocessing="caffe",
        megabytes=549,
        md5="cbe5617147190e668d6c5d5026f83318",
        licence="CC BY (Oxford)",
    ),
    _keras(
        "resnet50_v1",
        "ResNet-50 v1",
        "ResNet50",
        f"{_KERAS}resnet/resnet50{_WEIGHTS}",
        preprocessing="caffe",
        megabytes=98,
        md5="2cb95161c43110f7111970584f804107",
        licence="MIT",
    ),
    _keras(
        "resnet_v2_50",
        "ResNet-50 v2",
        "ResNet50V2",
        f"{_KERAS}resnet/resnet50v2{_WEIGHTS}",
        preprocessing="tf",
        megabytes=98,
        md5="3ef43a0b657b3be2300d5770ece849e0",
        licence="see keras.io",
    ),
    _keras(
        "resnet_v2_101",
        "ResNet-101 v2",
        "ResNet101V2",
        f"{_KERAS}resnet/resnet101v2{_WEIGHTS}",
        preprocessing="tf",
        megabytes=171,
        md5="6343647c601c52e1368623803854d971",
        licence="see keras.io",
    ),
    _slim(
        "inception_v1",
        "Inception v1 (GoogLeNet)",
        f"{_DOWNLOADS}inception_v1_2016_08_28_frozen.pb.tar.gz",
        member="inception_v1_2016_08_28_frozen.pb",
        output="InceptionV1/Logits/Predictions/Softmax",
    ),
    _slim(
        "inception_v2",
        "Inception v2",
        f"{_DOWNLOADS}inception_v2_2016_08_28_frozen.pb.tar.gz",
        member="inception_v2_2016_08_28_frozen.pb",
        output="InceptionV2/Predictions/Softmax",
    ),
    _slim(
        "inception_v3",
        "Inception v3",
        f"{_DOWNLOADS}inception_v3_2016_08_28_frozen.pb.tar.gz",
        member="inception_v3_2016_08_28_frozen.pb",
        output="InceptionV3/Predictions/Softmax",
        image_size=299,
        size=88_668_554,
        sha256="7045b72a954af4dce36346f478610acdccbf149168fa25c78e54e32f0c723d6d",
    ),
    _slim(
        "inception_v4",
        "Inception v4",
        f"{_DOWNLOADS}inception_v4_2016_09_09_frozen.pb.tar.gz",
        member="inception_v4_2016_09_09_frozen.pb",
        output="InceptionV4/Logits/Predictions",
        image_size=299,
    ),
    _slim(
        "mobilenet_v1",
        "MobileNet v1 1.0",
        "http://download.tensorflow.org/models/mobilenet_v1_2018_08_02/mobilenet_v1_1.0_224.tgz",
        member="mobilenet_v1_1.0_224_frozen.pb",
        output="MobilenetV1/Predictions/Reshape_1",
        size=94_321_559,
        sha256="2fadeabb9968ec6833bee903900dda6e61b3947200535874ce2fe42a8493abc0",
    ),
    _slim(
        "mobilenet_v2",
        "MobileNet v2 1.0",
        "https://storage.googleapis.com/mobilenet_v2/checkpoints/mobilenet_v2_1.0_224.tgz",
        member="mobilenet_v2_1.0_224_frozen.pb",
        output="MobilenetV2/Predictions/Reshape_1",
        preprocessing="tf",  # aspect kept: what its figures in classification/ were measured with
        size=78_306_834,
        sha256="318084bc1b63d6d7b854553e09cdf77078b1c0168be27c59a0d44253b5ed49dc",
    ),
    _keras(
        "densenet121",
        "DenseNet-121",
        "DenseNet121",
        f"{_KERAS}densenet/densenet121{_WEIGHTS}",
        preprocessing="torch",
        megabytes=33,
        md5="9d60b8095a5708f2dcce2bca79d332c7",
        licence="BSD-3-Clause",
    ),
    _keras(
        "efficientnet_b0",
        "EfficientNet-B0",
        "EfficientNetB0",
        "https://storage.googleapis.com/keras-applications/efficientnetb0.h5",
        preprocessing="raw",
        megabytes=29,
        md5="902e53a9f72be733fc0bcb005b3ebbac",
        licence="Apache-2.0",
    ),
)
