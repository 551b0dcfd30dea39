"""From a rank table to the figure of a column, and to the scores of queries that significance tests compute it from.

The unit is the article: the same question in eleven languages is one observation, not eleven, and questions about one
text are not independent of each other either. Looser units, for comparison, are the question and the query.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from beir_hybrid.corpora.registry import is_judged_in_own_language
from beir_hybrid.errors import RankTableError
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.metrics import LANGUAGE_FIGURES, find_metric, metric_of
from beir_hybrid.ranks import rank_table
from beir_hybrid.scoring.bias import is_covered, query_bias
from beir_hybrid.scoring.retrieval_scores import NOT_RETRIEVED, query_metrics
from beir_hybrid.subsets import MULTI, Subset

if TYPE_CHECKING:
    import pyarrow as pa

    from beir_hybrid.ranks.schema import TableInfo


_IDS = ["query_id", "question_id", "cluster_id", "subset"]


@dataclass(frozen=True)
class ColumnScores:
    """The scores of one model in one column, query by query.

    Attributes:
        name: Model, revision and column, for messages.
        data_revision: Revision of the data set.
        queries: One row a (query, subset) with the columns ``query_id``, ``question_id``, ``cluster_id``, ``subset``
            and ``score``; NaN where a query does not have the figure, as some of language bias. A subset can be a
            stratum (``strata.py``), of which a query is a question.
        means: Subset -> mean over its queries, where the subsets of ``queries`` are strata.
    """

    name: str
    data_revision: str
    queries: pd.DataFrame
    means: Mapping[str, float] = field(default_factory=dict)

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that the figure is computed from, in the order of their names."""
        return tuple(sorted(subset for name in self.queries["subset"].unique() for subset in subsets_in(name)))

    @property
    def coverage(self) -> float:
        """Share of the queries that have the figure."""
        return float(self.queries["score"].notna().sum() / max(len(self.queries), 1))

    @property
    def by_subset(self) -> dict[str, float]:
        """Subset -> mean over its queries; NaN where none of them has the figure."""
        if self.means:
            return dict(self.means)
        means = self.queries.groupby("subset", observed=True)["score"].mean()
        return {str(subset): float(mean) for subset, mean in means.items()}

    @property
    def average(self) -> float:
        """The figure of the column: the plain mean over the subsets of the means over their queries.

        It is what MTEB's result files give; NaN where too few queries have it.
        """
        if not is_covered(self.coverage):
            return math.nan
        means = self.queries.groupby("subset", observed=True)["score"].mean().dropna()
        return float(np.average(means, weights=[len(subsets_in(name)) for name in means.index]))


def subsets_in(name: str) -> list[str]:
    """Return the subsets that a stratum puts together; a subset is one of one."""
    return name.split(" ")


def unit_scores(table: pa.Table, info: TableInfo, column: Column) -> ColumnScores:
    """Compute the scores of a column, as ``compare`` takes them.

    Args:
        table: A rank table.
        info: What holds for all of it.
        column: Which figure.

    Returns:
        The scores, a row a query and subset.

    Raises:
        RankTableError: The table is of another task, or lacks the subsets of the setting.
    """
    scores = column_scores(table, info, [column])
    if column.key not in scores:
        raise RankTableError(
            f"{column.key} does not follow from the rank table of {info.model} on {info.task}; evaluate the "
            f"{column.setting} subsets of {column.task}"
        )
    return scores[column.key]


def column_scores(table: pa.Table, info: TableInfo, columns: Iterable[Column]) -> dict[str, ColumnScores]:
    """Compute the scores of several columns from one rank table.

    Args:
        table: A rank table.
        info: What holds for all of it.
        columns: Those that the table knows nothing of are left out: of other tasks, of subsets that were not
            evaluated, and of metrics that do not follow from ranks.

    Returns:
        Key of the column -> its scores.

    Raises:
        RankTableError: A score cannot be computed.
    """
    asked = [column for column in columns if column.task == info.task and find_metric(column.metric)]
    frame = table.to_pandas() if asked else pd.DataFrame()
    found: dict[str, ColumnScores] = {}
    for setting in dict.fromkeys(column.setting for column in asked):
        ranks = _ranks_of(setting, frame, info)
        if ranks.empty:
            continue
        of_setting = [column for column in asked if column.setting == setting]
        scores = _retrieval_scores(ranks, [column.metric for column in of_setting if not column.is_bias])
        if any(column.is_bias for column in of_setting):
            scores |= _bias_scores(frame, ranks, info)
        for column in of_setting:
            name = f"{info.model} ({info.model_revision}), {column.key}"
            found[column.key] = ColumnScores(name, info.dataset_revision, scores[column.metric])
    return found


def _ranks_of(setting: str, frame: pd.DataFrame, info: TableInfo) -> pd.DataFrame:
    """Give the ranks that the subsets of a setting look at: the rows of ``frame`` with their ``subset`` and ``rank``.

    Of a subset that was evaluated all queries are there, also those of which nothing was returned.
    """
    if setting == "multilingual":
        rows = frame[rank_table.ranked_in_pool(frame, info)]
        if is_judged_in_own_language(info.task):
            rows = rows[rows["passage_language"] == rows["query_language"]]
        return rows.assign(subset=subset_names(rows["query_language"]), rank=rows["rank_in_pool"])
    same = frame["query_language"] == frame["passage_language"]
    rows = frame[same if setting == "monolingual" else ~same]
    subset = subset_names(rows["query_language"], rows["passage_language"])
    evaluated = [str(Subset(*pair)) for pair in rank_table.evaluated_pairs(frame, info)]
    return rows.assign(subset=subset, rank=rows["rank_in_language"])[subset.isin(evaluated)]


def subset_names(questions: pd.Series, pools: pd.Series | str = MULTI) -> pd.Series:
    """Return the name of the subset of each row, of the languages of its question and of its pool."""
    pairs = questions + " " + pools
    return pairs.map({pair: str(Subset(*pair.split(" "))) for pair in pairs.unique()})


def _retrieval_scores(ranks: pd.DataFrame, metrics: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Compute retrieval metrics of every query in every subset, in the layout of ``ColumnScores.queries``."""
    if not metrics:
        return {}
    by_query = ranks.groupby(["subset", "query_id"], sort=False)
    row, slot = by_query.ngroup().to_numpy(), by_query.cumcount().to_numpy()
    shape = (row.max() + 1, slot.max() + 1)
    places, grades = np.full(shape, NOT_RETRIEVED), np.zeros(shape, dtype=np.int64)
    known = ranks["rank"].notna().to_numpy()
    places[row[known], slot[known]] = ranks["rank"].to_numpy()[known].astype(np.int64)
    grades[row, slot] = ranks["grade"].to_numpy()
    cut_offs = {k for metric in metrics if (k := metric_of(metric).cut_off)}
    values = query_metrics(places, grades, sorted(cut_offs))
    queries = ranks.loc[slot == 0, _IDS].reset_index(drop=True).astype("category")  # kept of all models at once
    return {metric: queries.assign(score=values[metric]) for metric in metrics}


def _bias_scores(frame: pd.DataFrame, ranks: pd.DataFrame, info: TableInfo) -> dict[str, pd.DataFrame]:
    """Compute the bias figures of every query; NaN where it has none."""
    rows = frame.loc[ranks.index]
    # A language of which nothing was returned has no figure either.
    figures = query_bias(rows[rank_table.ranked_in_pool(rows)], info.pool_sizes)
    queries = ranks.drop_duplicates("query_id")[_IDS].reset_index(drop=True)
    scores = figures.reindex(queries["query_id"])
    queries = queries.astype("category")
    return {metric: queries.assign(score=scores[metric].to_numpy()) for metric in LANGUAGE_FIGURES}
