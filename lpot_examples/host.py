"""What this machine is: its CPU as oneDNN will use it, its cores, memory and library versions.

Nothing here imports a framework or needs a package outside the standard library.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lpot_examples import cgroup


@dataclass(frozen=True, kw_only=True)
class ExactWeights:
    """Up to how many bits any weights are exact in an int8 kernel.

    Attributes:
        kernel: ``conv``, ``depthwise`` (each output channel reads one of several input channels;
            oneDNN runs other depthwise convolutions as ``conv``) or ``matmul``.
        reads: ``u8`` or ``s8``, the input's codes.
        bits: 8, or 7 where sums of two products saturate in 16 bits. Eight-bit weights of which
            no two neighbours sum to more than 128 are exact there as well, for ``u8``.
        halved: Whether the kernel halves the weights, which rounds them again: seven bits are
            then exact as even codes of eight.
    """

    kernel: str
    reads: str
    bits: int
    halved: bool = False


@dataclass(frozen=True, kw_only=True)
class InstructionSet:
    """A level of x86 vector instructions, as far as int8 kernels are concerned.

    Attributes:
        name: The name used in reports.
        flags: The flags of ``/proc/cpuinfo`` that a CPU must all have.
        exact: One entry for each kind of kernel and input.
        source: How `exact` is known: ``measured`` (tests run each kernel with
            ``ONEDNN_MAX_CPU_ISA`` against exact integers) or ``documented`` (oneDNN, "Nuances of
            int8 Computations"). It holds with TensorFlow's oneDNN graph ops on or off: the int8
            kernels are oneDNN's either way.
    """

    name: str
    flags: frozenset[str]
    exact: tuple[ExactWeights, ...]
    source: str

    def weights(self, kernel: str, reads: str) -> ExactWeights:
        """Return the entry for a kernel and its input's codes."""
        return next(e for e in self.exact if (e.kernel, e.reads) == (kernel, reads))

    @property
    def u8s8_saturates(self) -> bool:
        """Whether any kernel needs fewer than eight bits."""
        return any(entry.bits < 8 for entry in self.exact)


_AVX512_FLAGS = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
_VNNI_FLAGS = _AVX512_FLAGS | {"avx512_vnni"}

# ``vpmaddubsw`` multiplies u8 by s8 and adds two products in 16 bits, with saturation. Signed
# inputs are shifted by 128 and multiplied likewise; convolutions halve their weights for that.
# Depthwise kernels have no two products to add.
_PAIRS_SATURATE = (
    ExactWeights(kernel="conv", reads="u8", bits=7),
    ExactWeights(kernel="conv", reads="s8", bits=7, halved=True),
    ExactWeights(kernel="depthwise", reads="u8", bits=8),
    ExactWeights(kernel="depthwise", reads="s8", bits=7, halved=True),
    ExactWeights(kernel="matmul", reads="u8", bits=7),
    ExactWeights(kernel="matmul", reads="s8", bits=7),
)
# Four products are added in 32 bits (``vpdpbusd``, ``tdpbusd``), or one at a time.
_ALL_EXACT = tuple(
    ExactWeights(kernel=kernel, reads=reads, bits=8)
    for kernel in ("conv", "depthwise", "matmul")
    for reads in ("u8", "s8")
)

INSTRUCTION_SETS: Mapping[str, InstructionSet] = {
    name: InstructionSet(name=name, flags=frozenset(flags), exact=exact, source=source)
    for name, flags, exact, source in (
        ("generic", (), _ALL_EXACT, "documented"),
        ("sse4", {"sse4_1"}, _PAIRS_SATURATE, "measured"),
        ("avx", {"avx"}, _PAIRS_SATURATE, "measured"),
        ("avx2", {"avx2", "fma"}, _PAIRS_SATURATE, "measured"),
        ("avx_vnni", {"avx2", "fma", "avx_vnni"}, _ALL_EXACT, "documented"),
        ("avx512", _AVX512_FLAGS, _PAIRS_SATURATE, "measured"),
        ("avx512_vnni", _VNNI_FLAGS, _ALL_EXACT, "measured"),
        ("amx_int8", _VNNI_FLAGS | {"amx_tile", "amx_int8"}, _ALL_EXACT, "documented"),
    )
}
"""Name → facts, in the order in which oneDNN prefers them, worst first."""

_UP_TO_AVX2 = ("generic", "sse4", "avx", "avx2")
_UP_TO_AVX512 = (*_UP_TO_AVX2, "avx512")
_UP_TO_AVX512_VNNI = (*_UP_TO_AVX512, "avx512_vnni")
_UP_TO_AVX10 = (*_UP_TO_AVX512_VNNI, "avx_vnni")

# The partial order of oneDNN's "CPU Dispatcher Control" page; a value that is not here caps
# nothing, which is also what oneDNN makes of it.
_ALLOWED_BY_CAP: Mapping[str, tuple[str, ...]] = {
    "SSE41": ("generic", "sse4"),
    "AVX": ("generic", "sse4", "avx"),
    "AVX2": _UP_TO_AVX2,
    "AVX2_VNNI": (*_UP_TO_AVX2, "avx_vnni"),
    "AVX2_VNNI_2": (*_UP_TO_AVX2, "avx_vnni"),
    "AVX512_CORE": _UP_TO_AVX512,
    "AVX512_CORE_VNNI": _UP_TO_AVX512_VNNI,
    "AVX512_CORE_BF16": _UP_TO_AVX512_VNNI,
    "AVX512_CORE_FP16": _UP_TO_AVX10,
    "AVX10_1_512": _UP_TO_AVX10,
}

# TensorFlow switches its oneDNN ops on by default where one of these is present
# (DefaultOneDnnPolicy in tensorflow/core/util/port.cc).
_ONEDNN_DEFAULT_FLAGS = frozenset(
    {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
)
_RELEVANT_FLAGS = _ONEDNN_DEFAULT_FLAGS.union(*(isa.flags for isa in INSTRUCTION_SETS.values()))

_PACKAGES = ("lpot-examples", "tensorflow", "keras", "onnx", "onnxruntime", "numpy", "pycocotools")
# Those that only run or convert what a search has made.
_BESIDE = ("openvino", "tf2onnx")


@dataclass(frozen=True, kw_only=True)
class HostInfo:
    """The machine a result was obtained on.

    Attributes:
        cpu: Model name of the CPU.
        isa: Name in `INSTRUCTION_SETS` that oneDNN's kernels use, ``ONEDNN_MAX_CPU_ISA`` included.
        cpu_isa: Name in `INSTRUCTION_SETS` that the CPU itself has.
        flags: The CPU's flags that matter for `isa` and for oneDNN's default, sorted.
        onednn: Whether TensorFlow runs its oneDNN graph ops here, see `onednn_enabled`.
        logical_cores: Logical cores this process may use: affinity mask and cgroup quota applied.
        physical_cores: Physical cores among the CPUs of the affinity mask.
        memory_bytes: RAM this process may use, cgroup limit applied; 0 when unknown.
        os: Operating system, such as ``Linux 6.8.0``.
        python: Version of Python.
    """

    cpu: str
    isa: str
    cpu_isa: str
    flags: tuple[str, ...]
    onednn: bool
    logical_cores: int
    physical_cores: int
    memory_bytes: int
    os: str
    python: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**self.__dict__, "flags": list(self.flags)}


def host_info() -> HostInfo:
    """Describe this machine as it is for this process, with the present environment variables."""
    model, flags = _cpu_model_and_flags()
    cpu_isa = best_isa(flags)
    return HostInfo(
        cpu=model,
        isa=best_isa(flags, cap=_onednn_cap(os.environ)),
        cpu_isa=cpu_isa,
        flags=tuple(sorted(flags & _RELEVANT_FLAGS)),
        onednn=onednn_enabled(),
        logical_cores=len(available_cores()),
        physical_cores=len(set(_physical_ids(_affinity()))),
        memory_bytes=_memory_bytes(),
        os=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


def best_isa(flags: Collection[str], *, cap: str | None = None) -> str:
    """Return the name in `INSTRUCTION_SETS` that oneDNN chooses.

    Args:
        flags: The CPU's flags, as in ``/proc/cpuinfo``.
        cap: A value of ``ONEDNN_MAX_CPU_ISA``, in any case; unknown values cap nothing.
    """
    allowed = _ALLOWED_BY_CAP.get((cap or "").upper(), tuple(INSTRUCTION_SETS))
    usable = [n for n, isa in INSTRUCTION_SETS.items() if n in allowed and isa.flags <= set(flags)]
    return usable[-1]


def onednn_enabled() -> bool:
    """Tell whether TensorFlow turns its oneDNN graph ops on in this environment.

    ``TF_ENABLE_ONEDNN_OPTS`` decides where it is 0, 1, false or true; TensorFlow ignores any other
    value and follows the CPU. ``ONEDNN_MAX_CPU_ISA`` has no influence.
    """
    wish = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower()
    if wish in ("0", "false", "1", "true"):
        return wish in ("1", "true")
    if platform.system() != "Linux":
        return platform.system() == "Windows"
    return bool(_cpu_model_and_flags()[1] & _ONEDNN_DEFAULT_FLAGS)


def library_versions(*, beside: bool = True) -> dict[str, str]:
    """Return the installed version of each library that can change a result, and of Python.

    The libraries are not imported; one that is not installed is left out.

    Args:
        beside: Whether to list those, too, that cannot change what a search finds: runtimes and
            converters that only take its results.
    """
    versions = {"python": platform.python_version()}
    for package in (*_PACKAGES, *(_BESIDE if beside else ())):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def available_cores() -> tuple[int, ...]:
    """Return the ids of the CPUs to run on, in the order in which to fill them.

    One hardware thread of every physical core comes first, then the second threads. Under a cgroup
    quota of n CPUs only the first n are returned: more threads would only be throttled.
    """
    cpus = _affinity()
    seen: dict[tuple[int, int], int] = {}
    order = []
    for cpu, core in sorted(zip(cpus, _physical_ids(cpus), strict=True), key=lambda p: (p[1], p)):
        thread = seen[core] = seen.get(core, -1) + 1
        order.append((thread, core, cpu))
    quota = cgroup.cpu_quota()
    ids = [cpu for _, _, cpu in sorted(order)]
    return tuple(ids if quota is None else ids[: max(1, round(quota))])


def _onednn_cap(environ: Mapping[str, str]) -> str | None:
    return environ.get("ONEDNN_MAX_CPU_ISA") or environ.get("DNNL_MAX_CPU_ISA")


def _cpu_model_and_flags() -> tuple[str, frozenset[str]]:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        return parse_cpuinfo(_read_cpuinfo(cpuinfo))
    # Elsewhere the flags are unknown. AVX2 is on every x86 that TensorFlow is built for, and the
    # 7-bit weights chosen for it are right on any CPU.
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
    return _other_cpu_model(), INSTRUCTION_SETS["avx2"].flags if x86 else frozenset()


@functools.cache
def _read_cpuinfo(path: Path) -> str:
    return path.read_text(errors="replace")


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str]]:
    """Return the model name and the flags common to all CPUs of a ``/proc/cpuinfo`` text."""
    names = re.findall(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.findall(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    common = (
        frozenset.intersection(*(frozenset(f.split()) for f in flags)) if flags else frozenset()
    )
    return names[0].strip() if names else platform.machine() or "unknown", common


def _other_cpu_model() -> str:
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return answer.stdout.strip()
    return platform.processor() or platform.machine() or "unknown"


def _affinity() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _physical_ids(cpus: list[int]) -> list[tuple[int, int]]:
    """Return (package, core) of each CPU; where that is unknown every CPU is its own core."""
    ids = []
    for cpu in cpus:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            package = int((topology / "physical_package_id").read_text())
            ids.append((package, int((topology / "core_id").read_text())))
        except (OSError, ValueError):
            ids.append((0, cpu))
    return ids


def _memory_bytes() -> int:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
    limit = cgroup.memory_limit()
    return total if limit is None else min(total, limit)
