"""The ``new`` command: a topology folder for a network of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpot_examples.errors import LpotError, nearest

if TYPE_CHECKING:
    from lpot_examples.zoo.guess import Dataset
    from lpot_examples.zoo.interface import Shape, Tensor

_HELP = (
    "Write a working topology folder for a network of your own.\n\n"
    "PLACE is object_detection/NAME or classification/NAME, in the current directory. Inputs and "
    "outputs are filled in from the model; what training did to an image cannot be seen there, so "
    "it is guessed and marked as such."
)

_EXAMPLES = """Examples:

  lpot_examples new classification/my_model --model m.pb

  lpot_examples new classification/my_model --model m.onnx --dataset=folder

  lpot_examples new object_detection/my_model --model m.pb --from=fastestdet
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("new", help=_HELP, epilog=_EXAMPLES)(new_command)


def new_command(
    where: Annotated[
        str, typer.Argument(metavar="PLACE", help="Such as object_detection/my_model.")
    ],
    *,
    model: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="The fp32 network: a .pb, a SavedModel or checkpoint folder, a .keras, a .h5 or "
            "an .onnx.",
        ),
    ],
    dataset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What it is scored on: coco, voc, imagenet or folder. (default: imagenet for "
            "classification, coco for object_detection)",
        ),
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="TOPOLOGY", help="Copy that one's data, preprocessing and scoring."
        ),
    ] = "",
    inputs: Annotated[
        str, typer.Option(metavar="NAME[,NAME...]", help="Input names. (default: found)")
    ] = "",
    outputs: Annotated[
        str, typer.Option(metavar="NAME[,NAME...]", help="Output names. (default: found)")
    ] = "",
) -> None:
    """Write a working topology folder for a network of your own."""
    from lpot_examples.backends.registry import framework_of
    from lpot_examples.zoo.guess import guess
    from lpot_examples.zoo.scaffold import copied_files, draft_files, place, write_folder
    from lpot_examples.zoo.topologies import find_topology

    target = place(where)
    chosen = _dataset(dataset, target.domain, copied=source)
    copied = find_topology(source) if source else None
    taken, given = _interface(model, _names(inputs), _names(outputs))
    if copied is not None:
        files = copied_files(target, copied, inputs=taken, outputs=given, model=model)
        guesses: tuple[str, ...] = (
            f"Data, preprocessing and scoring are those of {copied.name}; check that they fit.",
        )
    else:
        turns = framework_of(model).name == "onnx"
        draft = guess(taken, given, domain=target.domain, dataset=chosen, turns=turns)
        files = draft_files(target, draft, model=model, dataset=chosen)
        guesses = draft.guesses
    write_folder(target.folder, files)
    _tell(target.folder, files, guesses)


def _dataset(name: str, domain: str, *, copied: str) -> Dataset:
    from lpot_examples.zoo.guess import DATASETS

    if name and copied:
        raise LpotError("--dataset is that of --from; give one of the two.")
    if not name:
        return "imagenet" if domain == "classification" else "coco"
    for known in DATASETS:
        if name == known:
            return known
    raise LpotError(
        f"--dataset must be one of {', '.join(DATASETS)}; it is '{name}'.{nearest(name, DATASETS)}"
    )


def _interface(
    path: Path, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> tuple[list[Tensor], list[Tensor]]:
    """Return what a network takes and gives."""
    from lpot_examples.backends.registry import framework_of

    model = framework_of(path).open(path, inputs=inputs, outputs=outputs)
    taken = [_tensor(name, *model.input_spec(name)) for name in model.input_names]
    given = [_tensor(name, *model.output_spec(name)) for name in model.output_names]
    if any(tensor.shape is None or None in tensor.shape[1:] for tensor in given):
        given = _observed(model, taken, given)
    model.close()
    return taken, given


def _tensor(name: str, shape: Shape | None, dtype: Any) -> Tensor:
    from lpot_examples.zoo.interface import Tensor

    return Tensor(name=name, shape=shape, dtype=dtype.name)


def _observed(model: Any, taken: list[Tensor], given: list[Tensor]) -> list[Tensor]:
    """Return outputs with the shapes they have on a batch of noise, where one can be made and run.

    A network that refuses noise keeps the shapes that its graph tells: they only serve guessing.
    """
    from dataclasses import replace

    from lpot_examples.benchmark.inputs import make_feed

    try:
        feed = make_feed(model, batch_size=taken[0].batch or 1)
        arrays = model.run(model.output_names, feed)
    except LpotError:
        return given
    return [
        replace(tensor, shape=(tensor.shape[0] if tensor.shape else None, *array.shape[1:]))
        if array.ndim
        else tensor
        for tensor, array in zip(given, arrays, strict=True)
    ]


def _names(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _tell(folder: Path, files: dict[str, str], guesses: tuple[str, ...]) -> None:
    from lpot_examples.cli.console import results

    console = results()
    console.print(f"{folder}/ is written: {', '.join(sorted(files))}.", soft_wrap=True)
    if guesses:
        console.print("Guessed, so please check:")
    for sentence in guesses:
        console.print(f"  - {sentence}", soft_wrap=True)
    console.print(f"{folder / 'README.md'} has the commands.", soft_wrap=True)
