"""The columns of the comparison: what is made by whom and run by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Column:
    """One form of every network.

    Attributes:
        title: Heading.
        file: Name of the model file that the maker writes.
        maker: Module of this package that makes it.
        runtime: A key of `runtimes.RUNTIMES`.
        maker_environment: ``own``, the interpreter of this run, or a requirements file's name
            here, ``requirements-<name>.txt``.
        runtime_environment: Likewise, for the process that is timed.
    """

    title: str
    file: str
    maker: str
    runtime: str
    maker_environment: str = "own"
    runtime_environment: str = "own"


COLUMNS: Mapping[str, Column] = {
    "fp32": Column(
        title="fp32 as given", file="fp32.pb", maker="make_network", runtime="tensorflow"
    ),
    "folded": Column(
        title="fp32 folded", file="folded.pb", maker="make_folded", runtime="tensorflow"
    ),
    "ours": Column(title="ours int8", file="ours.pb", maker="make_ours", runtime="tensorflow"),
    "inc": Column(
        title="Neural Compressor int8",
        file="inc.pb",
        maker="make_neural_compressor",
        runtime="tensorflow",
        maker_environment="peers",
    ),
    "ort": Column(
        title="ONNX Runtime int8",
        file="int8.onnx",
        maker="make_onnxruntime",
        runtime="onnxruntime",
        maker_environment="peers",
        runtime_environment="peers",
    ),
    "openvino": Column(
        title="OpenVINO + NNCF int8",
        file="int8.xml",
        maker="make_openvino",
        runtime="openvino",
        maker_environment="peers",
        runtime_environment="peers",
    ),
}
"""The columns in the order of the table. The first is what the others are compared with."""

REFERENCE = "fp32"
OURS = "ours"
PEERS = ("inc", "ort", "openvino")
