"""The ``prepare_model`` command: downloads the networks of the topologies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lpot_examples.errors import LpotError

_HELP = (
    "Download the network of a topology, ready for tuning.\n\n"
    "A download that was interrupted goes on where it ended. Proxies are taken from http_proxy "
    "and https_proxy."
)

_EXAMPLES = """Examples:

  python prepare_model.py --list

  python prepare_model.py --model_name=ssd_mobilenet_v1

  python prepare_model.py --model_name=resnet50_v1 --model_path=/data/models

  python prepare_model.py --model_name=all --mirror=http://mirror.example/zoo
"""

_DEFAULT = "ssd_resnet50_v1"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    settings = {"token_normalize_func": lambda token: token.replace("-", "_")}
    app.command("prepare_model", help=_HELP, epilog=_EXAMPLES, context_settings=settings)(
        prepare_model_command
    )


def prepare_model_command(
    *,
    model_name: Annotated[
        str,
        typer.Option("--model_name", metavar="NAME", help="A topology of --list, or all."),
    ] = _DEFAULT,
    model_path: Annotated[
        Path, typer.Option("--model_path", metavar="FOLDER", help="Where networks are kept.")
    ] = Path("models"),
    list_: Annotated[
        bool, typer.Option("--list", help="List the networks, and which are here, and stop.")
    ] = False,
    mirror: Annotated[
        str,
        typer.Option(
            metavar="URL", help="A server with the same paths, in place of the original ones."
        ),
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Download again what is here already.")
    ] = False,
) -> None:
    """Download the network of a topology, ready for tuning."""
    from lpot_examples.zoo.catalogue import CATALOGUE, find_model

    if list_:
        from lpot_examples.cli.prepare_model_tables import print_catalogue

        print_catalogue(model_path)
        return
    if model_name != "all":
        name = find_model(model_name).name
        _tell_use(name, prepare(name, model_path, mirror=mirror, force=force))
        return
    failed = [
        name for name in CATALOGUE if not _tried(name, model_path, mirror=mirror, force=force)
    ]
    if failed:
        raise LpotError(
            f"{len(failed)} of {len(CATALOGUE)} networks could not be prepared: "
            f"{', '.join(failed)}. Their messages are above; the same command tries them again."
        )


def prepare(name: str, folder: Path, *, mirror: str = "", force: bool = False) -> Path:
    """Prepare one network, with progress on standard error."""
    from lpot_examples.cli.console import messages, progress
    from lpot_examples.zoo.prepare import prepare_model

    with progress(f"Downloading {name}", unit="MB") as report:
        return prepare_model(
            name,
            folder,
            mirror=mirror or None,
            force=force,
            progress=lambda done, total: report(
                done // 1_000_000, None if total is None else -(-total // 1_000_000)
            ),
            tell=lambda remark: messages().print(remark, soft_wrap=True),
        )


def _tried(name: str, folder: Path, *, mirror: str, force: bool) -> bool:
    """Prepare one network of several; return whether it is there."""
    from lpot_examples.cli.console import messages, results

    try:
        path = prepare(name, folder, mirror=mirror, force=force)
    except LpotError as error:
        messages().print(f"{name}: {error}", style="red", soft_wrap=True)
        return False
    results().print(f"{name}: {path}", soft_wrap=True)
    return True


def _tell_use(name: str, path: Path) -> None:
    from lpot_examples.cli.console import results

    results().print(
        f"{name} is ready: {path}\n"
        f"bash run_tuning.sh --topology={name} --input_model={path} --dataset_location=…",
        soft_wrap=True,
    )
