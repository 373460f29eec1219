"""The fp32 model's score: evaluated once, kept in the journal, and looked at with suspicion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.comparison import Comparison
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evaluator import Progress
from lpot_examples.evaluation.evidence import Evidence, gather
from lpot_examples.evaluation.repeat import Repeatability, compare_scores, evaluate_again
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.events import Listener
from lpot_examples.execution.scorer import ExecutorScorer, Unopened
from lpot_examples.journal import Journal
from lpot_examples.search.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What candidates are compared with.

    Attributes:
        result: The fp32 model's score.
        comparison: Compares with it, sample by sample where the evaluation allows it.
        repeatability: What evaluating again showed, or None if nothing was evaluated again.
    """

    result: EvaluationResult
    comparison: Comparison
    repeatability: Repeatability | None

    def confirmed(
        self,
        model: Callable[[], Unopened],
        best: Trial,
        evaluator: ExecutorScorer,
        *,
        trials: int,
        journal: Journal,
        listener: Listener,
    ) -> Baseline:
        """Look at the result of a search with suspicion; evaluate it again if one number is known.

        A search that tried several models on a noisy evaluation may have picked the luckiest. If
        the first trial is the result there was no choice, and nothing is repeated.

        Args:
            model: Returns the result's file.
            best: Its trial.
            evaluator: Scores it again.
            trials: How many there were.
            journal: Remembers the answer.
            listener: Told of a difference.

        Returns:
            What is known now.
        """
        if best.score is None:
            return self
        first = best.score
        several = list(best.scores.values()) == list(self.result.scores.values())
        if several and (remark := self.comparison.suspicion(first)):
            listener.warning(remark)
        if trials < 2 or self.comparison.detailed:
            return self

        def again() -> Repeatability | None:
            opened = model()
            try:
                second = evaluator(opened, _progress(listener, "evaluating the result again"))
            except EvaluationError as error:
                listener.warning(f"the result was evaluated again, and that failed: {error}")
                return None
            finally:
                opened.close()
            return compare_scores(first, second.score, second.samples)

        repeated = _remembered(journal, "confirmed", again, digest=best.config.digest())
        _tell(repeated, listener)
        return replace(self, repeatability=repeated)


def evaluate_baseline(
    model: Callable[[], Unopened],
    evaluator: ExecutorScorer,
    criterion: Criterion,
    *,
    journal: Journal,
    listener: Listener,
) -> Baseline:
    """Evaluate the network as given, or find its score in the journal; warn of what looks wrong.

    Args:
        model: Returns the network as given.
        evaluator: Scores it.
        criterion: The bar.
        journal: Remembers the answer.
        listener: Told of it.

    Raises:
        EvaluationError: If it cannot be evaluated.
    """
    listener.stage("Evaluating the fp32 model")
    known = journal.find("baseline")
    if known is not None:
        parts = known.get("evidence")
        evidence = Evidence.from_dict(parts) if parts else None
        result = EvaluationResult(
            score=known["score"],
            metric=known["metric"],
            samples=known["samples"],
            per_sample=evidence.per_sample if evidence else None,
            scores=known.get("scores", {}),
        )
    else:
        result = evaluator(model(), _progress(listener, "evaluating fp32"))
        evidence = gather(result, race=evaluator.monitored)
        journal.write(
            "baseline",
            score=result.score,
            metric=result.metric,
            samples=result.samples,
            scores=dict(result.scores),
            evidence=evidence.to_dict() if evidence else None,
        )
    listener.baseline(result, again=known is not None)
    repeated = _remembered(
        journal, "repeated", lambda: evaluate_again(evaluator, model(), evidence)
    )
    spread = repeated.spread if repeated is not None else 0.0
    comparison = Comparison(result, evidence, criterion, spread=spread)
    if result.score == 0 and criterion.higher_is_better:
        listener.warning(
            "the fp32 model scores 0, so any model is as good as it; check that the "
            "preprocessing and the labels of the evaluation fit the model."
        )
    for remark in comparison.remarks():
        listener.warning(remark)
    _tell(repeated, listener)
    return Baseline(result=result, comparison=comparison, repeatability=repeated)


def _remembered(
    journal: Journal, event: str, measure: Callable[[], Repeatability | None], **fields: str
) -> Repeatability | None:
    """Return what the journal has of an event, or measure it and write it down."""
    known = journal.find(event, **fields)
    if known is not None:
        return Repeatability.from_dict(known)
    found = measure()
    if found is not None:
        journal.write(event, **fields, **found.to_dict())
    return found


def _tell(repeated: Repeatability | None, listener: Listener) -> None:
    if repeated is not None and repeated.spread:
        listener.warning(
            f"the evaluation is not deterministic: {repeated.text}. Fix its random seeds, or give "
            "a bar that is wider than that."
        )


def _progress(listener: Listener, text: str) -> Progress:
    return lambda done, total: listener.progress(text, done, total)
