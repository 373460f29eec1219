"""What a run tells whoever watches it. Only commands print; the tuner calls these."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpot_examples.evaluation.result import EvaluationResult
    from lpot_examples.search.trial import Trial


class Listener:
    """Receives the events of a run; this base ignores them all."""

    def stage(self, text: str) -> None:
        """Tell that a stage of the run begins."""

    def progress(self, text: str, done: int, total: int | None) -> None:
        """Tell how far a long step is; ``total`` is None where it is not known."""

    def baseline(self, result: EvaluationResult, *, again: bool) -> None:
        """Tell the fp32 score; ``again`` if it was read from the journal."""

    def trial(self, trial: Trial, *, again: bool) -> None:
        """Tell a finished trial; ``again`` if it was read from the journal."""

    def note(self, text: str) -> None:
        """Tell something that the user should know."""

    def warning(self, text: str) -> None:
        """Tell something that limits what the result is good for."""

    def finished(self, report: Mapping[str, Any], model: Path, files: Sequence[Path]) -> None:
        """Tell the end of a run.

        Args:
            report: The content of its report.
            model: The tuned model's file.
            files: The report's files, as JSON and as a page, and the model's further forms.
        """

    def ended(self) -> None:
        """Tell that nothing more will come, of a run that finished or of one that did not."""


class Listeners(Listener):
    """Tells several listeners, in order."""

    def __init__(self, *listeners: Listener) -> None:
        self._all = listeners

    def stage(self, text: str) -> None:
        """Tell all."""
        for one in self._all:
            one.stage(text)

    def progress(self, text: str, done: int, total: int | None) -> None:
        """Tell all."""
        for one in self._all:
            one.progress(text, done, total)

    def baseline(self, result: EvaluationResult, *, again: bool) -> None:
        """Tell all."""
        for one in self._all:
            one.baseline(result, again=again)

    def trial(self, trial: Trial, *, again: bool) -> None:
        """Tell all."""
        for one in self._all:
            one.trial(trial, again=again)

    def note(self, text: str) -> None:
        """Tell all."""
        for one in self._all:
            one.note(text)

    def warning(self, text: str) -> None:
        """Tell all."""
        for one in self._all:
            one.warning(text)

    def finished(self, report: Mapping[str, Any], model: Path, files: Sequence[Path]) -> None:
        """Tell all."""
        for one in self._all:
            one.finished(report, model, files)

    def ended(self) -> None:
        """Tell all."""
        for one in self._all:
            one.ended()


class LoggingListener(Listener):
    """Writes events to the ``lpot_examples`` logger; progress at most every ten seconds."""

    def __init__(self) -> None:
        self._log = logging.getLogger("lpot_examples")
        if not self._log.handlers and not logging.getLogger().handlers:
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
            self._log.addHandler(handler)
            self._log.setLevel(logging.INFO)
        self._last = time.monotonic()

    def stage(self, text: str) -> None:
        """Log the stage."""
        self._log.info("%s", text)

    def progress(self, text: str, done: int, total: int | None) -> None:
        """Log progress now and then."""
        if time.monotonic() - self._last > 10:
            self._last = time.monotonic()
            self._log.info("  %s: %d%s", text, done, f"/{total}" if total else "")

    def baseline(self, result: EvaluationResult, *, again: bool) -> None:
        """Log the fp32 score."""
        self._log.info("  fp32 %s %.4f", result.metric, result.score)

    def trial(self, trial: Trial, *, again: bool) -> None:
        """Log a trial."""
        score = f"{trial.score:.4f}" if trial.score is not None else trial.failure()
        outcome = "meets the bar" if trial.met else "misses the bar"
        fp32 = len(trial.config.fp32)
        self._log.info("  trial %d: %s, %s, %d groups in fp32", trial.index, score, outcome, fp32)

    def note(self, text: str) -> None:
        """Log a remark."""
        self._log.info("  %s", text)

    def warning(self, text: str) -> None:
        """Log a warning."""
        self._log.warning("  %s", text)
