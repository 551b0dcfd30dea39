"""From a rank table to the figures of groups of language pairs: within a family and between families, by script.

The figure of a group is the plain mean over its pairs of the means over their queries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from beir_hybrid.families import Kind, groups_of, shared_groups
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.strata import in_strata
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, column_scores, subset_names, subsets_in
from beir_hybrid.metrics import MAP, ONE_TARGET
from beir_hybrid.ranks import rank_table
from beir_hybrid.scoring.bias import is_covered, one_target_precisions
from beir_hybrid.subsets import CROSS, MULTI, SETTINGS, Subset

if TYPE_CHECKING:
    import pyarrow as pa

    from beir_hybrid.ranks.schema import TableInfo

FAMILY_FIGURES = (MAP, ONE_TARGET)
"""What is computed of each group: mAP in the pools of single languages, and one-target mAP in that of all languages."""

_IDS = ("query_id", "question_id", "cluster_id", "subset")

PAIRS = "pairs"
"""Setting, in keys of columns, of the scores of all pairs of languages."""


class GroupMean(NamedTuple):
    """The figure of a group.

    Attributes:
        mean: Plain mean over its pairs; None where the score of one is missing.
        pairs: Number of its pairs.
    """

    mean: float | None
    pairs: int


GroupScores = Mapping[str, ColumnScores]
"""Group -> scores, whose subsets are the pairs of the group."""

PairFigures = Mapping[str, Mapping[str, Sequence[ColumnScores]]]
"""Task -> figure of language pairs -> scores of a row, one a training seed, a subset a pair of languages."""


def family_scores(table: pa.Table, info: TableInfo) -> dict[str, GroupScores]:
    """Compute the figures of language pairs, by family and by script.

    Args:
        table: A rank table.
        info: What holds for all of it.

    Returns:
        ``map`` and ``one_target_map`` -> group of ``families.pair_groups`` -> its scores, a subset a pair of languages.
        What does not follow from the table is left out: mAP of pairs that were not evaluated, one-target mAP of
        questions without ranks in the pool of all languages.
    """
    return {figure: by_group(scores) for figure, scores in pair_scores(table, info).items()}


def pair_scores(
    table: pa.Table, info: TableInfo, known: Mapping[str, ColumnScores] | None = None
) -> dict[str, ColumnScores]:
    """Compute the figures of language pairs: ``map`` and ``one_target_map`` -> scores, a subset a pair of languages.

    Args:
        table: A rank table.
        info: What holds for all of it.
        known: Key of the column -> scores of the table that were computed before.
    """
    figures = {MAP.name: _pair_scores(table, info, known), ONE_TARGET.name: _one_target_scores(table, info)}
    return {figure: scores for figure, scores in figures.items() if scores is not None}


def by_group(scores: ColumnScores) -> dict[str, ColumnScores]:
    """Sort the scores of pairs of languages into their groups.

    Args:
        scores: Those of subsets that are pairs of languages.

    Returns:
        Group -> the scores of its pairs, in the order of ``families.groups_of``.
    """
    names = {(subset.questions, subset.pool): str(subset) for subset in map(Subset.parse, scores.subsets)}
    groups = {group: {names[pair] for pair in pairs} for group, pairs in groups_of(names).items()}
    return {group: _within(scores, group, members) for group, members in groups.items()}


def _within(scores: ColumnScores, group: str, members: Set[str]) -> ColumnScores:
    strata = [name for name in scores.queries["subset"].unique() if members >= set(subsets_in(name))]
    return replace(
        scores,
        name=f"{scores.name} {group}",
        queries=scores.queries[scores.queries["subset"].isin(strata)],
        means={subset: mean for subset, mean in scores.means.items() if subset in members},
    )


def pairs_key(task: str, figure: str) -> str:
    """Return the key of the scores of all pairs of languages, beside those of columns."""
    return f"{task}/{PAIRS}/{figure}"


def stored_pairs(task: str, columns: Mapping[str, ColumnScores]) -> dict[str, ColumnScores]:
    """Return what ``pair_scores`` returns from scores by their keys, as far as they are there."""
    keys = {metric.name: pairs_key(task, metric.name) for metric in FAMILY_FIGURES}
    return {figure: columns[key] for figure, key in keys.items() if key in columns}


def one_target_of_pairs(scores: ColumnScores) -> pd.DataFrame:
    """Return one-target mAP by language pair, question language (rows) x answer language (columns).

    NaN where too few queries of a pair have it, as in ``scoring.bias.one_target_map``; of stored scores all have.
    """
    share = scores.queries.groupby("subset", observed=True)["score"].agg(lambda of_pair: of_pair.notna().mean())
    means = {
        Subset.parse(subset): mean if scores.means or is_covered(share[subset]) else math.nan
        for subset, mean in scores.by_subset.items()
    }
    return pd.Series(means.values(), pd.MultiIndex.from_tuples(means)).unstack()


def pairs_in_strata(scores: ColumnScores) -> ColumnScores:
    """Put pairs of languages together that have the same questions and are in the same groups.

    A single family and all others is not among them: that would keep nearly all pairs apart.
    """
    return in_strata(scores, lambda pair: shared_groups(*Subset.parse(pair)))


def group_means(by_subset: Mapping[str, float | None], by: Kind | None = None) -> dict[str, GroupMean]:
    """Average the scores of pairs of languages that a result holds, group by group.

    Args:
        by_subset: Subset -> its mean over queries; None where it is missing. Those of pools of several languages are
            passed over.
        by: Groups of families only, or of scripts; None for both.
    """
    subsets = [Subset.parse(name) for name in by_subset]
    scores = {
        (subset.questions, subset.pool): by_subset[str(subset)]
        for subset in subsets
        if subset.pool not in (MULTI, CROSS)
    }
    means = {}
    for group, pairs in groups_of(scores, by).items():
        known = [score for pair in pairs if (score := scores[pair]) is not None]
        means[group] = GroupMean(fmean(known) if len(known) == len(pairs) else None, len(pairs))
    return means


def _pair_scores(table: pa.Table, info: TableInfo, known: Mapping[str, ColumnScores] | None) -> ColumnScores | None:
    """Return the average precisions of all pairs that were evaluated; None for none."""
    columns = [Column.of(info.task, setting, MAP.name, setting, info.task) for setting in SETTINGS[:2]]
    scores = column_scores(table, info, columns) if known is None else known
    of_settings = [scores[column.key] for column in columns if column.key in scores]
    if not of_settings:
        return None
    # The categories of two settings differ, and pandas does not join them.
    queries = pd.concat([one.queries.astype(dict.fromkeys(_IDS, object)) for one in of_settings], ignore_index=True)
    return replace(of_settings[0], name=_name(info, MAP.name), queries=_compact(queries))


def _one_target_scores(table: pa.Table, info: TableInfo) -> ColumnScores | None:
    """Return the one-target average precisions of all questions with ranks in the pool; None for none."""
    frame = table.to_pandas()
    frame = frame[rank_table.ranked_in_pool(frame, info)]
    returned = frame[rank_table.ranked_in_pool(frame)]
    if returned.empty:
        return None
    target = ["query_id", "passage_language"]
    precisions = one_target_precisions(returned, info.pool_sizes).set_index(target)["precision"].rename("score")
    targets = frame.drop_duplicates(target).join(precisions, on=target)
    subset = subset_names(targets["query_language"], targets["passage_language"])
    queries = targets[["query_id", "question_id", "cluster_id", "score"]].assign(subset=subset)
    return ColumnScores(_name(info, ONE_TARGET.name), info.dataset_revision, _compact(queries))


def _compact(queries: pd.DataFrame) -> pd.DataFrame:
    """Keep each id once: scores of all models of a leaderboard are held at once."""
    return queries.astype(dict.fromkeys(_IDS, "category"))


def _name(info: TableInfo, figure: str) -> str:
    return f"{info.model} ({info.model_revision}), {info.task}/{figure},"
