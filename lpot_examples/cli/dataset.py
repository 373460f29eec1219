"""The commands ``dataset convert`` and ``dataset inspect``: TFRecord shards of data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpot_examples.errors import DataError, LpotError

if TYPE_CHECKING:
    from lpot_examples.data.sources.labels import LabelMap

_CONVERT_HELP = (
    "Convert a data set to TFRecord shards.\n\n"
    "Without --source, COCO val2017 or VOC 2012 is downloaded. The same command continues an "
    "interrupted run. Equal options give equal bytes, with any number of workers."
)

_CONVERT_EXAMPLES = """Examples:

  prepare_dataset.sh --dataset=coco --output_dir=coco_records

  prepare_dataset.sh --dataset=voc --source=my_photographs/ --train_valid_split=0.9
  --output_dir=records

  prepare_dataset.sh --dataset=folder --source=https://example.org/photographs.zip
  --output_dir=records --num_shards=10

  prepare_dataset.sh --dataset=imagenet --source=ILSVRC2012/ --output_dir=imagenet_records
"""

_INSPECT_HELP = (
    "Verify TFRecord shards and list what is wrong, by shard and record.\n\n"
    "Exit codes: 0 nothing is wrong, 1 something is."
)

_INSPECT_EXAMPLES = """Examples:

  python -m lpot_examples dataset inspect coco_records/

  python -m lpot_examples dataset inspect coco_records/coco_val.record --samples=10
  --samples_dir=pictures/
"""

_GROUP_HELP = "Convert data sets to TFRecord shards, and inspect shards."
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    settings = {"token_normalize_func": lambda token: token.replace("-", "_")}
    group = typer.Typer(help=_GROUP_HELP)
    group.callback(invoke_without_command=True)(_group)
    group.command(
        "convert", help=_CONVERT_HELP, epilog=_CONVERT_EXAMPLES, context_settings=settings
    )(convert_command)
    group.command(
        "inspect", help=_INSPECT_HELP, epilog=_INSPECT_EXAMPLES, context_settings=settings
    )(inspect_command)
    app.add_typer(group, name="dataset")


def _group(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def convert_command(
    *,
    dataset: Annotated[
        str, typer.Option(metavar="KIND", help="coco, voc, imagenet or folder.")
    ] = "coco",
    source: Annotated[
        str,
        typer.Option(
            metavar="DIR|ARCHIVE|URL",
            help="Where the data set is. (default: the public download)",
        ),
    ] = "",
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output_dir", metavar="FOLDER", help="Where records go. (default: KIND_records)"
        ),
    ] = None,
    num_shards: Annotated[
        int | None,
        typer.Option(
            "--num_shards",
            min=1,
            metavar="N",
            help="Files for each split. (default: one for 256 images)",
        ),
    ] = None,
    validation_shards: Annotated[
        int | None,
        typer.Option(
            "--validation_shards",
            min=1,
            metavar="N",
            help="Files for the validation split, where they are to be fewer.",
        ),
    ] = None,
    train_valid_split: Annotated[
        float | None,
        typer.Option(
            "--train_valid_split",
            min=0.0,
            max=1.0,
            metavar="PART",
            help="The part of all images that is for training, such as 0.9; the rest is for "
            "validation. (default: the data set's own splits)",
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="NAME[,NAME...]",
            help="Splits of the data set to read, such as val2017. (default: all that are there)",
        ),
    ] = "",
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Names the classes: .pbtxt, .json, or a name or synset a line."
        ),
    ] = None,
    first_label: Annotated[
        int | None,
        typer.Option(
            "--first_label",
            min=0,
            metavar="N",
            help="Number of the first class where nothing numbers them. (default: 0 for folder, "
            "else 1)",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Only N images of each split, for a quick look."),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Chooses the split and the order of training images.")
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes. (default: one for each core)"),
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip_bad", help="Leave out and list what cannot be used; do not stop."),
    ] = False,
    mirror: Annotated[
        str,
        typer.Option(
            metavar="URL", help="A server with the same paths, in place of the original one."
        ),
    ] = "",
    masks: Annotated[bool, typer.Option("--masks", help="Store COCO's masks too.")] = False,
    bounding_boxes: Annotated[
        Path | None,
        typer.Option(
            "--bounding_boxes", metavar="DIR|CSV", help="ImageNet's boxes: a folder of xml, or csv."
        ),
    ] = None,
    keep_png: Annotated[
        bool, typer.Option("--keep_png", help="Store PNG as it is. (default: as JPEG)")
    ] = False,
    grey_to_rgb: Annotated[
        bool,
        typer.Option(
            "--grey_to_rgb", help="Make grey JPEG three-channel JPEG. (default: kept as it is)"
        ),
    ] = False,
    decode: Annotated[
        bool,
        typer.Option(
            "--decode",
            help="Decode every image to find damage that its markers do not show; slower.",
        ),
    ] = False,
    compression: Annotated[
        str, typer.Option(metavar="KIND", help="GZIP or ZLIB. (default: none)")
    ] = "",
) -> None:
    """Convert a data set to TFRecord shards."""
    from lpot_examples.cli.console import messages, progress
    from lpot_examples.cli.dataset_tables import print_summary
    from lpot_examples.data.records.convert import convert
    from lpot_examples.data.records.features import RecordOptions
    from lpot_examples.data.records.images import Encoding
    from lpot_examples.data.records.plan import Division
    from lpot_examples.data.records.shard import check_compression
    from lpot_examples.data.sources.annotated import Troubles
    from lpot_examples.data.sources.opening import check_dataset, open_source
    from lpot_examples.host import available_cores
    from lpot_examples.zoo.fetch.lock import locked

    check_dataset(dataset)
    folder = output_dir or Path(f"{dataset}_records")
    troubles = Troubles(skip=skip_bad)
    splits = tuple(name.strip() for name in split.split(",") if name.strip())
    kind = check_compression(compression)
    _make_parent(folder)
    waiting = f"Another conversion writes into {folder}; waiting…"
    with locked(folder, waiting=lambda: messages().print(waiting, soft_wrap=True)):
        opened = open_source(
            dataset,
            _found(dataset, source, folder / "download", splits=splits, mirror=mirror),
            troubles=troubles,
            splits=splits,
            labels=labels,
            first=first_label,
            boxes=bounding_boxes,
            masks=masks,
        )
        with progress(f"Writing {folder}", unit="images") as report:
            summary = convert(
                opened,
                folder,
                division=Division(
                    train_valid_split=train_valid_split,
                    num_shards=num_shards,
                    validation_shards=validation_shards,
                    limit=limit,
                    seed=seed,
                ),
                options=RecordOptions(
                    dataset=dataset,
                    encoding=Encoding(keep_png=keep_png, grey_to_rgb=grey_to_rgb, decode=decode),
                    masks=masks,
                ),
                troubles=troubles,
                workers=workers or len(available_cores()),
                compression=kind,
                progress=report,
            )
    print_summary(summary, folder)


def prepare_data(kind: str, folder: Path) -> Path:
    """Make records of a public data set, masks included, and return their folder.

    What an interrupted run has fetched and written is used.

    Raises:
        LpotError: If it cannot be fetched or written.
    """
    from lpot_examples.cli.console import messages

    messages().print(
        f"The data set {kind} is fetched into {folder} (about 1 GB); "
        "--dataset_location=FOLDER uses a copy of your own.",
        soft_wrap=True,
    )
    convert_command(dataset=kind, output_dir=folder, masks=True)
    return folder


def inspect_command(
    *,
    records: Annotated[
        str,
        typer.Argument(
            metavar="RECORDS",
            help="A shard, a folder, a pattern, or the beginning of the shards' names.",
        ),
    ],
    samples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Draw N records chosen at random.")
    ] = 0,
    samples_dir: Annotated[
        Path,
        typer.Option("--samples_dir", metavar="FOLDER", help="Where drawn records go."),
    ] = Path("samples"),
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Names the classes. (default: label_map.pbtxt beside the records, if it is there)",
        ),
    ] = None,
    decode: Annotated[
        bool, typer.Option("--decode/--no_decode", help="Whether to decode the images.")
    ] = True,
    seed: Annotated[int, typer.Option(metavar="N", help="Chooses the samples.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes. (default: one for each core)"),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write everything found as JSON.")
    ] = None,
) -> None:
    """Verify TFRecord shards and list what is wrong."""
    from lpot_examples.cli.console import progress
    from lpot_examples.cli.dataset_tables import print_inspection
    from lpot_examples.data.records.draw import save_samples
    from lpot_examples.data.records.inspect import inspect_shards, write_report
    from lpot_examples.data.records.reader import all_shards
    from lpot_examples.host import available_cores

    paths = all_shards(Path(records))
    names = _labels(labels, paths[0].parent)
    with progress(f"Reading {records}", unit="records") as advance:
        found = inspect_shards(
            paths,
            labels=names,
            decode=decode,
            workers=workers or len(available_cores()),
            progress=advance,
        )
    if report is not None:
        write_report(found, report)
    drawn = save_samples(found, paths, samples_dir, count=samples, seed=seed, labels=names)
    print_inspection(found, drawn=drawn, shown=_SHOWN)
    if found.problems:
        raise typer.Exit(1)


def _make_parent(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LpotError(
            f"cannot make {folder.parent}: {error.strerror}. Choose another --output_dir."
        ) from error


def _found(dataset: str, source: str, folder: Path, **options: Any) -> Path:
    """Bring the source here, with progress on standard error."""
    from lpot_examples.cli.console import messages, progress
    from lpot_examples.zoo.public_datasets import find_source

    with progress(f"Fetching {dataset}", unit="MB") as report:

        def advance(_: str, done: int, total: int | None) -> None:
            report(done // 1_000_000, None if total is None else -(-total // 1_000_000))

        return find_source(
            dataset,
            source,
            folder,
            progress=advance,
            tell=lambda remark: messages().print(remark, soft_wrap=True),
            **options,
        )


def _labels(file: Path | None, folder: Path) -> LabelMap | None:
    from lpot_examples.data.sources.labels import read_labels_file

    beside = folder / "label_map.pbtxt"
    if file is None and not beside.is_file():
        return None
    if file is not None and not file.is_file():
        raise DataError(f"--labels must be a file that names the classes; {file} does not exist.")
    return read_labels_file(file or beside, first=1)
