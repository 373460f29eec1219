"""A picture of how models serve: throughput against latency, and latency under load."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.benchmark.serving.choice import pareto_front
from lpot_examples.benchmark.serving.layouts import Layout
from lpot_examples.benchmark.serving.result import LoadCurve, Served, ServingReport
from lpot_examples.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")

TITLE = "lpot_examples: serving"
"""Stands in every picture's metadata, so that a later run knows its own work."""

# Okabe and Ito's colours, which people with any kind of colour vision can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p")
_GREY = "#555555"
# More curves than this cannot be told apart; then each subject keeps its fastest one.
_MOST_CURVES = 6
# Of more subjects than this only the best settings are named.
_FEW = 3
_LABEL_GAP = (46.0, 13.0)
_NEAR_EDGE = 0.91
_RUNTIMES = ("tensorflow", "onnxruntime", "openvino")


def draw(report: ServingReport, *, form: str = "png") -> bytes:
    """Draw a report.

    Args:
        report: What was measured.
        form: One of `FORMATS`.

    Returns:
        The content of the picture's file.

    Raises:
        OutputError: If matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError(
            "a plot needs matplotlib, which is not installed. Run 'pip install matplotlib', or "
            "give --plot=none."
        ) from error
    with rc_context({"font.size": 10, "svg.hashsalt": TITLE, "axes.axisbelow": True}):
        figure = Figure(figsize=(13.5, 7.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(report.models)}
        _throughput_and_latency(left, report, colours)
        _latency_under_load(right, report, colours)
        _headings(figure, report)
        _legend(figure, colours)
        content = io.BytesIO()
        metadata = {"Title": TITLE, **({"Date": None} if form == "svg" else {})}
        figure.savefig(content, format=form, dpi=130, metadata=metadata)
    return content.getvalue()


def is_own(path: Path) -> bool:
    """Tell whether a file is a picture that `draw` made."""
    with path.open("rb") as file:
        return TITLE.encode() in file.read(1 << 13)


def _throughput_and_latency(axes: Axes, report: ServingReport, colours: Mapping[str, str]) -> None:
    markers = _markers(report)
    for one in report.served:
        axes.plot(
            one.throughput,
            one.stats.p99,
            marker=markers[one.setting.layout],
            markersize=8 if one.final else 6,
            markerfacecolor=colours[one.setting.subject] if one.final else "none",
            markeredgecolor=colours[one.setting.subject],
            markeredgewidth=1.2,
            alpha=0.95 if one.final else 0.5 if len(colours) <= _FEW else 0.3,
            linestyle="none",
            zorder=3 if one.final else 2,
        )
    front = pareto_front(report.served)
    axes.plot(
        *_coordinates(front), color=_GREY, linewidth=5, alpha=0.22, zorder=1, label="Pareto front"
    )
    for name, colour in colours.items():
        own = pareto_front(report.of(name))
        axes.plot(*_coordinates(own), color=colour, linewidth=1, alpha=0.7, zorder=1)
    _scales(axes, [one.throughput for one in report.served])
    axes.set(
        xlabel="samples per second, every instance busy",
        ylabel="p99 of a call, ms",
        title="Throughput and latency, back to back",
    )
    best = [
        max(own, key=lambda one: one.throughput) for name in colours if (own := report.of(name))
    ]
    others = report.finals() if len(colours) <= _FEW else []
    labelled = dict.fromkeys([*best, *reversed(front), *others])
    _name_points(axes, labelled, colours)
    handles: list[Any] = [_dot(marker, str(layout)) for layout, marker in markers.items()]
    handles.append(axes.lines[len(report.served)])
    axes.legend(
        handles=handles, title="instances × cores", loc="best", fontsize=9, title_fontsize=9
    )


def _latency_under_load(axes: Axes, report: ServingReport, colours: Mapping[str, str]) -> None:
    axes.set(
        xlabel="samples per second offered, arriving at random",
        ylabel="latency of a request with its time in the queue, ms",
        title="Latency under load",
    )
    curves = _drawn_curves(report)
    if not curves:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=_GREY)
        axes.set(xticks=[], yticks=[])
        return
    seen: dict[str, int] = {}
    for curve in curves:
        setting = curve.setting
        nth = seen[setting.subject] = seen.get(setting.subject, -1) + 1
        offered = [point.offered * setting.batch for point in curve.points]
        for percent, style in ((99, "-"), (50, "--")):
            axes.plot(
                offered,
                [point.percentile(percent) for point in curve.points],
                style,
                color=colours[setting.subject],
                linewidth=1.8 if percent == 99 else 1.1,
                marker=("o", "s", "^")[nth % 3] if percent == 99 else None,
                markersize=5,
                markerfacecolor=colours[setting.subject] if nth == 0 else "white",
            )
    if report.latency_limit is not None:
        axes.axhline(report.latency_limit, color=_GREY, linestyle=":", linewidth=1.5)
    _scales(axes, [p.offered * c.setting.batch for c in curves for p in c.points], narrow=True)
    handles = [
        _line("-", "p99", marker="o"),
        _line("--", "p50"),
        *([_line(":", "limit")] if report.latency_limit is not None else []),
    ]
    axes.legend(handles=handles, loc="upper left", fontsize=9)
    ends = [
        (c, c.points[-1].offered * c.setting.batch, c.points[-1].percentile(99)) for c in curves
    ]
    placed: list[tuple[float, float]] = []
    for curve, x, y in sorted(ends, key=lambda one: -one[2]):
        _label(axes, x, y, curve.setting.where, colours[curve.setting.subject], placed, always=True)


def _drawn_curves(report: ServingReport) -> list[LoadCurve]:
    if len(report.curves) <= _MOST_CURVES:
        return list(report.curves)
    best: dict[str, LoadCurve] = {}
    for curve in report.curves:
        best.setdefault(curve.setting.subject, curve)
    return list(best.values())


def _headings(figure: Figure, report: ServingReport) -> None:
    host = report.host
    used = {report.runtimes.get(name, "") for name in report.models}
    shown = [name for name in _RUNTIMES if name in used] or list(_RUNTIMES)
    versions = [f"{name} {report.versions[name]}" for name in shown if name in report.versions]
    batches = sorted({one.setting.batch for one in report.served})
    cores = f"{len(report.cores)} core{'s' * (len(report.cores) != 1)}"
    lines = [
        f"{host.cpu}, {host.isa}, {cores}; {', '.join(versions)}",
        f"b: samples in a request ({', '.join(map(str, batches))}); filled marks were timed in "
        "long rounds, open ones in a short pass",
    ]
    if not report.noise.quiet:
        lines.append(report.noise.remark)
    figure.suptitle("\n".join(lines), fontsize=10, color=_GREY)


def _legend(figure: Figure, colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    longest = max(len(name) for name in colours)
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=max(1, min(len(handles), 165 // (longest + 8))),
        frameon=False,
    )


def _markers(report: ServingReport) -> dict[Layout, str]:
    used = sorted({one.setting.layout for one in report.served})
    return {layout: _MARKERS[i % len(_MARKERS)] for i, layout in enumerate(used)}


def _name_points(axes: Axes, points: Iterable[Served], colours: Mapping[str, str]) -> None:
    """Write layout and batch beside points, the first ones first, where there is room."""
    placed: list[tuple[float, float]] = []
    for one in points:
        colour = colours[one.setting.subject]
        _label(axes, one.throughput, one.stats.p99, one.setting.where, colour, placed)


def _label(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    colour: str,
    placed: list[tuple[float, float]],
    *,
    always: bool = False,
) -> None:
    """Write a text beside a point, unless it would cover another one; positions in points."""
    from matplotlib.patheffects import withStroke

    pixels = axes.transData.transform((x, y))
    where = pixels * 72 / axes.figure.dpi
    spots = [(7, 4), (7, -12), (-48, 4), (-48, -12)]
    if axes.transAxes.inverted().transform(pixels)[0] > _NEAR_EDGE:
        spots = [*spots[2:], *spots[:2]]
    for right, up in spots:
        spot = (float(where[0]) + right, float(where[1]) + up)
        if all(
            abs(spot[0] - other[0]) > _LABEL_GAP[0] or abs(spot[1] - other[1]) > _LABEL_GAP[1]
            for other in placed
        ):
            break
    else:
        if not always:
            return
    placed.append(spot)
    axes.annotate(
        text,
        (x, y),
        xytext=(right, up),
        textcoords="offset points",
        fontsize=8.5,
        color=colour,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )


def _scales(axes: Axes, horizontal: Sequence[float], *, narrow: bool = False) -> None:
    """Use logarithmic scales with plain numbers; linear from 0 where values are alike."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plain = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}")
    axes.set_yscale("log")
    wide = max(horizontal) > (40 if narrow else 4) * min(horizontal)
    if wide:
        axes.set_xscale("log")
    for axis, logarithmic in ((axes.yaxis, True), (axes.xaxis, wide)):
        axis.set_major_formatter(plain)
        if logarithmic:
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_minor_formatter(NullFormatter())
    axes.grid(which="major", color="#dddddd", linewidth=0.7)
    axes.margins(y=0.12)
    # Room for the names at the right end.
    if wide:
        spread = (max(horizontal) / min(horizontal)) ** 0.16
        axes.set_xlim(min(horizontal) / spread**0.5, max(horizontal) * spread)
    else:
        axes.set_xlim(0, 1.16 * max(horizontal))


def _coordinates(points: Sequence[Served]) -> tuple[list[float], list[float]]:
    return [one.throughput for one in points], [one.stats.p99 for one in points]


def _dot(marker: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], marker=marker, linestyle="none", color=_GREY, label=label)


def _line(style: str, label: str, *, marker: str | None = None) -> Any:
    from matplotlib.lines import Line2D

    styles: Any = style
    return Line2D([], [], linestyle=styles, marker=marker, markersize=5, color=_GREY, label=label)
