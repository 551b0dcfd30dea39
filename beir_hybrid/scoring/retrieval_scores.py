"""Retrieval metrics from the ranks of the relevant passages, equal to trec_eval's and MTEB's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from beir_hybrid.metrics import CUT_OFFS
from beir_hybrid.scoring.confidence import TOP_K, Confidence, abstention_areas

if TYPE_CHECKING:
    from numpy.typing import NDArray

K_VALUES = CUT_OFFS

NOT_RETRIEVED = np.iinfo(np.int64).max
"""Rank of a relevant passage that a search did not return."""


def query_metrics(
    ranks: NDArray[np.int64], grades: NDArray[np.int64], k_values: Sequence[int] = K_VALUES
) -> dict[str, NDArray[np.float64]]:
    """Compute every metric of every query from the ranks of its relevant passages.

    Args:
        ranks: Ranks from 1, shape (Q, R); NOT_RETRIEVED where the passage was not found.
        grades: Grades of the judgments, shape (Q, R); 0 where the query has fewer than R relevant passages. Every
            query has at least one.
        k_values: Cut-offs.

    Returns:
        Metric name -> its value for each query, shape (Q,): ``map`` over the full ranking, and ``map_at_k``,
        ``ndcg_at_k``, ``recall_at_k``, ``precision_at_k``, ``mrr_at_k``, ``hit_rate_at_k``.

    Source: trec_eval's map, map_cut, ndcg_cut (gain = grade, discount = log2(rank + 1)), recall, P, success;
    mrr_at_k as MTEB defines it.
    """
    ranks = np.where(grades > 0, ranks, NOT_RETRIEVED)
    order = np.argsort(ranks, axis=1, kind="stable")
    ranks, gains = np.take_along_axis(ranks, order, 1), np.take_along_axis(grades, order, 1)
    n_relevant = (gains > 0).sum(1)
    found = ranks < NOT_RETRIEVED
    places = np.arange(1, ranks.shape[1] + 1)
    precisions = np.where(found, places / ranks, 0.0)
    discounted = np.where(found, gains / np.log2(np.where(found, ranks, 1) + 1.0), 0.0)
    ideal = -np.sort(-gains, axis=1) / np.log2(places + 1.0)
    metrics = {"map": _total(precisions) / n_relevant}
    for k in k_values:
        inside = ranks <= k
        hits = inside.sum(1)
        metrics[f"map_at_{k}"] = _total(np.where(inside, precisions, 0.0)) / n_relevant
        metrics[f"ndcg_at_{k}"] = _total(np.where(inside, discounted, 0.0)) / _total(ideal[:, :k])
        metrics[f"recall_at_{k}"] = hits / n_relevant
        metrics[f"precision_at_{k}"] = hits / k
        metrics[f"mrr_at_{k}"] = np.where(inside[:, 0], 1.0 / ranks[:, 0], 0.0)
        metrics[f"hit_rate_at_{k}"] = (hits > 0).astype(np.float64)
    return metrics


def _total(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum each row from the left, as trec_eval does: equal rankings get equal sums, to the last bit."""
    return values.cumsum(axis=1)[:, -1]


def subset_scores(
    ranks: NDArray[np.int64],
    grades: NDArray[np.int64],
    confidence: Confidence,
    k_values: Sequence[int] = K_VALUES,
) -> dict[str, float]:
    """Compute the scores of one subset under MTEB's keys, and ``map`` beside them.

    Args:
        ranks: Ranks from 1, shape (Q, R).
        grades: Grades, shape (Q, R), 0 where there is no relevant passage.
        confidence: Confidence of the Q queries in the pool of the subset.
        k_values: Cut-offs.

    Returns:
        Key -> mean over the queries; ``nauc_...`` is the abstention metric of a key.
    """
    metrics = query_metrics(ranks, grades, k_values)
    scores = {name: float(values.mean()) for name, values in metrics.items()}
    scores["accuracy"] = scores[f"recall_at_{k_values[0]}"]
    abstaining = [name for name in metrics if name != "map" and not name.startswith("hit_rate")]
    table = np.stack([metrics[name] for name in abstaining])
    kinds = confidence.by_name()
    for kind, areas in zip(kinds, abstention_areas(list(kinds.values()), table), strict=True):
        scores.update({f"nauc_{name}_{kind}": float(area) for name, area in zip(abstaining, areas, strict=True)})
    return scores


assert max(K_VALUES) <= TOP_K  # MTEB keeps the top 1000 of each query, so that no cut-off can look further
