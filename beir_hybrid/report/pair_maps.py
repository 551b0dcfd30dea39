"""The heat maps of a report: figures by question language and another language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.leaderboard.board.family_scores import one_target_of_pairs, pair_scores
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.metrics import MAP, ONE_TARGET
from beir_hybrid.report.content import Grid, HeatMap
from beir_hybrid.report.figures import known
from beir_hybrid.report.outranking import outranking_shares
from beir_hybrid.report.pair_tests import significant_pairs
from beir_hybrid.subsets import MOST_PAIRED, Subset

_TEXTS = {
    MAP.name: (
        "mAP in the pool of the answers' language",
        "What is found where languages do not compete: the pool holds passages in one language.",
    ),
    ONE_TARGET.name: (
        "One-target mAP in the pool of all languages",
        "The same answers where all languages compete; right answers in other languages are taken out of the pool.",
    ),
}
"""Figure of language pairs -> title and note of its map."""


def heat_maps(runs: Sequence[RankTable]) -> list[HeatMap]:
    """Compute the heat maps of one run, or of two and their difference.

    Maps of answers that have no cell off their diagonal are left out: of questions that have answers in their own
    language only. The differences of maps of more than MOST_PAIRED languages are not tested: what Holm's correction
    asks of thousands of tests takes more sign flips than anybody waits for.

    Args:
        runs: One or two, of the same data and with their top passages.
    """
    languages = list(runs[0].info.pool_sizes)
    shares = [outranking_shares(run, languages) for run in runs]
    who = HeatMap(
        "outranking",
        "Who outranks whom",
        "Of the wrong passages above right answers in the pool of all languages, the share in each language.",
        "outranked by passages in",
        languages,
        languages,
        shares,
        _difference(shares),
        higher_is_better=None,
    )
    return [*_maps_of_answers(runs, languages), who]


def _maps_of_answers(runs: Sequence[RankTable], languages: Sequence[str]) -> Iterator[HeatMap]:
    of_runs = [pair_scores(run.table, run.info) for run in runs]
    for figure, (title, note) in _TEXTS.items():
        scores = [of_run[figure] for of_run in of_runs if figure in of_run]
        if len(scores) < len(runs) or not any(map(_has_pairs, scores)):
            continue
        grids = [_grid(one, languages) for one in scores]
        key, difference = figure.replace("_", "-"), _difference(grids)
        significant = None
        if difference is not None and len(languages) <= MOST_PAIRED:
            significant = _significant(scores, difference, languages)
        yield HeatMap(key, title, note, "answers in", languages, languages, grids, difference, significant)


def _grid(scores: ColumnScores, languages: Sequence[str]) -> Grid:
    """Return the figure of each pair of languages; None where too few questions have it, or none was asked."""
    matrix = one_target_of_pairs(scores).reindex(index=languages, columns=languages)
    return [[known(value) for value in row] for row in matrix.to_numpy(dtype=float)]


def _has_pairs(scores: ColumnScores) -> bool:
    """Whether there are answers in other languages than the question's."""
    return any(questions != answers for questions, answers in map(Subset.parse, scores.subsets))


def _difference(grids: Sequence[Grid]) -> Grid | None:
    """Return the first of two grids less the second; None of one."""
    if len(grids) < 2:
        return None
    return [
        [None if one is None or other is None else one - other for one, other in zip(*rows, strict=True)]
        for rows in zip(*grids, strict=True)
    ]


def _significant(scores: Sequence[ColumnScores], difference: Grid, languages: Sequence[str]) -> list[list[bool]]:
    """Say which of the differences are significant."""
    subsets = [[str(Subset(questions, answers)) for answers in languages] for questions in languages]
    tested = [
        subset
        for names, values in zip(subsets, difference, strict=True)
        for subset, value in zip(names, values, strict=True)
        if value is not None
    ]
    found = significant_pairs(scores, tested)
    return [[subset in found for subset in names] for names in subsets]
