"""Scores by question: subsets that have the same questions put together, which changes no figure and no test of it.

The 110 cross-lingual subsets of XQuAD-R are one stratum, whose questions have their mean over 110 queries; those of
MLQA-R, where a question exists in some languages only, are 21.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

import pandas as pd

from beir_hybrid.leaderboard.board.unit_scores import ColumnScores


def in_strata(scores: ColumnScores, kind_of: Callable[[str], Hashable] = lambda _: None) -> ColumnScores:
    """Put the subsets together whose questions are the same.

    Args:
        scores: The scores of a column, in which a question is asked once in each subset.
        kind_of: Says of what kind a subset is; those of different kinds stay apart.

    Returns:
        The scores of each question, means over the subsets of a stratum, NaN where a query of it lacks the figure. A
        stratum is called after its subsets, in the order of their names.
    """
    if scores.means:  # they are
        return scores
    queries = scores.queries.astype({"subset": object, "question_id": object, "cluster_id": object})
    alike: dict[Hashable, list[str]] = {}
    for subset, questions in queries.groupby("subset")["question_id"]:
        alike.setdefault((tuple(sorted(questions)), kind_of(subset)), []).append(subset)
    names = {subset: " ".join(subsets) for subsets in alike.values() for subset in subsets}
    by_question = queries.assign(subset=queries["subset"].map(names)).groupby(["subset", "question_id"])
    articles, of_question = by_question["cluster_id"].first(), by_question["score"]
    scores_of_all = of_question.mean().where(of_question.count() == of_question.size())
    means = pd.DataFrame({"cluster_id": articles, "score": scores_of_all}).reset_index()
    return replace(scores, queries=means.assign(query_id=means["question_id"]), means=scores.by_subset)
