"""From a rank table to the figure of a column, and to the scores of the units that significance tests pair.

The unit is the question: the same question in eleven languages is one observation, not eleven. The stricter choice is
the article, whose questions are about the same text; the looser one, for comparison, the query.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from beir_hybrid.corpora.registry import is_judged_in_own_language
from beir_hybrid.errors import RankTableError
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.inputs.settings import Unit
from beir_hybrid.metrics import LANGUAGE_FIGURES, find_metric, metric_of
from beir_hybrid.ranks import rank_table
from beir_hybrid.scoring.bias import is_covered, query_bias
from beir_hybrid.scoring.retrieval_scores import NOT_RETRIEVED, query_metrics
from beir_hybrid.subsets import MULTI, Subset

if TYPE_CHECKING:
    import pyarrow as pa

    from beir_hybrid.ranks.schema import TableInfo


UNIT_COLUMNS = {"question": "question_id", "article": "cluster_id", "query": "query_id"}
_IDS = ["query_id", "question_id", "cluster_id", "subset"]


@dataclass(frozen=True)
class ColumnScores:
    """The scores of one model in one column, query by query.

    Attributes:
        name: Model, revision and column, for messages.
        data_revision: Revision of the data set.
        queries: One row a (query, subset) with the columns ``query_id``, ``question_id``, ``cluster_id``, ``subset``
            and ``score``; NaN where a query does not have the figure, as some of language bias.
        pooled: Whether the figure is the mean over all queries, as those of language bias are, and not the plain mean
            over the subsets of the means over their queries.
    """

    name: str
    data_revision: str
    queries: pd.DataFrame
    pooled: bool

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that the figure is computed from, in the order of their names."""
        return tuple(sorted(self.queries["subset"].unique()))

    @property
    def coverage(self) -> float:
        """Share of the queries that have the figure."""
        return float(self.queries["score"].notna().sum() / max(len(self.queries), 1))

    @property
    def by_subset(self) -> dict[str, float]:
        """Subset -> mean over its queries."""
        return {str(subset): float(mean) for subset, mean in self.queries.groupby("subset")["score"].mean().items()}

    @property
    def average(self) -> float:
        """The figure of the column, equal to what MTEB's result files give; NaN where too few queries have it."""
        if not is_covered(self.coverage):
            return math.nan
        if self.pooled:
            return float(self.queries["score"].mean())
        return float(self.queries.groupby("subset")["score"].mean().mean())

    def by_unit(self, unit: Unit = "question") -> pd.Series:
        """Average the scores of each unit.

        A question's score is the mean over the subsets it is part of; an article's, the mean over its questions. A
        query without the figure is left out of the mean.

        Returns:
            Unit id -> score, sorted by id; units of which no query has the figure are left out. ``attrs`` hold
            ``data_revision`` and ``subsets``, which scores must share to be compared, and the ids ``undefined`` of
            what was left out.
        """
        if unit == "article":
            of_question = self.queries.groupby("question_id").agg({"cluster_id": "first", "score": "mean"})
            scores = of_question.groupby("cluster_id")["score"].mean()
        else:
            scores = self.queries.groupby(UNIT_COLUMNS[unit])["score"].mean()
        scores = scores.sort_index().rename(self.name).rename_axis(unit)
        defined = scores.dropna()
        undefined = tuple(scores.index.difference(defined.index))
        defined.attrs = {"data_revision": self.data_revision, "subsets": self.subsets, "undefined": undefined}
        return defined


def unit_scores(table: pa.Table, info: TableInfo, column: Column, unit: Unit = "question") -> pd.Series:
    """Compute the scores of the units that tests pair.

    Their mean is the figure of the column where every question is part of every subset (XQuAD-R). Where questions are
    missing in some subsets (MLQA-R, MIRACL) the figure weighs the questions of small subsets more, and the two differ:
    tests are about the mean over the units.

    Args:
        table: A rank table.
        info: What holds for all of it.
        column: Which figure.
        unit: What is paired.

    Returns:
        Unit id -> score, sorted by id; see ``ColumnScores.by_unit``.

    Raises:
        RankTableError: The table is of another task, or lacks the subsets of the setting.
    """
    scores = column_scores(table, info, [column])
    if column.key not in scores:
        raise RankTableError(
            f"{column.key} does not follow from the rank table of {info.model} on {info.task}; evaluate the "
            f"{column.setting} subsets of {column.task}"
        )
    return scores[column.key].by_unit(unit)


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
            found[column.key] = ColumnScores(name, info.dataset_revision, scores[column.metric], column.is_bias)
    return found


def _ranks_of(setting: str, frame: pd.DataFrame, info: TableInfo) -> pd.DataFrame:
    """Give the ranks that the subsets of a setting look at: the rows of ``frame`` with their ``subset`` and ``rank``.

    Of a subset that was evaluated all queries are there, also those of which nothing was returned.
    """
    if setting == "multilingual":
        rows = frame[rank_table.ranked_in_pool(frame, info)]
        if is_judged_in_own_language(info.task):
            rows = rows[rows["passage_language"] == rows["query_language"]]
        return rows.assign(subset=_subsets(rows["query_language"]), rank=rows["rank_in_pool"])
    same = frame["query_language"] == frame["passage_language"]
    rows = frame[same if setting == "monolingual" else ~same]
    subset = _subsets(rows["query_language"], rows["passage_language"])
    evaluated = [str(Subset(*pair)) for pair in rank_table.evaluated_pairs(frame, info)]
    return rows.assign(subset=subset, rank=rows["rank_in_language"])[subset.isin(evaluated)]


def _subsets(questions: pd.Series, pools: pd.Series | str = MULTI) -> pd.Series:
    """Name the subset of each row."""
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
    queries = ranks.loc[slot == 0, _IDS].reset_index(drop=True)
    return {metric: queries.assign(score=values[metric]) for metric in metrics}


def _bias_scores(frame: pd.DataFrame, ranks: pd.DataFrame, info: TableInfo) -> dict[str, pd.DataFrame]:
    """Compute the bias figures of every query; NaN where it has none."""
    rows = frame.loc[ranks.index]
    # A language of which nothing was returned has no figure either.
    figures = query_bias(rows[rank_table.ranked_in_pool(rows)], info.pool_sizes)
    queries = ranks.drop_duplicates("query_id")[_IDS].set_index("query_id")
    return {metric: queries.assign(score=figures[metric]).reset_index() for metric in LANGUAGE_FIGURES}
