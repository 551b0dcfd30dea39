"""Scores by question: subsets that have the same questions put together, which changes no figure and no test of it.

The 110 cross-lingual subsets of XQuAD-R are one stratum, whose questions have their mean over 110 queries; those of
MLQA-R, where a question exists in some languages only, are 21.
"""

from __future__ import annotations

from dataclasses import replace

from beir_hybrid.leaderboard.board.unit_scores import ColumnScores


def in_strata(scores: ColumnScores) -> ColumnScores:
    """Put the subsets together whose questions are the same.

    Args:
        scores: The scores of a column, in which a question is asked once in each subset.

    Returns:
        The scores of each question, means over the subsets of a stratum, NaN where a query of it lacks the figure. A
        stratum is called after its subsets, in the order of their names.
    """
    if scores.means:  # stored in strata
        return scores
    queries = scores.queries
    questions = queries.groupby("subset")["question_id"].agg(lambda ids: tuple(sorted(ids)))
    names = {subset: " ".join(part.index) for _, part in questions.groupby(questions) for subset in part.index}
    by_question = queries.assign(subset=queries["subset"].map(names)).groupby(["subset", "question_id"], sort=True)
    means = by_question.agg(
        cluster_id=("cluster_id", "first"), score=("score", lambda values: values.mean(skipna=False))
    ).reset_index()
    return replace(scores, queries=means.assign(query_id=means["question_id"]))
