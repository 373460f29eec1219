"""What int8 networks give on a CPU without VNNI, on a machine that has it.

Without VNNI, kernels add products of u8 and s8 codes in pairs, in 16 bits, where they saturate.
ONNX Runtime takes its kernels by what the CPU says of itself, so a machine with VNNI never runs
those others. This program runs them under QEMU's user-mode emulator, which makes a CPU with AVX2
and no more. It needs the program qemu-x86_64, version 7.2 or newer ('apt-get install qemu-user').

Kernels (the default): one network of every kind of int8 kernel, with inputs and weights that
saturate wherever they can, once with plain eight-bit weights and once with those that are written
for avx2. Figures are differences from the same network computed in fp32, in codes; up to 1 is
rounding.

Networks (--topology): scores, and outputs compared with those of the same file here.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lpot_examples.cli.console import progress  # noqa: E402
from lpot_examples.errors import LpotError  # noqa: E402
from lpot_examples.host import INSTRUCTION_SETS, library_versions  # noqa: E402
from lpot_examples.runtimes.table import RUNTIMES, load, own_runtime, runtime_named  # noqa: E402
from lpot_examples.testing.emulation import (  # noqa: E402
    Emulator,
    emulator,
    run_elsewhere,
    run_stubbornly,
)
from lpot_examples.workspace import replacing  # noqa: E402

_EXAMPLES = """
examples:
  all kinds of kernels on the runtimes that are installed; about six minutes
    .venv/bin/python benchmarks/emulated_avx2.py --output=kernels.json
  only ONNX Runtime's
    .venv/bin/python benchmarks/emulated_avx2.py --runtimes=onnxruntime
  a network that was tuned with --target_isa=avx2, and one that was not, on 50 images
    .venv/bin/python benchmarks/emulated_avx2.py --topology=squeezenet --samples=50 \\
      --input_model=fp32.onnx,avx2.onnx,vnni.onnx --dataset_location=imagenet/

exit codes: 0 done, 1 not possible, 3 weights for avx2 saturate
"""

# Beside rounding, which may fall the other way in either of two computations.
_ROUNDING = 1.01
_PLAIN, _PAIRED = "plain eight bits", "for avx2"
_EMITTED_FOR = {_PLAIN: "avx512_vnni", _PAIRED: "avx2"}
_SATURATES = 3

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class KernelRow:
    """One kind of kernel on one runtime.

    Attributes:
        runtime: The runtime.
        kind: The kind of kernel.
        weights: How its weights were quantized.
        kernels: How many of this kind there are.
        saturated: How many of them differ by more than rounding on the emulated CPU.
        emulated: The greatest difference there, in codes.
        here: The greatest difference on this CPU, in codes; None if it was not run.
    """

    runtime: str
    kind: str
    weights: str
    kernels: int
    saturated: int
    emulated: float
    here: float | None


@dataclass(frozen=True, kw_only=True)
class NetworkRow:
    """One network on one runtime.

    Attributes:
        runtime: The runtime.
        network: Its file.
        samples: How many were run.
        score_here: Its score on this CPU.
        score: Its score on the emulated one.
        identical: Share of output values that are the same on both.
        decibels: Power of the outputs here over that of the difference; None if there is none.
        seconds: Per sample, emulated.
    """

    runtime: str
    network: str
    samples: int
    score_here: float
    score: float
    identical: float
    decibels: float | None
    seconds: float


def main() -> None:
    """Run and print."""
    options = _options()
    try:
        cpu = emulator(options.cpu)
        rows = _networks(cpu, options) if options.topology else _kernels(cpu, options)
    except LpotError as error:
        sys.exit(f"Error: {error}")
    if options.output:
        report = {
            "cpu": cpu.cpu,
            "qemu": cpu.version,
            "versions": library_versions(),
            "rows": [asdict(row) for row in rows],
        }
        with replacing(options.output) as temporary:
            temporary.write_text(json.dumps(report, indent=2) + "\n")
    if any(isinstance(row, KernelRow) and row.saturated and row.weights == _PAIRED for row in rows):
        sys.exit(_SATURATES)


def _kernels(cpu: Emulator, options: argparse.Namespace) -> list[KernelRow]:
    installed = [name for name, one in RUNTIMES.items() if one.installed]
    rows: list[KernelRow] = []
    for name in options.runtimes or installed:
        runtime_named(name).require()
        if name == "tensorflow":
            rows += _tensorflow_rows(cpu, options.patience)
        else:
            for dynamic in (False, True):
                rows += kernel_rows(cpu, name, dynamic=dynamic, patience=options.patience)
        _print_kernels([row for row in rows if row.runtime == name], cpu)
    return rows


def kernel_rows(
    cpu: Emulator, runtime: str, *, dynamic: bool = False, patience: float = 900.0
) -> list[KernelRow]:
    """Measure all kinds of kernels of ONNX networks.

    Args:
        cpu: The emulated CPU.
        runtime: ``onnxruntime`` or ``openvino``.
        dynamic: Whether ranges are taken while the network runs.
        patience: See `run_elsewhere`.
    """
    from lpot_examples.backends.onnx.framework import backend, open_network
    from lpot_examples.graph import TuningConfig
    from lpot_examples.testing.saturating_kernels import kernel_network, reference, steps

    network = kernel_network(products_only=dynamic)
    approach = f"post_training_{'dynamic' if dynamic else 'static'}_quant"
    rows = []
    for weights, isa in _EMITTED_FOR.items():
        made = backend(open_network(network.model), INSTRUCTION_SETS[isa], approach=approach)
        statistics = made.calibrate(iter([dict(network.calibrating)]), sizes=[2])[2]
        proto = made.emit(TuningConfig(), statistics).proto
        batches = [network.batch, {k: np.repeat(v, 4, axis=0) for k, v in network.batch.items()}]
        wanted = [reference(proto, batch) for batch in batches]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "kernels.onnx"
            path.write_bytes(proto.SerializeToString())
            here, there = (
                run_elsewhere(path, batches, runtime=runtime, on=on, patience=patience)
                for on in (None, cpu)
            )
        step = steps(proto, wanted)
        kinds: dict[str, list[tuple[float, float]]] = {}
        for output, kind in network.kinds.items():
            kind += ", ranges of run time" if dynamic else ""
            pair = (_worst(found, wanted, output) / step[output] for found in (there, here))
            kinds.setdefault(kind, []).append((next(pair), next(pair)))
        rows += [
            KernelRow(
                runtime=runtime,
                kind=kind,
                weights=weights,
                kernels=len(pairs),
                saturated=sum(one > _ROUNDING for one, _ in pairs),
                emulated=max(one for one, _ in pairs),
                here=max(one for _, one in pairs),
            )
            for kind, pairs in kinds.items()
        ]
    return rows


def _worst(
    found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]], output: str
) -> float:
    pairs = zip(found, wanted, strict=True)
    return max(float(np.abs(one[output] - other[output]).max()) for one, other in pairs)


def _tensorflow_rows(cpu: Emulator, patience: float) -> list[KernelRow]:
    """Measure TensorFlow's kernels, as it runs where there is no VNNI, and with its oneDNN ops."""
    worker = ROOT / "tests" / "backends" / "tensorflow" / "pair_worker.py"
    rows = []
    for onednn in ("0", "1"):
        (line,) = run_stubbornly(
            [*cpu.command, sys.executable, str(worker), *_EMITTED_FOR.values()],
            patience=patience,
            environment={"TF_ENABLE_ONEDNN_OPTS": onednn},
        )
        found = json.loads(line)
        for weights, isa in _EMITTED_FOR.items():
            kinds: dict[str, list[float]] = {}
            for anchor, error in found[isa].items():
                kind = " ".join(part for part in anchor.split("_") if part.isalpha())
                kind = kind.replace("SAME", "").replace("VALID", "").strip()
                kind += ", oneDNN ops on" if onednn == "1" else ", oneDNN ops off"
                kinds.setdefault(kind, []).append(error)
            rows += [
                KernelRow(
                    runtime="tensorflow",
                    kind=kind,
                    weights=weights,
                    kernels=len(errors),
                    saturated=sum(error > _ROUNDING for error in errors),
                    emulated=max(errors),
                    here=None,
                )
                for kind, errors in kinds.items()
            ]
    return rows


def _networks(cpu: Emulator, options: argparse.Namespace) -> list[NetworkRow]:
    from lpot_examples.task import open_task

    task = open_task(
        topology=options.topology, dataset_location=options.dataset_location, limit=options.samples
    )
    score = task.eval_func()
    assert score is not None
    rows = []
    for path in options.input_model or [task.with_model(None).found_model]:
        for runtime in options.runtimes or [own_runtime(path).name]:
            rows.append(network_row(cpu, path, runtime, score, patience=options.patience))
            print(_network_line(rows[-1]), flush=True)
    return rows


def network_row(
    cpu: Emulator, path: Path, runtime: str, score: Callable[[Any], Any], *, patience: float = 900.0
) -> NetworkRow:
    """Evaluate a network here and emulated.

    Args:
        cpu: The emulated CPU.
        path: The network.
        runtime: Name of the runtime.
        score: The topology's evaluation.
        patience: See `run_elsewhere`.
    """
    here = _Recorded(load(path, runtime=runtime))
    first = score(here)
    batches = [dict(zip(here.input_names, one, strict=True)) for one in here.fed]
    started = time.monotonic()
    with progress(f"{path.name} on {runtime}, emulated", unit="batches") as report:
        found = run_elsewhere(
            path,
            batches,
            runtime=runtime,
            on=cpu,
            patience=patience,
            tell=lambda done: report(done, len(batches)),
        )
    seconds = (time.monotonic() - started) / first.samples
    there = [[one[name] for name in here.output_names] for one in found]
    second = score(_Replayed(here, there))
    pairs = [
        (a, b)
        for one, other in zip(here.made, there, strict=True)
        for a, b in zip(one, other, strict=True)
    ]
    noise = sum(float(np.square(a.astype(float) - b).sum()) for a, b in pairs)
    power = sum(float(np.square(a.astype(float)).sum()) for a, _ in pairs)
    return NetworkRow(
        runtime=runtime,
        network=str(path),
        samples=first.samples,
        score_here=first.score,
        score=second.score,
        identical=sum(int((a == b).sum()) for a, b in pairs) / sum(a.size for a, _ in pairs),
        decibels=10 * float(np.log10(power / noise)) if noise and power else None,
        seconds=seconds,
    )


class _Recorded:
    """A model that keeps what it is fed and what it makes."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.input_names, self.output_names = model.input_names, model.output_names
        self.fed: list[list[Any]] = []
        self.made: list[list[Any]] = []

    def __call__(self, batch: Any) -> Any:
        arrays = (
            [batch[name] for name in self.input_names] if isinstance(batch, Mapping) else [batch]
        )
        self.fed.append([np.asarray(array) for array in arrays])
        self.made.append([np.asarray(one) for one in self._model.run(self.output_names, batch)])
        return _given(self.made[-1])


class _Replayed:
    """A model that gives what was made elsewhere of the same batches, in their order."""

    def __init__(self, model: _Recorded, made: list[list[Any]]) -> None:
        self.input_names, self.output_names = model.input_names, model.output_names
        self._made = iter(made)

    def __call__(self, batch: Any) -> Any:
        return _given(next(self._made))


def _given(results: list[Any]) -> Any:
    return results[0] if len(results) == 1 else tuple(results)


def _print_kernels(rows: Sequence[KernelRow], cpu: Emulator) -> None:
    """Print a runtime's rows, those of both kinds of weights side by side."""
    title = RUNTIMES[rows[0].runtime].title
    print(f"\n{title} on {cpu.cpu} (QEMU {cpu.version}): worst difference in codes, (n saturate)")
    print(f"{'kernel':46} {'n':>4} " + "".join(f"{name:>22}" for name in _EMITTED_FOR))
    for kind in dict.fromkeys(row.kind for row in rows):
        cells = {row.weights: row for row in rows if row.kind == kind}
        text = "".join(
            f"{f'{cells[name].emulated:.1f} ({cells[name].saturated})':>22}"
            for name in _EMITTED_FOR
        )
        print(f"{kind:46} {next(iter(cells.values())).kernels:>4} {text}", flush=True)


def _network_line(row: NetworkRow) -> str:
    noise = "none" if row.decibels is None else f"{row.decibels:.1f} dB below"
    name = Path(row.network).name
    return (
        f"{name} on {row.runtime}, {row.samples} samples: score {row.score_here:.4f} here,"
        f" {row.score:.4f} emulated; {row.identical:.1%} of outputs the same, difference "
        f"{noise}; {row.seconds:.1f} s a sample"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--runtimes", type=lambda text: text.split(","), default=[], metavar="A,B",
        help=f"of {', '.join(RUNTIMES)}; default: all installed, or the files' own")  # fmt: skip
    add("--topology", default="", metavar="NAME", help="evaluate networks with this one's data")
    add("--input_model", type=lambda text: [Path(one) for one in text.split(",")], default=[],
        metavar="FILE,FILE", help="the networks (default: the topology's own)")  # fmt: skip
    add("--dataset_location", type=Path, metavar="FOLDER",
        help="where the topology's data is, if none is embedded")  # fmt: skip
    add("--samples", type=int, default=20, metavar="N",
        help="first samples to evaluate (default 20); one takes seconds")  # fmt: skip
    add("--cpu", default="Haswell", metavar="NAME",
        help="one of 'qemu-x86_64 -cpu help' (default Haswell, the first with AVX2)")  # fmt: skip
    add("--patience", type=float, default=900.0, metavar="S",
        help="seconds without a batch after which a process is stuck (default 900)")  # fmt: skip
    add("--output", type=Path, metavar="FILE", help="also write everything as JSON")
    options = parser.parse_args()
    if options.input_model and not options.topology:
        parser.error("--input_model needs --topology, which says how networks are scored")
    return options


if __name__ == "__main__":
    main()
