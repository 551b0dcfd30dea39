"""Which pairs of languages do two runs differ in? Paired tests of all cells of a heat map at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.stats.cells import CellMatrix, units_of
from beir_hybrid.leaderboard.stats.corrections import correct
from beir_hybrid.leaderboard.stats.resampling import Batch, flip_p_values
from beir_hybrid.leaderboard.stats.significance import FLIPS

ALPHA = 0.05
"""Level of significance, of all differences of a map together."""


def significant_pairs(scores: Sequence[ColumnScores], subsets: Sequence[str]) -> set[str]:
    """Test the difference of two runs in each of some subsets.

    The tests are those of ``significance.compare``: two-sided paired randomization tests over articles, with Holm's
    correction over all the subsets. A question is the same unit in whichever language it is asked: subsets with the
    same questions are one batch, whose tests follow from one set of sign flips.

    Args:
        scores: Those of the two runs, whose subsets are pairs of languages.
        subsets: Those to be tested, all of which both runs have.

    Returns:
        The subsets whose difference is significant.
    """
    questions = scores[0].queries[["question_id", "cluster_id"]].astype(object).drop_duplicates("question_id")
    first, second = (_by_question(one).reindex(questions["question_id"]) for one in scores)
    batches: dict[bytes, list[str]] = {}
    for subset in subsets:
        batches.setdefault((first[subset].notna() & second[subset].notna()).to_numpy().tobytes(), []).append(subset)
    p_values: dict[str, float] = {}
    for key, together in batches.items():
        compared = np.frombuffer(key, dtype=bool)
        _, units = units_of(questions[compared], "article")
        values = np.stack([one[subset].to_numpy()[compared] for subset in together for one in (first, second)])
        cells = CellMatrix.of(units, pd.Series("pair", units.index), values)
        pairs = [(place, place + 1) for place in range(0, len(values), 2)]
        batch = Batch.of(cells, np.ones(len(values), dtype=np.int64), pairs, [None] * len(pairs))
        p_values |= zip(together, (p.differ for p in flip_p_values(batch, FLIPS, seed=0)), strict=True)
    corrected = correct(p_values.values(), "holm")
    return {subset for subset, p in zip(p_values, corrected, strict=True) if p <= ALPHA}


def _by_question(scores: ColumnScores) -> pd.DataFrame:
    """Return scores by question (rows) and subset (columns); NaN where a question has none."""
    queries = scores.queries.astype({"question_id": object, "subset": object})
    return queries.pivot(index="question_id", columns="subset", values="score")
