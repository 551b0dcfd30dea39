"""All figures that follow from a rank table, as numbers, data frames and plots."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pandas as pd
import pyarrow.compute as pc

from beir_hybrid.corpora import registry
from beir_hybrid.errors import RankTableError
from beir_hybrid.files import shown, user_path
from beir_hybrid.indexing import index_table
from beir_hybrid.indexing.index_table import IndexTable, index_path
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.family_scores import pair_scores
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, column_scores
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES, LANGUAGE_FIGURES, MAP, ONE_TARGET, RANK_DISTANCE, metric_of
from beir_hybrid.ranks import rank_table, tops
from beir_hybrid.scoring.bias import ALL_QUESTIONS, mean_bias_by_language, one_target_map, query_bias
from beir_hybrid.scoring.retrieval_scores import K_VALUES
from beir_hybrid.subsets import SETTINGS, Subset, setting_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from matplotlib.figure import Figure

    from beir_hybrid.ranks.schema import TableInfo
    from beir_hybrid.ranks.tops import Tops

logger = logging.getLogger("mteb.beir_hybrid")

_AT_K = ("ndcg", "map", "recall", "precision", "mrr", "hit_rate")
_SHOWN_FIGURES = (RANK_DISTANCE, *BOARD_LANGUAGE_FIGURES[1:4])


@dataclass(frozen=True, eq=False, repr=False)
class RankTable:
    """The ranks of a model on a corpus, and what follows from them.

    Attributes:
        table: The rank table, one row a (query, relevant passage), as Arrow; ``ranks`` is the same for pandas.
        info: What holds for all of it: task, model, revisions, passages by language.
        metric: Name of the main score, such as ``map`` or ``ndcg_at_10``.
        path: Where it is kept; None where it was never written.
        kept_tops: The top passages, where they are in memory; ``tops`` reads them otherwise.
        kept_index: What an index finds, where it is in memory; ``index`` reads it otherwise.

    Examples:
        >>> import beir_hybrid as bh
        >>> ranks = bh.RankTable.load("ranks/me__model/1/XQuADR.parquet")  # doctest: +SKIP
        >>> ranks.settings, ranks.worst_pairs(3)  # doctest: +SKIP
    """

    table: pa.Table
    info: TableInfo
    metric: str = MAP.name
    path: Path | None = field(default=None)
    kept_tops: Tops | None = field(default=None)
    kept_index: IndexTable | None = field(default=None)

    @classmethod
    def load(cls, path: str | Path, metric: str | None = None) -> RankTable:
        """Read a rank table that an evaluation has written.

        Args:
            path: The Parquet file; `mteb run`, ``evaluate`` and `beir-hybrid evaluate` say where it is.
            metric: The main score; by default that of the task, or ``map`` where the task is not known here.

        Raises:
            RankTableError: The file is missing, truncated or no rank table.
            BeirHybridError: There is no such metric.
        """
        file = user_path(path)
        table, info = rank_table.read(file)
        return RankTable(table, info, metric_of(metric or _main_score_of(info.task)).name, file)

    def stored(self, folder: Path) -> Self:
        """Write the rank table below a folder, as `mteb run` does, and return the same with its place.

        Args:
            folder: The folder above ``ranks/<model>/<revision>/<task>.parquet``. A table of the same model, in the same
                state, and data is completed; one of another state is left alone.

        Raises:
            BeirHybridError: It cannot be written.
        """
        path = rank_table.default_path(self.info.task, *self.info.label, folder)
        top_passages = [self.tops] if self.tops is not None else []
        path = rank_table.store(path, self.table, self.info, self.info.pairs, top_passages=top_passages)
        logger.info(f"Rank table: {path}")
        info = rank_table.read_info(path)
        if self.index is not None:
            self.index.write(index_path(path), info)
        return replace(self, info=info, path=path, kept_tops=self.tops, kept_index=self.index)

    @cached_property
    def tops(self) -> Tops | None:
        """The best passages of each query in each pool, with their scores; None where they were not kept.

        Raises:
            RankTableError: Their file is damaged.
        """
        if self.kept_tops is not None or self.path is None:
            return self.kept_tops
        return tops.read(tops.tops_path(self.path), self.info)

    @cached_property
    def index(self) -> IndexTable | None:
        """What an index finds of the exact ranking, by language of the question; None where none was asked.

        Raises:
            RankTableError: Its file is malformed.
        """
        if self.kept_index is not None or self.path is None:
            return self.kept_index
        return index_table.read(index_path(self.path), self.info)

    @property
    def files(self) -> list[Path]:
        """The files it is kept in: of the rank table, and of top passages and what an index finds, as far as kept."""
        if self.path is None:
            return []
        beside = ((self.tops, tops.tops_path), (self.index, index_path))
        return [self.path, *(place(self.path) for kept, place in beside if kept is not None)]

    # Figures

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """The rank table, one row a (query, relevant passage).

        Ranks count from 1: ``rank_in_language`` in the pool of the passage's language, ``rank_in_pool`` in that of all
        languages. They are missing where a pool was not evaluated, or a search did not return the passage.
        """
        return self.table.to_pandas()

    @cached_property
    def settings(self) -> pd.Series:
        """The main score in the monolingual, cross-lingual and multilingual setting: plain means over the subsets.

        Three numbers by the name of the setting; NaN where no subset of it was evaluated.
        """
        scores = self.scores[self.metric]
        of_setting = scores.groupby([setting_of(str(subset)) for subset in scores.index]).mean()
        return of_setting.reindex(list(SETTINGS)).rename(self.metric)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Retrieval metrics between 0 and 1: a row a subset such as ``en-de`` or ``en-multi``, a column a metric."""
        names = [MAP.name, *(f"{name}_at_{k}" for name in _AT_K for k in K_VALUES)]
        names = list(dict.fromkeys([self.metric, *names]))
        columns = [self._column(setting, name) for setting in SETTINGS for name in names]
        found = self._column_scores(columns)
        by_metric = {
            name: pd.Series(
                {
                    subset: mean
                    for setting in SETTINGS
                    if (scores := found.get(self._column(setting, name).key)) is not None
                    for subset, mean in scores.by_subset.items()
                },
                dtype=float,
            )
            for name in names
        }
        return pd.DataFrame(by_metric, columns=names).rename_axis("subset")

    @cached_property
    def languages(self) -> pd.DataFrame:
        """How questions of each language are treated in the pool of all languages; the last row, ``all``, their mean.

        A column a figure of docs/language-bias.md, and behind them its coverage, the share of the questions that have
        it; NaN where less than 90 % do. Ranks and distances are numbers of passages.

        Raises:
            RankTableError: The pool of all languages was not evaluated.
        """
        parts = {language: query_bias(ranks, self.info.pool_sizes) for language, ranks in self._in_pool()}
        figures = pd.concat(list(parts.values()))
        ordered = [language for language in self.info.pool_sizes if language in parts]
        means = pd.DataFrame(mean_bias_by_language(figures, ordered)).T.rename_axis("questions in")
        coverage = [f"{name}_coverage" for name in LANGUAGE_FIGURES]
        return means[[*(name for name in means.columns if name not in coverage), *coverage]]

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every pair of languages, a row each, by ``questions`` and ``answers``.

        ``map``: mean average precision in the pool of the answers' language; ``one_target_map``: in the pool of all
        languages, where the answers in this language are the only ones; NaN where it does not follow from the ranks.
        """
        of_figure: dict[str, dict[tuple[str, ...], float]] = {MAP.name: {}, ONE_TARGET.name: {}}
        for _, table in self._by_question_language():
            for figure, scores in pair_scores(table, self.info).items():
                of_figure[figure] |= {tuple(Subset.parse(subset)): mean for subset, mean in scores.by_subset.items()}
        keys = list(dict.fromkeys(pair for means in of_figure.values() for pair in means))
        order = {language: place for place, language in enumerate(self.info.pool_sizes)}
        keys.sort(key=lambda pair: tuple(order.get(language, len(order)) for language in pair))
        index = pd.MultiIndex.from_tuples(keys, names=["questions", "answers"]) if keys else None
        columns = {figure: [means.get(pair) for pair in keys] for figure, means in of_figure.items()}
        return pd.DataFrame(columns, index=index, dtype=float)

    def worst_pairs(self, n: int = 5) -> pd.DataFrame:
        """Return the rows of ``pairs`` that are worst by one-target mAP; by mAP where the former is not known.

        Args:
            n: How many, at most.
        """
        by = self._pair_figure
        return self.pairs.dropna(subset=[by]).sort_values(by, kind="stable").head(n)

    @property
    def _pair_figure(self) -> str:
        return ONE_TARGET.name if self.pairs[ONE_TARGET.name].notna().any() else MAP.name

    # Plots

    def language_plot(self) -> Figure:
        """Draw the main score by question language: in its own pool, in those of others, and in that of all languages.

        Returns:
            A figure of matplotlib, as that of ``heat_map``.
        """
        from matplotlib.figure import Figure

        from beir_hybrid.plotting.heat_maps import plain_axis
        from beir_hybrid.plotting.lettering import lettering

        subsets = [Subset.parse(str(name)) for name in self.scores.index]
        scores = pd.DataFrame(
            {
                "language": [subset.questions for subset in subsets],
                "setting": [subset.setting for subset in subsets],
                "score": self.scores[self.metric].to_numpy(),
            }
        )
        means = scores.pivot_table("score", "language", "setting", sort=False)
        figure = Figure(figsize=(5.5, 1 + 0.28 * len(means)), layout="constrained")
        axis = figure.subplots()
        with lettering([self.title]) as legible:
            axis.set_title(legible(self.title), fontsize=9)
        for setting, marker in zip(SETTINGS, "osD", strict=True):
            if setting in means:
                axis.plot(means[setting], range(len(means)), marker, label=setting)
        axis.set_yticks(range(len(means)), means.index)
        axis.invert_yaxis()
        axis.set_xlim(0, 1)
        axis.set_xlabel(metric_of(self.metric).label)
        plain_axis(axis)
        axis.legend(fontsize=7, frameon=False)
        return figure

    def heat_map(self) -> Figure:
        """Draw mAP by language of the question and of its answers in the pool of all languages.

        Returns:
            A figure of matplotlib, which pyplot knows nothing of: a notebook shows it, ``figure.savefig`` writes it.

        Raises:
            RankTableError: The pool of all languages was not evaluated.
        """
        from beir_hybrid.plotting.heat_maps import draw_one_target_maps
        from beir_hybrid.plotting.lettering import lettering

        with lettering([self.title]) as legible:
            return draw_one_target_maps([(legible(self.title), self.one_target)])

    @cached_property
    def one_target(self) -> pd.DataFrame:
        """The matrix of the heat map: ``one_target_map`` by language of the question (rows) and answers (columns).

        Raises:
            RankTableError: The pool of all languages was not evaluated.
        """
        sizes = self.info.pool_sizes
        rows = pd.concat([one_target_map(ranks, sizes) for _, ranks in self._in_pool()])
        return rows[[language for language in sizes if language in rows.columns]]

    def _by_question_language(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield the rows of each question language, in the order of the corpus.

        A figure follows from the rows of its question: those of millions of rows are computed a language at a time.
        """
        asked = self.table["query_language"]
        for language in self.info.pool_sizes:
            table = self.table.filter(pc.equal(asked, language))
            if len(table):
                yield language, table

    def _in_pool(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the rows of each language whose questions were asked in the pool of all languages."""
        nothing = True
        for language, table in self._by_question_language():
            ranks = table.to_pandas()
            if rank_table.ranked_in_pool(ranks, self.info).all():
                nothing = False
                yield language, ranks
        if nothing:
            raise RankTableError(
                f"{shown(self.info.model)} on {shown(self.info.task)}: the pool of all languages was not evaluated, "
                "which figures of languages are about"
            )

    # Shown

    @property
    def title(self) -> str:
        """Model and task, on two lines."""
        return f"{shown(self.info.model)}\n{shown(self.info.task)}"

    def __repr__(self) -> str:
        """Show the table of ``summary`` as text."""
        return f"{self._caption}\n{self.summary.to_string(index=False)}"

    def _repr_html_(self) -> str:
        """Show the same table in a notebook."""
        return f"<p>{escape(self._caption)}</p>{self.summary.to_html(index=False, border=0)}"

    @property
    def _caption(self) -> str:
        return f"{shown(self.info.model)} on {shown(self.info.task)}, {metric_of(self.metric).label}"

    @property
    def summary(self) -> pd.DataFrame:
        """The three settings and some figures of languages in one row of texts, as it is shown."""
        metric = metric_of(self.metric)
        cells = {setting: _number(self.settings[setting], metric.decimals) for setting in SETTINGS}
        try:
            of_all = self.languages.loc[ALL_QUESTIONS]
        except RankTableError:
            of_all = pd.Series(dtype=float)
        for figure in _SHOWN_FIGURES:
            arrow = " ↓" if figure.higher_is_better is False else ""
            cells[figure.label + arrow] = _number(of_all.get(figure.name, float("nan")), figure.decimals)
        return pd.DataFrame([cells])

    # Computed

    def _column(self, setting: str, metric: str) -> Column:
        return Column.of(self.info.task, setting, metric, metric, self.info.task)

    def _column_scores(self, columns: list[Column]) -> dict[str, ColumnScores]:
        return column_scores(self.table, self.info, columns)


def _main_score_of(task: str) -> str:
    """Return the main score of a task of a registered corpus, ``map`` of any other."""
    known = [spec for spec in registry.specs() if spec.task is not None and spec.task.name == task]
    return known[0].metrics[0] if known and known[0].metrics else MAP.name


def _number(value: float, decimals: int) -> str:
    return "-" if pd.isna(value) else f"{value:z.{decimals}f}"
