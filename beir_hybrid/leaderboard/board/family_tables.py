"""The figures of a leaderboard by groups of language pairs: within a family, between families, by script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from beir_hybrid.families import MONOLINGUAL, groups_of
from beir_hybrid.leaderboard.board.comparisons import compare_rows, entry_of, one_order
from beir_hybrid.leaderboard.board.family_scores import FAMILY_FIGURES, PairFigures, pairs_in_strata
from beir_hybrid.leaderboard.inputs.settings import Settings
from beir_hybrid.leaderboard.stats.intervals import average_interval
from beir_hybrid.leaderboard.stats.query_scores import QueryScores
from beir_hybrid.leaderboard.stats.significance import Comparison, Pair, corrected
from beir_hybrid.scoring.bias import is_covered
from beir_hybrid.subsets import Subset

_METRICS = {metric.name: metric for metric in FAMILY_FIGURES}


@dataclass(frozen=True)
class _Group:
    """A figure of a group of language pairs, and how rows compare in it."""

    figure: str
    name: str
    n_pairs: int
    cells: Mapping[str, Mapping[str, Any]]
    comparisons: Mapping[Pair, Comparison]


def family_tables(
    settings: Settings, rows: Mapping[str, PairFigures], shown: Sequence[Pair], titles: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Compute the figures of all groups, compared with the baselines and corrected over each task by itself.

    Args:
        settings: How.
        rows: Row -> its figures of language pairs.
        shown: (row, baseline) that are compared.
        titles: Task -> its heading, in order; others are left out.

    Returns:
        One entry a task, figure and group, as in the board. Tasks of which no question is asked across languages are
        left out; so are rows that were not evaluated on all pairs of a task.
    """
    tables = []
    for task, title in titles.items():
        groups = list(_groups(settings, task, rows, one_order(shown)))
        if all(group.name == MONOLINGUAL for group in groups):
            continue
        for group in _corrected(settings, groups):
            metric = _METRICS[group.figure]
            better = metric.higher_is_better is not False
            entries = [
                {"row": row, "baseline": baseline, **entry_of(comparison, settings.alpha, better)}
                for (row, baseline), comparison in group.comparisons.items()
            ]
            tables.append(
                {
                    "key": f"{task}/{group.name}/{group.figure}",
                    "task": task,
                    "title": title,
                    "figure": group.figure,
                    "label": metric.label,
                    "group": group.name,
                    "pairs": group.n_pairs,
                    "higher_is_better": better,
                    "decimals": metric.decimals,
                    "cells": group.cells,
                    "comparisons": entries,
                }
            )
    return tables


def _groups(settings: Settings, task: str, rows: Mapping[str, PairFigures], pairs: Sequence[Pair]) -> Iterator[_Group]:
    """Yield the figures of a task, group by group."""
    for figure in dict.fromkeys(figure for of_row in rows.values() for figure in of_row.get(task, {})):
        of_figure = {key: of_row[task][figure] for key, of_row in rows.items() if figure in of_row.get(task, {})}
        known = {key: QueryScores.of(key, of_seeds) for key, of_seeds in of_figure.items()}
        every = {subset for scores in known.values() for subset in scores.subsets}
        whole = {key: scores for key, scores in known.items() if len(scores.subsets) == len(every)}
        strata = whole
        if any(seed.means for of_seeds in of_figure.values() for seed in of_seeds):  # stored in strata
            strata = {key: QueryScores.of(key, list(map(pairs_in_strata, of_figure[key]))) for key in whole}
        names = {(subset.questions, subset.pool): str(subset) for subset in map(Subset.parse, sorted(every))}
        for group, members in groups_of(names).items():
            inside = _inside(strata, [names[member] for member in members])
            if len(inside) < len(whole):  # a group that strata cut through
                inside = _inside(whole, [names[member] for member in members])
            inside = {key: scores for key, scores in inside.items() if is_covered(float(scores.defined.mean()))}
            if inside:
                yield _group(settings, figure, group, len(members), inside, pairs)


def _inside(rows: Mapping[str, QueryScores], pairs: Sequence[str]) -> dict[str, QueryScores]:
    """Return the scores of some pairs of languages, of the rows that have them for these pairs alone."""
    inside = {key: scores.within(pairs) for key, scores in rows.items()}
    return {key: scores for key, scores in inside.items() if len(scores.subsets) == len(pairs)}


def _group(
    settings: Settings, figure: str, name: str, n_pairs: int, scores: Mapping[str, QueryScores], pairs: Sequence[Pair]
) -> _Group:
    compared = [pair for pair in pairs if scores.keys() >= set(pair)]
    better = _METRICS[figure].higher_is_better is not False
    comparisons = compare_rows(settings, scores, compared, figure, better)
    cells = {key: _cell(settings, of_row) for key, of_row in scores.items()}
    return _Group(figure, name, n_pairs, cells, dict(zip(compared, comparisons, strict=True)))


def _cell(settings: Settings, scores: QueryScores) -> dict[str, Any]:
    values = scores.figures()
    interval = average_interval(
        scores, settings.unit, resamples=settings.resamples, confidence=settings.confidence, seed=settings.seed
    )
    spread = stdev(values) if len(values) > 1 else None
    return {"value": fmean(values), "spread": spread, **interval._asdict()}


def _corrected(settings: Settings, groups: Sequence[_Group]) -> list[_Group]:
    """Correct the comparisons of all groups of a task together."""
    found = [comparison for group in groups for comparison in group.comparisons.values()]
    ready = iter(corrected(found, settings.correction))
    return [replace(group, comparisons={pair: next(ready) for pair in group.comparisons}) for group in groups]
