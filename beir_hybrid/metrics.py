"""The figures: what each is called and shown as, which way is better, what it needs, and where it comes from.

Nothing is computed here. Retrieval metrics are those of ``scoring.retrieval_scores``; the figures of how a model treats
languages, those of ``scoring.bias``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from beir_hybrid.errors import BeirHybridError

Needs = Literal["ranks", "answers", "answers by language", "top languages"]
"""What a figure follows from: the ranks of the relevant passages, where one that was not returned counts nothing; those
of all answers, in the pool of all languages, or in that and in the pool of each language; the languages of the best
passages of the pool of all."""


@dataclass(frozen=True)
class Metric:
    """A figure.

    Attributes:
        name: Its name, as results and rank tables say it, e.g. ``ndcg_at_10``.
        label: Its name as readers know it, e.g. nDCG@10.
        needs: What it follows from.
        citation: Where it comes from.
        higher_is_better: Whether larger values are better; None where a value in between is best.
        decimals: Decimals shown.
        about_languages: Whether it says how a model treats languages; such a figure may be undefined for a query.
        cut_off: k of a figure of the first k passages; None for the full ranking.
    """

    name: str
    label: str
    needs: Needs
    citation: str
    higher_is_better: bool | None = True
    decimals: int = 3
    about_languages: bool = False
    cut_off: int | None = None

    @property
    def label_with_direction(self) -> str:
        """The label, with a note where lower is better."""
        return self.label if self.higher_is_better is not False else f"{self.label} (lower is better)"

    def at(self, k: int) -> Metric:
        """Return the same metric of the first k passages."""
        return replace(self, name=f"{self.name}_at_{k}", label=f"{self.label}@{k}", cut_off=k)


def in_favour(difference: float, higher_is_better: bool | None) -> bool:
    """Whether a difference is an improvement; none at all is not, nor is any of a figure without a better side."""
    if higher_is_better is None:
        return False
    return difference > 0 if higher_is_better else difference < 0


def best_and_second(
    values: Mapping[str, float | None], higher_is_better: bool | None, decimals: int
) -> tuple[frozenset[str], frozenset[str]]:
    """Find the best and the second best of some figures, as they are shown: equal to the last decimal is equal.

    Returns:
        The keys of the best and of the second best; none where there is nothing to compare, or no better side.
    """
    shown = {key: round(value, decimals) for key, value in values.items() if value is not None}
    if len(shown) < 2 or higher_is_better is None:
        return frozenset(), frozenset()
    first, second = [*sorted(set(shown.values()), reverse=higher_is_better), None][:2]
    best, next_best = (frozenset(key for key in shown if shown[key] == value) for value in (first, second))
    return best, next_best


_TREC = "trec_eval, https://github.com/usnistgov/trec_eval"
_HYBRID = "arXiv 2408.10536"
_LAREQA = "LAReQA, arXiv 2004.05484"
_PEER = "PEER, arXiv 2405.00978"
_MLAIRE = "MLAIRE, arXiv 2605.07249"
_MAX_R = "Max@R and Complete@k, arXiv 2604.05684"
_BALANCED = "balanced retrieval, arXiv 2507.07543"

MAP = Metric("map", "mAP", "ranks", _LAREQA)
"""Mean average precision over the full ranking."""

ONE_TARGET = Metric("one_target_map", "one-target mAP", "answers", _LAREQA, about_languages=True)
"""Mean average precision in the pool of all languages when the answers in one of them are the only ones there."""

_AT_K = {
    metric.name: metric
    for metric in (
        Metric("map", "mAP", "ranks", _TREC),
        Metric("ndcg", "nDCG", "ranks", _TREC),
        Metric("recall", "Recall", "ranks", _TREC),
        Metric("precision", "Precision", "ranks", _TREC),
        Metric("mrr", "MRR", "ranks", "MTEB, arXiv 2210.07316"),
        Metric("hit_rate", "hit rate", "ranks", _TREC),
    )
}

CUT_OFFS = (1, 3, 5, 10, 20, 100, 1000)
"""Cut-offs of the retrieval metrics: MTEB's."""

SAME_LANGUAGE_K = (10, 100)
"""Cut-offs of the figures of the passages in the question's language."""

PEER_K = (20, 100)
"""Cut-offs of PEER."""

COMPLETE_K = (10, 20, 100)
"""Cut-offs within which the answers in all languages stand; XQuAD-R's are eleven, which ten passages cannot hold."""

RANK_DISTANCE = Metric(
    "rank_distance", "rank distance", "answers", _HYBRID, higher_is_better=False, decimals=1, about_languages=True
)
LANGUAGE_FAIRNESS = Metric("language_fairness", "language fairness", "answers", _HYBRID, about_languages=True)
STRONG_ALIGNMENT = Metric("strong_alignment", "strong alignment", "answers", _LAREQA, about_languages=True)
LANGUAGE_PREFERENCE = Metric(
    "language_preference", "language preference", "answers", _MLAIRE, None, about_languages=True
)
LAST_ANSWER_RANK = Metric(
    "last_answer_rank", "last answer rank", "answers", _MAX_R, False, decimals=1, about_languages=True
)
_COMPLETE = Metric("complete", "complete", "answers", _MAX_R, about_languages=True)
COMPLETE = _COMPLETE.at(20)
ROUND_ROBIN_GAIN = Metric(
    "round_robin_gain", "round robin gain", "answers by language", _BALANCED, False, about_languages=True
)
_CHANCE = Metric("language_preference_chance", "preference by chance", "answers", _MLAIRE, None, about_languages=True)
_FIRST = Metric(
    "first_passage_in_language", "first in language", "top languages", _MLAIRE, None, about_languages=True, cut_off=1
)
_NORMALIZED_DISTANCE = Metric(
    "normalized_rank_distance", "normalized rank distance", "answers", _HYBRID, False, about_languages=True
)
_SHARE = Metric("same_language_share", "same language share", "top languages", _LAREQA, None, about_languages=True)
_PREFERENCE = Metric(
    "same_language_preference", "same language preference", "top languages", _LAREQA, None, about_languages=True
)
_PEER_AT_K = Metric("peer", "PEER", "top languages", _PEER, about_languages=True)

LANGUAGE_FIGURES: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        RANK_DISTANCE,
        _NORMALIZED_DISTANCE,
        LANGUAGE_FAIRNESS,
        STRONG_ALIGNMENT,
        LANGUAGE_PREFERENCE,
        _CHANCE,
        _FIRST,
        LAST_ANSWER_RANK,
        *(_COMPLETE.at(k) for k in COMPLETE_K),
        ROUND_ROBIN_GAIN,
        *(metric.at(k) for k in SAME_LANGUAGE_K for metric in (_SHARE, _PREFERENCE)),
        *(_PEER_AT_K.at(k) for k in PEER_K),
    )
}
"""Name -> figure of how a model treats languages, in the order in which they are listed."""

BOARD_LANGUAGE_FIGURES = (
    RANK_DISTANCE,
    LANGUAGE_FAIRNESS,
    STRONG_ALIGNMENT,
    LANGUAGE_PREFERENCE,
    LAST_ANSWER_RANK,
    COMPLETE,
    ROUND_ROBIN_GAIN,
)
"""Those that leaderboards show and test, and the evaluator gives."""

RANK_DISTANCE_QUERY_MEAN = f"{RANK_DISTANCE.name}_query_mean"
"""The mean of the rank distance over all queries, which is another number where languages have different numbers of
questions; it stands beside the figure, the mean over question languages."""

LANGUAGE_MEANS = (RANK_DISTANCE.name, RANK_DISTANCE_QUERY_MEAN, *[*LANGUAGE_FIGURES][1:])
"""What is written of the questions of some languages, in the order in which it is listed."""

_NAME_AT_K = re.compile(r"(?P<name>[a-z_]+)_at_(?P<k>[1-9][0-9]*)")


def find_metric(name: str) -> Metric | None:
    """Return the metric of a name such as ``map``, ``ndcg_at_10`` or ``rank_distance``; None if there is none."""
    known = LANGUAGE_FIGURES | {MAP.name: MAP}
    if name in known:
        return known[name]
    match = _NAME_AT_K.fullmatch(name)
    metric = _AT_K.get(match["name"]) if match else None
    return metric.at(int(match["k"])) if match and metric else None


def metric_of(name: str) -> Metric:
    """Return the metric of a name.

    Raises:
        BeirHybridError: There is none.
    """
    metric = find_metric(name)
    if metric is None:
        raise BeirHybridError(
            f"there is no metric {name!r}; there are {MAP.name}, {', '.join(f'{key}_at_k' for key in _AT_K)} and "
            f"{', '.join(LANGUAGE_FIGURES)}"
        )
    return metric
