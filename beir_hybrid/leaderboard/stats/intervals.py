"""How exact is a figure of the leaderboard? Bootstrap intervals over questions and training seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from beir_hybrid.errors import RankTableError
from beir_hybrid.leaderboard.board.unit_scores import UNIT_COLUMNS, ColumnScores
from beir_hybrid.leaderboard.inputs.settings import Unit
from beir_hybrid.leaderboard.stats.resampling import SeedEffects, bootstrap_weights, percentiles, seed_error
from beir_hybrid.leaderboard.stats.significance import CONFIDENCE, RESAMPLES


def average_interval(
    of_seeds: Sequence[ColumnScores],
    unit: Unit = "question",
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> tuple[float, float]:
    """Compute the percentile bootstrap interval of a figure, the mean over seeds of ``ColumnScores.average``.

    Units are drawn with replacement, each with all its queries, and the figure is computed from them: by subset first.
    Queries that do not have the figure with every seed are left out. Seeds are resampled as in comparisons.

    Args:
        of_seeds: The scores of a model in a column, one a training seed.
        unit: What is drawn.
        resamples: Resamples of the bootstrap.
        confidence: Of the interval.
        seed: Of all that is random.

    Returns:
        Low and high.

    Raises:
        RankTableError: There are fewer than two units, or the seeds were not evaluated on the same ones.
    """
    first = of_seeds[0]
    queries = _with_figure([one.queries.assign(subset="all") if first.pooled else one.queries for one in of_seeds])
    totals = [
        one.groupby([UNIT_COLUMNS[unit], "subset"])["score"].agg(["sum", "count"]).unstack(fill_value=0)
        for one in queries
    ]
    for scores, other in zip(of_seeds, totals, strict=True):
        if not other["count"].equals(totals[0]["count"]):
            raise RankTableError(f"{first.name} and {scores.name} were not evaluated on the same queries")
    if len(totals[0]) < 2:
        raise RankTableError(f"{first.name}: an interval needs two {unit}s at least, here there is {len(totals[0])}")
    sums, counts = np.mean([one["sum"].to_numpy() for one in totals], axis=0), totals[0]["count"].to_numpy()
    samples = bootstrap_weights(len(totals[0]), resamples, seed)
    averages = np.concatenate([_averages(weights @ sums, weights @ counts) for weights in samples])
    by_unit = pd.concat([one.by_unit(unit) for one in of_seeds], axis=1).reindex(totals[0].index)
    error = seed_error(by_unit.to_numpy().T)
    effects = SeedEffects(np.array([len(of_seeds)]), np.array([error]), seed)
    effects.draw(resamples)
    low, high = percentiles(averages + effects.of(0), confidence)
    return float(low), float(high)


def _with_figure(of_seeds: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Keep the queries that have the figure with every seed."""
    missing = [one.loc[one["score"].isna(), "query_id"] for one in of_seeds]
    lacking = set().union(*missing)
    return [one[~one["query_id"].isin(lacking)] for one in of_seeds] if lacking else list(of_seeds)


def _averages(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the subsets' means, given by sums and counts of queries; a small subset may be missing in a sample."""
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return means.sum(axis=1) / (counts > 0).sum(axis=1)
