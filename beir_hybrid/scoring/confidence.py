"""How sure a model is of a ranking: the confidence scores of MTEB's abstention metrics (arXiv 2402.12997).

MTEB computes nAUC from the top 1000 scores of each query: their maximum, their standard deviation and the difference
of the best two. These are the only figures that need scores and not just ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.integrate import trapezoid

from beir_hybrid.scoring.fast import compiled_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP_K = 1000
"""Scores that MTEB keeps of each query."""

EXACT = 42
"""Bits to which numbers are rounded before they are added, so that sums of up to 2048 of them are exact."""

_ELEMENTS = 1_000_000
"""Scores that are looked at together, so that they stay in the processor's cache and copies of them are small."""

ABSTENTION_RATES = np.linspace(0, 1, 11)[:-1]

Ignored = tuple["NDArray[np.int64]", "NDArray[np.float32]"]
"""Rows of queries, and the score of a passage each that is no candidate for it; two arrays of one length."""


@dataclass(frozen=True)
class Confidence:
    """The confidence scores of Q queries in one pool, each of shape (Q,).

    Attributes:
        maximum: The best score.
        std: Standard deviation of the top 1000 scores.
        margin: Difference of the best and the second best score, 0 in a pool of one.
    """

    maximum: NDArray[np.float64]
    std: NDArray[np.float64]
    margin: NDArray[np.float64]

    def by_name(self) -> dict[str, NDArray[np.float64]]:
        """Return the three scores under the names that MTEB's keys end in."""
        return {"max": self.maximum, "std": self.std, "diff1": self.margin}

    def of(self, queries: NDArray[np.int64]) -> Confidence:
        """Return the confidence of some queries, given by their rows."""
        return Confidence(self.maximum[queries], self.std[queries], self.margin[queries])


class TopScores:
    """The top 1000 scores of each query of the blocks seen so far, in no order."""

    def __init__(self, top_k: int = TOP_K) -> None:
        self.top_k = top_k
        self.values: torch.Tensor | None = None

    def add(self, scores: torch.Tensor) -> None:
        """Take in a block of scores, shape (Q, n)."""
        if self.values is not None:
            self.values = self.values.to(scores.device)  # restored ones come from a file
        compiled = compiled_for(scores)
        if compiled is not None:
            seen = scores[:, :0] if self.values is None else self.values
            top = compiled.highest(np.ascontiguousarray(seen), np.ascontiguousarray(scores), self.top_k)
            self.values = torch.from_numpy(top)
            return
        if self.values is not None and self.values.shape[1] == self.top_k:
            scores = _above(scores, self.values.min(1, keepdim=True).values)
        values = scores if self.values is None else torch.cat([self.values, scores], dim=1)
        if values.shape[1] > self.top_k:
            values = highest(values, self.top_k)
        self.values = values.clone() if values is scores else values

    @classmethod
    def of_all(cls, parts: Sequence[TopScores]) -> TopScores:
        """Return the top scores of all blocks that any of ``parts`` has seen; there is at least one of them."""
        values = [part.values for part in parts if part.values is not None]
        top = cls(parts[0].top_k)
        if not values:
            return top
        # Some queries at a time: of many languages, a copy of all is as large as the scores that are held.
        step = max(1, _ELEMENTS // max(1, sum(one.shape[1] for one in values)))
        of_queries = []
        for start in range(0, max(1, len(values[0])), step):
            some = cls(top.top_k)
            some.add(torch.cat([one[start : start + step].to(values[0].device) for one in values], dim=1))
            of_queries.append(some.values)
        top.values = torch.cat([some for some in of_queries if some is not None])
        return top

    def confidence(self, ignored: Ignored | None = None) -> Confidence:
        """Compute the confidence of each query from its top scores.

        Args:
            ignored: The scores of passages that are no candidates, -inf among the top scores. MTEB takes them out of
                the best 1000 of all, so that fewer are left.
        """
        assert self.values is not None, "no block was added"
        best, second, deviation = best_two_and_deviation(self.values.cpu())
        best, second = (np.where(scores == -np.inf, 0.0, scores) for scores in (best, second))  # no candidates there
        confidence = Confidence(best, deviation, best - second)
        if ignored is None:
            return confidence
        queries, scores = ignored
        for query in np.unique(queries):
            of_query = np.sort(self.values[query].cpu().numpy())
            left = of_query[of_query > -np.inf]
            among_best = sum((left > score).sum() < self.top_k for score in scores[queries == query])
            left = left[max(0, len(left) - (self.top_k - among_best)) :]
            confidence.std[query] = _deviations(left[None])[0] if len(left) else 0.0
            if len(left) < 2:
                confidence.margin[query] = 0.0
        return confidence


def best_two_and_deviation(scores: torch.Tensor) -> NDArray[np.float64]:
    """Return the highest, the second highest and the standard deviation of each row, shape (3, Q).

    The second is the first where there is one only. Equal scores have equal deviations, whatever their order: numbers
    are rounded before they are added, so far that sums of them are exact, and what this takes from the squares is added
    up apart. So the deviation is that of exact sums within its last digits.

    Args:
        scores: On the CPU, shape (Q, n), n at most 2048.
    """
    compiled = compiled_for(scores)
    if compiled is not None:
        return compiled.best_two_and_deviation(np.ascontiguousarray(scores.numpy())).T
    values = scores.numpy()
    n = values.shape[1]
    best_two = np.partition(values, [max(n - 2, 0), n - 1], axis=1)[:, -2:].astype(np.float64)
    step = max(1, _ELEMENTS // 8 // n)
    deviations = [_deviations(values[start : start + step]) for start in range(0, len(values), step)]
    return np.stack([best_two[:, -1], best_two[:, 0], np.concatenate([np.empty(0), *deviations])])


def _deviations(values: NDArray[np.float32]) -> NDArray[np.float64]:
    numbers = values.astype(np.float64)
    lowest, best = numbers.min(axis=1), numbers.max(axis=1)
    with np.errstate(invalid="ignore"):  # passages that are no candidates score -inf
        mean = _rounded(numbers, np.maximum(np.abs(lowest), np.abs(best)), EXACT).sum(axis=1) / values.shape[1]
        farthest = np.maximum(best - mean, mean - lowest)
        squares = (numbers - mean[:, None]) * (numbers - mean[:, None])
        total = _rounded(squares, farthest * farthest, EXACT)
        rest = _rounded(squares - total, farthest * farthest, 2 * EXACT)
        return np.sqrt((total.sum(axis=1) + rest.sum(axis=1)) / values.shape[1])


def _rounded(numbers: NDArray[np.float64], largest: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Round the numbers of each row to a power of two that is some bits below the row's largest."""
    magic = np.ldexp(1.5, np.frexp(largest)[1] - bits + 52)[:, None]
    return (numbers + magic) - magic


def highest(scores: torch.Tensor, k: int) -> torch.Tensor:
    """Return the k highest scores of each row, lowest first."""
    if scores.device.type == "cpu":
        return torch.from_numpy(np.sort(scores.cpu().numpy(), axis=1)[:, -k:])  # several times as fast as torch's topk
    return torch.topk(scores, k, dim=1).values.flip(1)


def _above(scores: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
    """Keep the scores of each row above its limit, moved to the left and filled up with the lowest score there is.

    In a large pool few scores of a late block enter the top: finding them is cheaper than selecting among all.
    """
    query, column = (scores > limits).nonzero(as_tuple=True)
    count = torch.bincount(query, minlength=len(scores))
    kept = torch.full((len(scores), int(count.max()) if len(count) else 0), -torch.inf, device=scores.device)
    place = torch.arange(len(query), device=scores.device) - (count.cumsum(0) - count)[query]
    kept[query, place] = scores[query, column]
    return kept


def abstention_areas(
    confidences: Sequence[NDArray[np.float64]], metrics: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Compute the normalized area under the abstention curve (nAUC) of several metrics, as MTEB does.

    Args:
        confidences: Confidence scores of each query, each of shape (Q,).
        metrics: Each metric of each query, shape (M, Q).

    Returns:
        For each kind of confidence, nAUC of each metric, shape (M,); NaN where all queries score the same.

    Source: arXiv 2402.12997. The order of the floating-point operations is MTEB's, because a metric that is equal
    for all queries divides one rounding error by another there.
    """
    # With one relevant passage, many metrics are the same numbers.
    rows: dict[bytes, int] = {}
    same_as = [rows.setdefault(metric.tobytes(), len(rows)) for metric in metrics]
    metrics = metrics[[same_as.index(row) for row in range(len(rows))]]
    ordered = np.sort(metrics, axis=1)
    best_curves = _curves(_shared_means(ordered, ordered))  # of a confidence that is the metric itself
    best = _area(best_curves)
    flat = best_curves[:, 0] * (ABSTENTION_RATES[-1] - ABSTENTION_RATES[0])
    areas = []
    for confidence in confidences:
        order = np.argsort(confidence, kind="stable")
        area = _area(_curves(_shared_means(confidence[order][None], np.take(metrics, order, axis=1))))
        with np.errstate(invalid="ignore", divide="ignore"):
            areas.append(np.where(best == flat, np.nan, (area - flat) / (best - flat))[same_as])
    return areas


def _shared_means(confidence: NDArray[np.float64], metrics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give queries of equal confidence their mean: which of them is left out must not depend on their order.

    Args:
        confidence: Of each query, lowest first: of each metric, shape (M, Q), or of all, shape (1, Q).
        metrics: In the same order, shape (M, Q).
    """
    starts = np.ones(confidence.shape, dtype=np.bool_)
    np.not_equal(confidence[:, 1:], confidence[:, :-1], out=starts[:, 1:])
    if starts.all():
        return metrics
    first_of_ties = np.flatnonzero(np.broadcast_to(starts, metrics.shape))
    ties = np.diff(first_of_ties, append=metrics.size)
    return np.repeat(np.add.reduceat(metrics.ravel(), first_of_ties) / ties, ties).reshape(metrics.shape)


def _curves(metrics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each metric over the queries that are left at each abstention rate, shape (M, 10)."""
    n_queries = metrics.shape[1]
    left_out = [min(round(rate * n_queries), n_queries - 1) for rate in ABSTENTION_RATES]
    return np.stack([np.add.reduce(metrics[:, start:], axis=1) / (n_queries - start) for start in left_out], axis=1)


def _area(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    return trapezoid(curves, ABSTENTION_RATES, axis=1)
