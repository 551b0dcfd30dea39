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

Needs = Literal["ranks", "answers", "top languages"]
"""What a figure follows from: the ranks of the relevant passages, where one that was not returned counts nothing; those
of all answers, in the pool of all languages; the languages of the best passages of that pool."""


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


def in_favour(difference: float, higher_is_better: bool) -> bool:
    """Whether a difference is an improvement; none at all is not."""
    return difference > 0 if higher_is_better else difference < 0


def best_and_second(
    values: Mapping[str, float | None], higher_is_better: bool, decimals: int
) -> tuple[frozenset[str], frozenset[str]]:
    """Find the best and the second best of some figures, as they are shown: equal to the last decimal is equal.

    Returns:
        The keys of the best and of the second best; none where there is nothing to compare.
    """
    shown = {key: round(value, decimals) for key, value in values.items() if value is not None}
    if len(shown) < 2:
        return frozenset(), frozenset()
    first, second = [*sorted(set(shown.values()), reverse=higher_is_better), None][:2]
    best, next_best = (frozenset(key for key in shown if shown[key] == value) for value in (first, second))
    return best, next_best


_TREC = "trec_eval, https://github.com/usnistgov/trec_eval"
_HYBRID = "arXiv 2408.10536"
_LAREQA = "LAReQA, arXiv 2004.05484"
_PEER = "PEER, arXiv 2405.00978"

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

SAME_LANGUAGE_K = (10, 100)
"""Cut-offs of the figures of the passages in the question's language."""

PEER_K = (20, 100)
"""Cut-offs of PEER."""

RANK_DISTANCE = Metric(
    "rank_distance", "rank distance", "answers", _HYBRID, higher_is_better=False, decimals=1, about_languages=True
)
LANGUAGE_FAIRNESS = Metric("language_fairness", "language fairness", "answers", _HYBRID, about_languages=True)
STRONG_ALIGNMENT = Metric("strong_alignment", "strong alignment", "answers", _LAREQA, about_languages=True)
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
        *(metric.at(k) for k in SAME_LANGUAGE_K for metric in (_SHARE, _PREFERENCE)),
        *(_PEER_AT_K.at(k) for k in PEER_K),
    )
}
"""Name -> figure of how a model treats languages, in the order in which they are listed."""

BOARD_LANGUAGE_FIGURES = (RANK_DISTANCE, LANGUAGE_FAIRNESS, STRONG_ALIGNMENT)
"""Those that leaderboards show and test."""

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
