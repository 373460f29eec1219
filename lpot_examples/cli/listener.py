"""Shows a tuning run on the terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lpot_examples.cli.console import messages, progress
from lpot_examples.events import Listener

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from lpot_examples.evaluation.result import EvaluationResult
    from lpot_examples.search.trial import Trial

# Columns that the time in front of a stage takes.
_INDENT = 11


class ConsoleListener(Listener):
    """Stages as headings, long steps as progress bars, trials as lines."""

    def __init__(self) -> None:
        self._console = messages()
        self._bar: AbstractContextManager[Any] | None = None
        self._report: Any = None
        self._text = self._over = ""
        self._started = time.monotonic()

    def stage(self, text: str) -> None:
        """Print a heading with the time since the start."""
        self._close()
        self._over = ""
        elapsed = time.monotonic() - self._started
        self._console.print(f"[{elapsed:6.1f} s] {text}", style="bold")

    def progress(self, text: str, done: int, total: int | None) -> None:
        """Show or move a progress bar."""
        if text == self._over:
            return  # more than was planned, such as rounds that replace noisy ones
        if text != self._text:
            self._close()
            self._over = ""
            self._bar = progress(f"{'':{_INDENT}}{text}")
            self._report = self._bar.__enter__()
            self._text = text
        self._report(done, total)
        if total and done >= total:
            self._close()
            self._over = text

    def baseline(self, result: EvaluationResult, *, again: bool) -> None:
        """Print the fp32 score."""
        origin = " (from the journal)" if again else ""
        samples = f" on {result.samples} samples" if result.samples else ""
        scores = _scores(result.scores) or f"{result.metric} {result.score:.4f}"
        self._line(f"fp32 {scores}{samples}{origin}")

    def trial(self, trial: Trial, *, again: bool) -> None:
        """Print a trial."""
        algorithm = f"{trial.config.activation_algorithm}/{trial.config.weight_algorithm}"
        text = f"trial {trial.index}: {len(trial.config.fp32)} groups in fp32, {algorithm}: "
        if trial.score is None:
            self._line(f"{text}{trial.failure()}", style="yellow" if trial.stopped_early else "red")
            return
        outcome = "meets the bar" if trial.met else "misses the bar"
        origin = ", from the journal" if again else ""
        scores = _scores(trial.scores) or f"{trial.score:.4f}"
        self._line(
            f"{text}{scores}, loss {trial.loss:+.4f} of {trial.allowance:.4f} allowed, "
            f"{outcome} ({trial.seconds:.1f} s{origin})",
            style="green" if trial.met else "yellow",
        )

    def note(self, text: str) -> None:
        """Print a remark."""
        self._line(text)

    def warning(self, text: str) -> None:
        """Print a warning."""
        self._line(f"WARNING: {text}", style="bold yellow")

    def close(self) -> None:
        """Remove a progress bar that is still shown."""
        self._close()

    def _line(self, text: str, *, style: str = "") -> None:
        self._close()
        if not self._console.is_terminal:  # a message stays on its line, to be searched for
            self._console.print(f"{'':{_INDENT}}{text}", style=style, soft_wrap=True)
            return
        from rich.padding import Padding

        self._console.print(Padding(text, (0, 0, 0, _INDENT), style=style, expand=False))

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar, self._text = None, ""


def _scores(scores: Mapping[str, float]) -> str:
    """Return the metrics as text; empty for a single one without a name."""
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
