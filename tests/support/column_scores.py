"""Scores in a column of the leaderboard, from plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from beir_hybrid.leaderboard.board.unit_scores import ColumnScores

Values = Sequence[float] | NDArray[np.float64]


def column(values: Values, name: str = "", articles: Sequence[str] | None = None) -> ColumnScores:
    """Make a column of one subset, a query a question; each is its own article where none are given."""
    questions = [f"q{n:04}" for n in range(len(values))]
    return ColumnScores(
        name,
        "1",
        pd.DataFrame(
            {
                "query_id": [f"en:{question}" for question in questions],
                "question_id": questions,
                "cluster_id": questions if articles is None else list(articles),
                "subset": "en-en",
                "score": np.asarray(values, dtype=float),
            }
        ),
    )


def grid(scores: NDArray[np.float64], articles: Sequence[str] | None = None, name: str = "") -> ColumnScores:
    """Make a column of questions x subsets; a score that is NaN is a query that is not there.

    Args:
        scores: Shape (questions, subsets).
        articles: Of each question; each is its own where none are given.
        name: Of the column.
    """
    question, subset = np.nonzero(~np.isnan(scores))
    questions = np.array([f"q{n:04}" for n in range(len(scores))])
    clusters = questions if articles is None else np.array(articles)
    return ColumnScores(
        name,
        "1",
        pd.DataFrame(
            {
                "query_id": [f"l{s}:{questions[q]}" for q, s in zip(question, subset, strict=True)],
                "question_id": questions[question],
                "cluster_id": clusters[question],
                "subset": [f"l{s}-multi" for s in subset],
                "score": scores[question, subset],
            }
        ),
    )
