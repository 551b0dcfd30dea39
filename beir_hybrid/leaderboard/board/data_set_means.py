"""Means over the data sets of a group: each counts alike, however many questions and languages it has, as in BEIR."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any, TypeVar

import pandas as pd

from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, subsets_in
from beir_hybrid.scoring.bias import is_covered

_IDS = ("query_id", "question_id", "cluster_id")

_ROUNDING = 1e-9

Languages = Mapping[str, Mapping[str, float]]
"""Question language -> setting -> figure."""

Of = TypeVar("Of")


def joined(column: Column, of_sets: Mapping[str, ColumnScores]) -> ColumnScores | None:
    """Put the scores of all data sets of a group into one, whose figure is the mean of theirs.

    Its units are those of all of them, which are independent of each other. A mean over all subsets is one over data
    sets where these have equally many; where they have not, there is nothing that tests could compute the figure from.

    Args:
        column: The mean.
        of_sets: Task -> its scores.

    Returns:
        The scores; None where their figure is not that mean, or too few queries of a data set have the figure.
    """
    scores = list(of_sets.values())
    if not all(is_covered(one.coverage) for one in scores):
        return None
    queries = pd.concat([_named(task, one.queries) for task, one in of_sets.items()], ignore_index=True)
    together = ColumnScores(
        name=scores[0].name.replace(column.mean_of[0], column.key),
        data_revision=" ".join(one.data_revision for one in scores),
        queries=queries.astype(dict.fromkeys((*_IDS, "subset"), "category")),
        means={in_set(task, subset): mean for task, one in of_sets.items() for subset, mean in one.means.items()},
    )
    is_mean = math.isclose(together.average, fmean(one.average for one in scores), abs_tol=_ROUNDING)
    return together if is_mean else None


def in_set(task: str, name: str) -> str:
    """Name a subset of a data set, or an id, among those of others; a stratum is one of all its subsets."""
    return " ".join(f"{task}/{one}" for one in subsets_in(name))


def _named(task: str, queries: pd.DataFrame) -> pd.DataFrame:
    """Give ids and subsets names that no other data set has."""
    named = {name: queries[name].astype("category") for name in (*_IDS, "subset")}
    return queries.assign(**{name: ids.cat.rename_categories(partial(in_set, task)) for name, ids in named.items()})


def with_means(
    by_task: Mapping[str, Of], columns: Sequence[Column], mean: Callable[[Sequence[Of]], Of | None]
) -> dict[str, Of]:
    """Add to what is known of tasks that of the groups of which all data sets are among them.

    Args:
        by_task: Task -> what is known of it.
        columns: The columns, among them those of means.
        mean: Makes one of those of several data sets; None where that cannot be done.
    """
    tasks = {column.key: column.task for column in columns}
    members = {column.task: [tasks[key] for key in column.mean_of] for column in columns if column.mean_of}
    found = dict(by_task)
    for group, of_group in members.items():
        if all(task in by_task for task in of_group) and (of_all := mean([by_task[task] for task in of_group])):
            found[group] = of_all
    return found


def mean_languages(of_sets: Sequence[Languages]) -> dict[str, dict[str, float]]:
    """Average figures by question language, of the languages and settings that all data sets have."""
    first, *_ = of_sets
    return {
        language: means
        for language, by_setting in first.items()
        if (
            means := {
                setting: fmean(one[language][setting] for one in of_sets)
                for setting in by_setting
                if all(setting in one.get(language, {}) for one in of_sets)
            }
        )
    }


def mean_matrices(of_sets: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Average the matrices of language pairs; None where data sets have other languages."""
    first, *others = of_sets
    if any(one["languages"] != first["languages"] for one in others):
        return None
    kinds = {kind: [one[kind] for one in of_sets] for kind in ("map", "one_target")}
    means = {kind: _mean_matrix(of_all) for kind, of_all in kinds.items()}
    return {**first, **means}


def _mean_matrix(matrices: Sequence[Any]) -> list[list[float | None]] | None:
    if any(matrix is None for matrix in matrices):
        return None
    return [[_mean(values) for values in zip(*lines, strict=True)] for lines in zip(*matrices, strict=True)]


def _mean(values: Sequence[float | None]) -> float | None:
    return None if any(value is None for value in values) else fmean(value for value in values if value is not None)
