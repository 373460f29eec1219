"""Metrics of text: BLEU and SQuAD's F1."""

from __future__ import annotations

import functools
import math
import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.base import AdditiveMetric, Floats, RatioMetric

_ORDER = 4
_ARTICLES = re.compile(r"\b(a|an|the)\b")


class Bleu(AdditiveMetric):
    """BLEU of translations, in [0, 100], without regard to case.

    Papineni et al., "BLEU: a method for automatic evaluation of machine translation", ACL 2002: the
    geometric mean of the precisions of n-grams of up to four words, times a penalty for brevity.
    Words are told apart as in mteval-v14's international tokenization; an order without a match
    counts as 1/2, 1/4, … of one (Chen and Cherry, "A systematic comparison of smoothing techniques
    for sentence-level BLEU", 2014, method 3).

    Predictions and labels are texts, str or bytes, one of each for a sample.
    """

    title = "BLEU"

    def rows(self, preds: Any, labels: Any) -> Floats:
        """Return matches and possible matches of each order, and both lengths."""
        found, right = texts(preds), texts(labels)
        if len(found) != len(right):
            raise EvaluationError(
                f"BLEU needs one translation for each reference; there are {len(found)} and "
                f"{len(right)}. Check the model's output and the dataset."
            )
        pairs = zip(found, right, strict=True)
        return np.asarray([_overlap(_words(one), _words(two)) for one, two in pairs])

    def score(self, total: Floats) -> float:
        """Return BLEU of the summed counts."""
        matches, possible = total[:_ORDER], total[_ORDER : 2 * _ORDER]
        length, wanted = total[-2:]
        if not length:
            return 0.0
        logs, smooth = 0.0, 1.0
        for match, tries in zip(matches, possible, strict=True):
            if not tries:
                continue
            smooth *= 1 if match else 2
            logs += math.log((match or 1 / smooth) / tries)
        if not matches.any():
            return 0.0
        brevity = min(0.0, 1 - wanted / length)
        return 100 * math.exp(logs / _ORDER + brevity)


class SquadF1(RatioMetric):
    """The mean F1 of answers to SQuAD v1.1's questions, in [0, 100].

    Rajpurkar et al., "SQuAD: 100,000+ questions for machine comprehension of text", EMNLP 2016: F1
    of the words of an answer, without case, punctuation and articles, against the reference that
    it fits best; a question without an answer scores 0.

    Predictions map a question's id to the answer's text. Labels are SQuAD's articles, or map a
    question's id to its reference answers.
    """

    title = "F1"

    def rows(self, preds: Any, labels: Any) -> Floats:
        """Return each question's F1 and 1."""
        if not isinstance(preds, Mapping):
            raise EvaluationError(
                "SquadF1 needs predictions that map a question's id to the text of its answer; "
                f"they are {type(preds).__name__}. Give a postprocess that makes texts of logits."
            )
        scores = [_best(preds.get(one), right) for one, right in _questions(labels)]
        return np.stack([np.asarray(scores, dtype=np.float64), np.ones(len(scores))], 1)


def texts(values: Any) -> list[str]:
    """Return texts given as str or bytes, in a list or an array, as a flat list of str."""
    if isinstance(values, (str, bytes)):
        return [_text(values)]
    if isinstance(values, np.ndarray):
        values = values.ravel().tolist()
    found: list[str] = []
    for value in values:
        found += texts(value)
    return found


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


@functools.cache
def _marks() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    kinds: dict[str, list[str]] = {"P": [], "S": []}
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        kind = unicodedata.category(character)[0]
        if kind in kinds:
            kinds[kind].append(re.escape(character))
    punctuation, symbols = ("".join(kinds[kind]) for kind in "PS")
    return (
        re.compile(rf"([^\d])([{punctuation}])"),
        re.compile(rf"([{punctuation}])([^\d])"),
        re.compile(rf"([{symbols}])"),
    )


def _words(text: str) -> list[str]:
    """Split as mteval-v14 does: punctuation apart from what is no digit, symbols apart."""
    before, after, symbol = _marks()
    text = before.sub(r"\1 \2 ", text.lower())
    text = after.sub(r" \1 \2", text)
    return symbol.sub(r" \1 ", text).split()


def _overlap(found: Sequence[str], right: Sequence[str]) -> list[float]:
    matches, possible = [], []
    for order in range(1, _ORDER + 1):
        one, two = (Counter(_ngrams(words, order)) for words in (found, right))
        matches.append(float((one & two).total()))
        possible.append(float(one.total()))
    return [*matches, *possible, float(len(found)), float(len(right))]


def _ngrams(words: Sequence[str], order: int) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(order)), strict=False)


def _questions(labels: Any) -> list[tuple[str, list[str]]]:
    if isinstance(labels, Mapping) and "data" not in labels:
        return [(str(one), texts(answers)) for one, answers in labels.items()]
    articles = labels["data"] if isinstance(labels, Mapping) else labels
    try:
        return [
            (str(question["id"]), [answer["text"] for answer in question["answers"]])
            for article in articles
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        raise EvaluationError(
            "SquadF1 needs labels that are SQuAD's articles, or map a question's id to its "
            f"answers; they lack {error}. Check the dataset."
        ) from None


def _best(answer: Any, references: Sequence[str]) -> float:
    if answer is None:
        return 0.0
    words = _plain_words(_text(answer))
    return 100 * max((_f1(words, _plain_words(one)) for one in references), default=0.0)


def _plain_words(text: str) -> list[str]:
    kept = "".join(one for one in text.lower() if one not in string.punctuation)
    return _ARTICLES.sub(" ", kept).split()


def _f1(found: Sequence[str], right: Sequence[str]) -> float:
    same = (Counter(found) & Counter(right)).total()
    return 2 * same / (len(found) + len(right)) if same else 0.0
