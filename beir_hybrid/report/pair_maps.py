"""The heat maps of a report: a figure by question language and another language, and which differences are real."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.leaderboard.board.family_scores import one_target_of_pairs, pair_scores
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.stats.query_scores import QueryScores
from beir_hybrid.leaderboard.stats.significance import compare_many, is_significant
from beir_hybrid.metrics import MAP, ONE_TARGET
from beir_hybrid.report.content import Grid, HeatMap
from beir_hybrid.report.figures import known
from beir_hybrid.report.outranking import outranking_shares
from beir_hybrid.subsets import MOST_PAIRED, Subset

ALPHA = 0.05
"""Level of significance, of all differences of a map together."""

_PAIR = "pair"


def heat_maps(runs: Sequence[RankTable]) -> list[HeatMap]:
    """Compute the heat maps of one run, or of two and their difference.

    A map of figures of answers that has nothing off its diagonal is left out: of questions that have answers in their
    own language only, or pools of more than MOST_PAIRED languages, which are not evaluated one by one.

    Args:
        runs: One or two, of the same data.
    """
    languages = list(runs[0].info.pool_sizes)
    scores = [pair_scores(run.table, run.info) for run in runs]
    maps = []
    for figure, title, note in _OF_ANSWERS:
        of_runs = [of_run[figure] for of_run in scores if figure in of_run]
        if len(of_runs) < len(runs):
            continue
        grids = [_grid(one, languages) for one in of_runs]
        if any(
            grid[x][y] is not None
            for grid in grids
            for x in range(len(languages))
            for y in range(len(languages))
            if x != y
        ):
            significant = _significant(of_runs, grids, languages) if len(runs) > 1 else None
            maps.append(_map(figure, title, note, "answers in", languages, grids, significant, True))
    shares = [outranking_shares(run, languages) for run in runs]
    maps.append(_map("outranking", *_OUTRANKING, "outranked by passages in", languages, shares, None, None))
    return maps


_OF_ANSWERS = (
    (
        MAP.name,
        "mAP in the pool of the answers' language",
        "What the model finds where languages do not compete: the pool holds passages in one language only.",
    ),
    (
        ONE_TARGET.name,
        "mAP in the pool of all languages, for answers in one language",
        "The same answers where all languages compete; the right answers in other languages are taken out.",
    ),
)
_OUTRANKING = (
    "Who outranks whom",
    "Of the wrong passages above right answers in the pool of all languages, the share in each language; a row sums up "
    "to 1.",
)


def _map(
    key: str,
    title: str,
    note: str,
    columns_are: str,
    languages: Sequence[str],
    grids: Sequence[Grid],
    significant: list[list[bool]] | None,
    higher_is_better: bool | None,
) -> HeatMap:
    difference = None
    if len(grids) > 1:
        difference = [
            [None if one is None or other is None else one - other for one, other in zip(*rows, strict=True)]
            for rows in zip(*grids, strict=True)
        ]
    return HeatMap(
        key.replace("_", "-"),
        title,
        note,
        columns_are,
        languages,
        languages,
        grids,
        difference,
        significant,
        higher_is_better,
    )


def _grid(scores: ColumnScores, languages: Sequence[str]) -> Grid:
    """Return the figure of each pair of languages; None where too few questions have it, or none was asked."""
    matrix = one_target_of_pairs(scores).reindex(index=languages, columns=languages)
    return [[known(value) for value in row] for row in matrix.to_numpy(dtype=float)]


def _significant(
    scores: Sequence[ColumnScores], grids: Sequence[Grid], languages: Sequence[str]
) -> list[list[bool]] | None:
    """Say which pairs of languages differ: paired randomization tests over articles, Holm's correction over the map.

    The tests are those of `compare`, of all pairs at once: a question is the same unit in whichever language it is
    asked, so that one set of sign flips serves all pairs that have the same questions. Maps of more than MOST_PAIRED
    languages are not tested: no number of flips that anyone waits for gives p values that small.
    """
    if len(languages) > MOST_PAIRED:
        return None
    places = [
        (x, y)
        for x in range(len(languages))
        for y in range(len(languages))
        if all(grid[x][y] is not None for grid in grids)
    ]
    by_pair = [_by_question(one) for one in scores]
    questions = by_pair[0][1]
    known_scores: dict[str, QueryScores] = {}
    pairs = []
    for x, y in places:
        subset = str(Subset(languages[x], languages[y]))
        names = [f"{subset} {number}" for number in range(len(scores))]
        pairs.append((names[0], names[1]))
        for name, one, (matrix, _) in zip(names, scores, by_pair, strict=True):
            column = matrix[subset].reindex(questions.index.get_level_values("query_id")).to_numpy(dtype=np.float64)
            known_scores[name] = QueryScores(name, one.data_revision, (_PAIR,), questions, column[None])
    comparisons = compare_many(known_scores, pairs, resamples=2, correction="holm")  # intervals are not shown
    found = {place for place, one in zip(places, comparisons, strict=True) if is_significant(one, ALPHA)}
    return [[(x, y) in found for y in range(len(languages))] for x in range(len(languages))]


def _by_question(scores: ColumnScores) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores of pairs of languages, question (rows) x subset, NaN for none; and the questions as queries."""
    queries = scores.queries.astype({"question_id": object, "cluster_id": object, "subset": object})
    matrix = queries.pivot(index="question_id", columns="subset", values="score")
    facts = queries.drop_duplicates("question_id").set_index("question_id", drop=False).loc[matrix.index]
    index = pd.MultiIndex.from_product([[_PAIR], matrix.index], names=["subset", "query_id"])
    return matrix, facts[["question_id", "cluster_id"]].set_axis(index)
