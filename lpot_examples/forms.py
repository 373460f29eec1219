"""Which forms a run's result shall have, where they go, and what they must not overwrite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.errors import LpotError, OutputError, nearest

if TYPE_CHECKING:
    from lpot_examples.backends.base import Transfer
    from lpot_examples.backends.registry import Framework
    from lpot_examples.emission import Emission
    from lpot_examples.events import Listener
    from lpot_examples.journal import Journal
    from lpot_examples.spec import Spec
    from lpot_examples.workspace import Workspace


def further_forms(emit: Iterable[str], framework: Framework, *, engine: str) -> tuple[str, ...]:
    """Return the forms that are asked for besides that of the network itself, which is always made.

    Args:
        emit: Names of forms, such as ``pb`` and ``onnx``.
        framework: The network's.
        engine: What makes the int8 networks.

    Raises:
        LpotError: If there is no such form, or the network cannot have it.
    """
    from lpot_examples.backends.registry import FRAMEWORKS

    known = {one.form: one for one in FRAMEWORKS}
    asked = list(dict.fromkeys(name.strip().lower() for name in emit if name.strip()))
    for name in asked:
        if name not in known:
            raise LpotError(
                f"--emit takes {' and '.join(sorted(known))}, with a comma between them; it is "
                f"'{name}'.{nearest(name, known)}"
            )
        if name != framework.form and name not in framework.transfers:
            raise LpotError(
                f"--emit={name}: a network in {framework.title} cannot become one of "
                f"{known[name].title}; its result is an .{framework.form} file. Leave {name} out."
            )
        if name != framework.form and engine != "lpot":
            raise LpotError(
                f"--emit={name} hands on the decisions of this project's own engine, and "
                f"--engine={engine} makes others; use --engine=lpot, or leave {name} out."
            )
    return tuple(name for name in asked if name != framework.form)


def refuse_overwriting(model: Any, output: Path | None, framework: Framework) -> None:
    """Refuse an output that is, or lies within, the input, or has another framework's name.

    Args:
        model: The network as given; see `quantization.tune`.
        output: The result's file, or None for one in the workspace.
        framework: The network's.

    Raises:
        LpotError: If it must not be written.
    """
    from lpot_examples.backends.registry import framework_of

    if output is not None and framework_of(output) is not framework:
        beside = f" --emit={framework_of(output).form} writes an {output.suffix} file beside it."
        raise LpotError(
            f"the output {output} must end in .{framework.form}, as networks of {framework.title} "
            f"do; choose another --output_model."
            f"{beside if framework_of(output).form in framework.transfers else ''}"
        )
    if output is None or not isinstance(model, (str, Path)):
        return
    given = Path(model)
    if any(_same_file(output, path) for path in (given, *framework.files(given))):
        raise LpotError(
            f"the output {output} is the input model itself, which must not be overwritten; "
            "choose another --output_model."
        )
    if given.is_dir() and output.resolve().is_relative_to(given.resolve()):
        raise LpotError(
            f"the output {output} lies in the folder of the input model, {given}, which must stay "
            "as it is; choose an --output_model elsewhere."
        )


def emissions(
    forms: Sequence[str],
    transfers: Sequence[Transfer],
    *,
    dataloader: Iterable[Any],
    spec: Spec,
    workspace: Workspace,
    journal: Journal,
    listener: Listener,
    benchmark_seconds: float,
) -> list[Emission]:
    """Return what makes the further forms of a run's result.

    Args:
        forms: Their names.
        transfers: The way to each of them.
        dataloader: See `emission.Emission`.
        spec: The tuning spec.
        workspace: Where the result goes; they go beside it.
        journal: The run's record.
        listener: Told of everything.
        benchmark_seconds: See `emission.Emission`.

    Raises:
        OutputError: If a file is in the way that this run did not write.
    """
    from lpot_examples.emission import Emission
    from lpot_examples.runtimes.table import own_runtime

    known = _written(workspace)
    for form, path in known.items():
        if form not in forms:
            listener.note(f"{path} is of an earlier run; without --emit={form} it stays as it is.")
    made = []
    for form, transfer in zip(forms, transfers, strict=True):
        output = beside(workspace.output, f".{form}")
        one = Emission(
            form=form,
            runtime=own_runtime(output).name,
            transfer=transfer,
            dataloader=dataloader,
            spec=spec,
            workspace=replace(workspace, output=output),
            journal=journal,
            listener=listener,
            benchmark_seconds=benchmark_seconds,
        )
        one.workspace.sweep()
        for path in (one.workspace.output, one.workspace.uncertified):
            _refuse_foreign(path, one, known=known, result=workspace.output)
        made.append(one)
    return made


def beside(result: Path, suffix: str) -> Path:
    """Return where the form of a result with a suffix goes: beside it, under the same name."""
    return result.with_suffix(suffix) if result.suffix == ".pb" else Path(f"{result}{suffix}")


def _written(workspace: Workspace) -> dict[str, Path]:
    """Return the further forms that earlier runs for the same result wrote."""
    from lpot_examples.report.artifacts import written_with
    from lpot_examples.workspace import report_path

    places = (workspace.uncertified, workspace.output)
    return {name: path for one in places for name, path in written_with(report_path(one)).items()}


def _refuse_foreign(
    path: Path, emission: Emission, *, known: Mapping[str, Path], result: Path
) -> None:
    """Refuse to replace a file that nobody named, unless a run for the same result wrote it."""
    if not path.exists() or (path.is_file() and emission.is_own(path)):
        return
    if any(_same_file(path, one) for one in known.values()):
        return
    raise OutputError(
        f"--emit={emission.form} would replace {path}, which no run for {result.name} has written; "
        "move it away, or choose another --output_model."
    )


def _same_file(one: Path, two: Path) -> bool:
    try:
        return one.samefile(two)
    except OSError:  # one of them does not exist, or cannot: then they differ
        return False
