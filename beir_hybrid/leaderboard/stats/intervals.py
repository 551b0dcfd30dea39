"""How exact is a figure of the leaderboard? Bootstrap intervals over whole units and training seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from beir_hybrid.errors import RankTableError
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.inputs.settings import Unit
from beir_hybrid.leaderboard.stats.cells import PLURALS, CellMatrix, subsets_of, units_of
from beir_hybrid.leaderboard.stats.query_scores import QueryScores
from beir_hybrid.leaderboard.stats.resampling import Batch, SeedEffects, drawn_figures, interval
from beir_hybrid.leaderboard.stats.significance import CONFIDENCE, RESAMPLES


class FigureInterval(NamedTuple):
    """The interval of a figure.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        unit: What was drawn: the unit asked for, or the question where no articles are known.
        units: Number of units.
        questions: Number of questions that they hold.
    """

    low: float
    high: float
    unit: Unit
    units: int
    questions: int


def average_interval(
    of_seeds: Sequence[ColumnScores] | QueryScores,
    unit: Unit = "article",
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> FigureInterval:
    """Compute the bootstrap interval of a figure, the mean over seeds of ``ColumnScores.average``.

    Units are drawn with replacement, each with all its queries, and the figure is computed from them: by subset first.
    Queries that do not have the figure with every seed are left out. Seeds are resampled as in comparisons.

    Args:
        of_seeds: The scores of a model in a column, one a training seed, or put side by side before.
        unit: What is drawn; ``article`` is ``question`` where no articles are known.
        resamples: Resamples of the bootstrap.
        confidence: Of the interval.
        seed: Of all that is random.

    Raises:
        RankTableError: There are fewer than two units, or the seeds were not evaluated on the same ones.
    """
    model = QueryScores.of("model", of_seeds)
    queries = model.queries[model.defined]
    drawn, ids = units_of(queries, unit)
    if (n_units := ids.nunique()) < 2:
        raise RankTableError(f"{model.name}: an interval needs two {PLURALS[drawn]} at least, here there is {n_units}")
    cells = CellMatrix.of(ids, subsets_of(queries), model.on(queries))
    batch = Batch.of(cells, np.array([len(model.scores)]))
    effects = SeedEffects(batch.seeds, batch.seed_errors, seed)
    effects.draw(resamples)
    [figures] = drawn_figures(batch.cells, resamples, seed)
    low, high = interval(figures + effects.of(0), cells.n_units, confidence)
    return FigureInterval(float(low), float(high), drawn, cells.n_units, int(queries["question_id"].nunique()))
