"""Further forms of a result: a tuned TensorFlow network leaves as int8 ONNX, too.

Nothing is searched again. The shipped configuration and its statistics are transferred, the network
of it is written, evaluated fully on its own runtime by the same evaluation and bar, and put beside
the result; under a name that says so if it misses the bar. A form that cannot be made does not
spoil the result: the report says why.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.backends.base import Backend, Transfer
from lpot_examples.calibration.feed import Array, batches
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import EvaluationError, LpotError, ModelError, OutputError
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.events import Listener
from lpot_examples.execution.scorer import Unopened
from lpot_examples.journal import Journal
from lpot_examples.likeness import differences, differing, distances, missing
from lpot_examples.probe import select
from lpot_examples.report.artifacts import Artifact, Score
from lpot_examples.report.build import Latency, Outcome, measure
from lpot_examples.spec import Spec
from lpot_examples.trials import bars_of, file_hash
from lpot_examples.workspace import Workspace, replacing, temporary_path

if TYPE_CHECKING:
    from lpot_examples.conclusion import Found

# Root mean square of what two fp32 runtimes may differ by, as a share of the output's. Rounding
# gives 1e-6; a layer that is computed in another way gives 1e-2 and more.
LARGEST_DEVIATION = 1e-3

# Of the comparison of latencies; see `conclusion`.
_PRECISION = 0.03

_SAVED = "artifact saved"


@dataclass(frozen=True, kw_only=True)
class Emission:
    """Makes one further form of a run's result.

    Attributes:
        form: As on the command line, such as ``onnx``.
        runtime: What runs it.
        transfer: The way to it.
        dataloader: Calibration data, for what statistics lack.
        spec: The tuning spec.
        workspace: Where its files go.
        journal: The run's record.
        listener: Told of everything.
        benchmark_seconds: Time for the comparison of latencies; 0 leaves it out.
    """

    form: str
    runtime: str
    transfer: Transfer
    dataloader: Iterable[Any]
    spec: Spec
    workspace: Workspace
    journal: Journal
    listener: Listener
    benchmark_seconds: float

    def make(self, outcome: Outcome, found: Found, backend: Backend) -> Artifact:
        """Make the form of a result; an artifact without a file if that cannot be done.

        Args:
            outcome: The result, which is in place.
            found: What the run has found.
            backend: The network that was tuned.
        """
        self.listener.stage(f"Making the {self.workspace.output.suffix} file")
        try:
            artifact = self._made(outcome, found, backend)
        except LpotError as error:
            self.listener.warning(f"there is NO {self.workspace.output.suffix} file: {error}")
            return Artifact(form=self.form, runtime=self.runtime, error=str(error))
        self._tell(artifact)
        return artifact

    def _made(self, outcome: Outcome, found: Found, tuned: Backend) -> Artifact:
        backend = self.transfer.backend
        deviation = self._check(found.samples)
        statistics = select(found.statistics, outcome.config)
        transferred = self.transfer.transfer(
            outcome.config, statistics, lambda: self._again(statistics, found.samples)
        )
        model = backend.emit(transferred.config, transferred.statistics)
        candidate = model.save(self.workspace.candidate(outcome.config.digest()))
        model.close()
        source = backend.baseline().save(self.workspace.fp32)
        score = self._score(candidate, outcome, found)
        path = self._put(candidate, met=score is None or score.met)
        decisions = backend.explain(transferred.config, transferred.statistics, transferred.reasons)
        fragile = backend.exactness(transferred.config, transferred.statistics)
        return Artifact(
            form=self.form,
            runtime=self.runtime,
            path=path,
            source=source,
            score=score,
            decisions=decisions,
            exact_on={name: not groups for name, groups in fragile.items()},
            differences=differences(decisions, outcome.decisions, transferred),
            missing=missing(outcome.decisions, transferred),
            collected=transferred.collected,
            distances=distances(
                (tuned, outcome.slower or outcome.model),
                (backend, path),
                found.samples,
                deviation=deviation,
            ),
            latency=self._measure(outcome, path, source, found),
        )

    def _check(self, samples: Sequence[dict[str, Array]]) -> float:
        """Return how far the fp32 networks are apart.

        Raises:
            ModelError: If they are not the same network.
        """
        if not samples:
            return 0.0
        one = {name: array[:1] for name, array in samples[0].items()}
        deviation = self.transfer.deviation(one)
        if deviation > LARGEST_DEVIATION:
            raise ModelError(
                f"the fp32 network gives other outputs on {self.runtime}: they differ by "
                f"{100 * deviation:.2g} % on a calibration sample, and "
                f"{100 * LARGEST_DEVIATION:.2g} % is rounding. It was not converted correctly; "
                f"leave {self.form} out of --emit, and report the network."
            )
        return deviation

    def _again(
        self, statistics: Statistics, kept: Sequence[dict[str, Array]]
    ) -> Iterable[dict[str, Array]]:
        """Yield the calibration samples once more; of a generator, those that were kept."""
        if hasattr(self.dataloader, "__next__"):
            return iter(kept)
        spec = self.transfer.backend.input_spec
        return batches(self.dataloader, spec, limit=statistics.samples)

    def _score(self, path: Path, outcome: Outcome, found: Found) -> Score | None:
        """Return the evaluation of the file; from the journal, if it was evaluated before."""
        if found.baseline is None or found.scorer is None:
            return None
        digest = file_hash(path)
        known = self.journal.find("artifact", form=self.form, sha256=digest)
        if known is not None:
            return Score(**known["data"])
        open_file = partial(self.transfer.backend.reader(), path)
        text = f"evaluating the {path.suffix} file"
        try:
            result = found.scorer(
                Unopened(name=path.name, open=open_file),
                lambda done, total: self.listener.progress(text, done, total),
            )
        except EvaluationError as error:
            raise EvaluationError(
                f"{error} An {path.suffix} file is evaluated on {self.runtime}, so eval_func must "
                "score it by calling it, model(batch)."
            ) from error
        finally:
            found.scorer.rest()
        score = self._judged(result, outcome, found)
        self.journal.write("artifact", form=self.form, sha256=digest, data=score.to_dict())
        return score

    def _judged(self, result: EvaluationResult, outcome: Outcome, found: Found) -> Score:
        assert found.baseline is not None
        fp32 = found.baseline.result
        bars = replace(bars_of(self.spec), criterion=outcome.criterion)
        verdict = bars.judge(fp32, result)
        (first, *_) = bars.criteria(verdict.scores)
        theirs = None
        if found.runner is not None and outcome.best is not None:
            theirs = found.runner.per_sample.get(outcome.best.config.digest())
        before = next(iter(bars.named(fp32).values()), fp32.score)
        return Score(
            metric=result.metric,
            fp32=before,
            score=verdict.score,
            loss=verdict.loss,
            allowance=verdict.allowance,
            met=verdict.met,
            loss_relative=first.relative_loss(before, verdict.score) if before else None,
            scores=dict(verdict.scores),
            interval=None if verdict.scores else found.baseline.comparison.judge(result),
            differing=differing(theirs, result.per_sample),
        )

    def _put(self, candidate: Path, *, met: bool) -> Path:
        """Copy the file to where its name tells what it is; return that place."""
        target = self.workspace.output if met else self.workspace.uncertified
        other = self.workspace.uncertified if met else self.workspace.output
        try:
            with replacing(target) as temporary:
                shutil.copyfile(candidate, temporary)
        except OSError as error:
            raise OutputError(
                f"cannot write {target}: {error.strerror}. It is kept as {candidate}."
            ) from error
        digest = file_hash(target)
        if other.is_file() and self.is_own(other):
            with contextlib.suppress(OSError):  # its name says what it is; it may stay
                other.unlink()
        self.journal.write(_SAVED, file=str(target), sha256=digest)
        return target

    def is_own(self, path: Path) -> bool:
        """Tell whether a file was written by this run."""
        known = self.journal.find(_SAVED, file=str(path), sha256=file_hash(path))
        return known is not None

    def _measure(self, outcome: Outcome, path: Path, source: Path, found: Found) -> Latency | None:
        """Time both forms in turns, each on its own runtime."""
        if outcome.source is None or self.benchmark_seconds <= 0:
            return None
        self.listener.stage(f"Comparing latency on {self.runtime}")
        mine = {f"fp32 {self.form}": source, f"int8 {self.form}": path}
        others = {"fp32": outcome.source, "int8": outcome.slower or outcome.model}
        try:
            return measure(
                {**others, **mine},
                inputs=tuple(self.transfer.backend.input_spec),
                outputs=tuple(name.strip().removesuffix(":0") for name in self.spec.model.outputs),
                sample=found.samples[0] if found.samples else None,
                seconds=self.benchmark_seconds,
                precision=_PRECISION,
                folder=temporary_path(self.workspace.scratch),
                progress=lambda done, total: self.listener.progress("timing", done, total),
                runtimes=dict.fromkeys(mine, self.runtime),
            )
        except LpotError as error:
            self.listener.warning(f"latency was NOT compared on {self.runtime}: {error}")
            return None

    def _tell(self, artifact: Artifact) -> None:
        score = artifact.score
        if score is not None and not score.met:
            self.listener.warning(
                f"the {self.workspace.output.suffix} file does NOT meet the bar: it loses "
                f"{score.loss:.4g}, and {score.allowance:.4g} may be lost. It is {artifact.path}. "
                f"Tune the network on {self.runtime} itself: --input_model={artifact.source} is "
                "its fp32 form."
            )
