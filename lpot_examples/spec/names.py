"""The names a spec may use, as data. Every list of valid names lives here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FRAMEWORKS = MappingProxyType(
    {
        "tensorflow": "tensorflow",
        "onnxrt_qlinearops": "onnx",
        "onnxrt_qdq": "onnx",
        "onnxrt_integerops": "onnx",
    }
)
"""Framework name in a spec → folder of ``lpot_examples.backends`` that serves it."""

FRAMEWORK_ALIASES = MappingProxyType(
    {"inteltensorflow": "tensorflow", "tensorflow_itex": "tensorflow"}
)
"""LPOT frameworks that differ from a supported one only in who built the runtime."""

OTHER_FRAMEWORKS = (
    "pytorch",
    "pytorch_fx",
    "pytorch_ipex",
    "mxnet",
    "keras",
    "engine",
)
"""LPOT frameworks that this tool knows of and does not serve."""

APPROACHES = (
    "post_training_static_quant",
    "post_training_dynamic_quant",
    "post_training_auto_quant",
)
STRATEGIES = (
    "bisection",
    "basic",
    "mse",
    "mse_v2",
    "bayesian",
    "tpe",
    "random",
    "exhaustive",
    "sigopt",
    "conservative",
    "auto",
    "hawq_v2",
)
DEFAULT_STRATEGY = "bisection"
OBJECTIVES = ("performance", "modelsize", "footprint", "accuracy")

DTYPES = ("int8", "uint8", "fp32", "bf16")
QUANTIZED_DTYPES = frozenset({"int8", "uint8"})
GRANULARITIES = ("per_channel", "per_tensor")
SCHEMES = ("asym", "sym")
ACTIVATION_ALGORITHMS = ("minmax", "kl", "percentile", "mse")
WEIGHT_ALGORITHMS = ("minmax", "mse", "kl")
"""``kl`` is accepted for weights because LPOT's own template writes it, and read as ``minmax``."""
FLOAT_PRECISIONS = ("fp32", "bf16")

METRICS = (
    "topk",
    "mAP",
    "COCOmAP",
    "COCOmAPv2",
    "VOCmAP",
    "SquadF1",
    "MSE",
    "RMSE",
    "MAE",
    "Accuracy",
    "Loss",
    "BLEU",
    "F1",
    "mIOU",
    "GLUE",
    "ROC",
)
DATASETS = (
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "FashionMNIST",
    "ImageFolder",
    "TFRecordDataset",
    "ImageRecord",
    "Imagenet",
    "ImagenetRaw",
    "VOCRecord",
    "COCORecord",
    "COCORaw",
    "COCONpy",
    "dummy",
    "dummy_v2",
    "sparse_dummy_v2",
    "bert",
    "mzbert",
    "GLUE",
    "style_transfer",
)
TRANSFORMS = (
    "AlignImageChannel",
    "BilinearImagenet",
    "Cast",
    "CenterCrop",
    "CropResize",
    "CropToBoundingBox",
    "Normalize",
    "PaddedCenterCrop",
    "ParseDecodeCoco",
    "ParseDecodeImagenet",
    "ParseDecodeVoc",
    "QuantizedInput",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomVerticalFlip",
    "Rescale",
    "Resize",
    "ResizeCropImagenet",
    "ResizeWithAspectRatio",
    "ResizeWithRatio",
    "ToArray",
    "ToNDArray",
    "ToPILImage",
    "ToTensor",
    "Transpose",
)
POSTPROCESS_TRANSFORMS = ("LabelShift", "SquadV1", "SquadV1ModelZoo", "Collect")
FILTERS = ("LabelBalance",)
LAST_BATCH = ("rollover", "discard")
INSPECT_TYPES = ("activation", "weight", "all")

OTHER_JOBS: Mapping[tuple[str | int, ...], str] = MappingProxyType(
    {
        ("pruning",): "pruning",
        ("distillation",): "distillation",
        ("auto_distillation",): "distillation",
        ("nas",): "neural architecture search",
        ("train",): "training",
        ("quantization", "train"): "quantization-aware training",
    }
)
"""Keys of LPOT that ask for a job this tool does not do; each is an error, never ignored."""
