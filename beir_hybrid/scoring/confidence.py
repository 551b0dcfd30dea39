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

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP_K = 1000
"""Scores that MTEB keeps of each query."""

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
        if values:
            top.add(torch.cat([one.to(values[0].device) for one in values], dim=1))
        return top

    def confidence(self, ignored: Ignored | None = None) -> Confidence:
        """Compute the confidence of each query from its top scores.

        Args:
            ignored: The scores of passages that are no candidates, -inf among the top scores. MTEB takes them out of
                the best 1000 of all, so that fewer are left.
        """
        assert self.values is not None, "no block was added"
        ordered = np.sort(self.values.cpu().numpy(), axis=1)  # sums are the same whatever order the blocks came in
        values = ordered.astype(np.float64)
        best = highest(self.values, min(2, self.values.shape[1])).flip(1).cpu().double().numpy()
        best[best == -np.inf] = 0.0  # of a query without candidates there
        margin = best[:, 0] - best[:, 1] if best.shape[1] == 2 else np.zeros(len(best))
        if ignored is None:
            return Confidence(best[:, 0], np.std(values, axis=1), margin)
        confidence = Confidence(best[:, 0], np.zeros(len(values)), margin)
        queries, scores = ignored
        for query, of_query in enumerate(values):
            left = of_query[of_query > -np.inf]
            among_best = sum((left > score).sum() < self.top_k for score in scores[queries == query])
            if len(left) > self.top_k - among_best:
                left = np.sort(left)[len(left) - (self.top_k - among_best) :]
            confidence.std[query] = np.std(left) if len(left) else 0.0
            if len(left) < 2:
                confidence.margin[query] = 0.0
        return confidence


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
    # With one relevant passage, many metrics are the same numbers; and what is best does not depend on confidence.
    oracles = {metric.tobytes(): metric for metric in metrics}
    curves = {key: _abstention_curves(metric, metric[None])[0] for key, metric in oracles.items()}
    best_curves = np.stack([curves[metric.tobytes()] for metric in metrics])
    best = _area(best_curves)
    flat = best_curves[:, 0] * (ABSTENTION_RATES[-1] - ABSTENTION_RATES[0])
    areas = []
    for confidence in confidences:
        area = _area(_abstention_curves(confidence, metrics))
        with np.errstate(invalid="ignore", divide="ignore"):
            areas.append(np.where(best == flat, np.nan, (area - flat) / (best - flat)))
    return areas


def _abstention_curves(confidence: NDArray[np.float64], metrics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each metric over the queries that are left at each abstention rate, shape (M, 10)."""
    n_queries = metrics.shape[1]
    order = np.argsort(confidence, kind="stable")
    ordered = confidence[order]
    first_of_ties = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ties = np.diff(np.r_[first_of_ties, n_queries])
    # Queries of equal confidence share their mean: which of them is left must not depend on their order.
    means = np.add.reduceat(metrics[:, order], first_of_ties, axis=1) / ties
    spread = np.repeat(means, ties, axis=1)
    left_out = [min(round(rate * n_queries), n_queries - 1) for rate in ABSTENTION_RATES]
    return np.stack([spread[:, start:].mean(axis=1) for start in left_out], axis=1)


def _area(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    return trapezoid(curves, ABSTENTION_RATES, axis=1)
