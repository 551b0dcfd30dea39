"""The first screen of a report: the three settings and the figures of languages, with intervals and differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import pyarrow as pa

from beir_hybrid.errors import RankTableError
from beir_hybrid.interface.model_comparison import ModelComparison, compare
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, column_scores
from beir_hybrid.leaderboard.stats.cells import PLURALS
from beir_hybrid.leaderboard.stats.intervals import FigureInterval, average_interval
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES
from beir_hybrid.report.content import Difference, Figure, FigureRow
from beir_hybrid.subsets import SETTINGS


class FirstScreen(NamedTuple):
    """What stands on the first screen.

    Attributes:
        rows: The three settings, then the figures of languages.
        unit: What intervals and tests draw, such as ``articles``.
        units: How many there are.
        coverage: For each run, name of the figure of languages -> share of the questions that have it.
    """

    rows: list[FigureRow]
    unit: str
    units: int
    coverage: Sequence[Mapping[str, float]]


def first_screen(runs: Sequence[RankTable]) -> FirstScreen:
    """Compute the figures of one run, or of two and by how much they differ.

    The intervals are those of leaderboards, the differences those of ``beir_hybrid.compare``: units are articles, where
    the corpus has some.

    Args:
        runs: One or two, of the same data; the second is what the first is compared with.

    Raises:
        RankTableError: Two runs cannot be compared.
    """
    runs = [_lean(run) for run in runs]
    first = runs[0]
    asked = [("", setting, first.metric) for setting in SETTINGS]
    asked += [(metric.name, SETTINGS[-1], metric.name) for metric in BOARD_LANGUAGE_FIGURES]
    columns = [Column.of(first.info.task, setting, metric, "", "") for _, setting, metric in asked]
    scores = [column_scores(run.table, run.info, columns) for run in runs]
    comparison = compare(*runs) if len(runs) > 1 else None
    rows, drawn = [], []
    for column, (language_figure, setting, metric) in zip(columns, asked, strict=True):
        intervals = [_interval(of_run.get(column.key)) for of_run in scores]
        drawn += [interval for interval in intervals if interval is not None]
        figures = [_figure(of_run.get(column.key), it) for of_run, it in zip(scores, intervals, strict=True)]
        difference = None if comparison is None else _difference(comparison, setting, metric)
        rows.append(FigureRow("" if language_figure else setting, metric, figures, difference))
    unit, units = max(((one.unit, one.units) for one in drawn), key=lambda one: one[1], default=("question", 0))
    coverage = [
        {column.metric: of_run[column.key].coverage for column in columns[len(SETTINGS) :] if column.key in of_run}
        for of_run in scores
    ]
    return FirstScreen(rows, PLURALS[unit], units, coverage)


def _lean(run: RankTable) -> RankTable:
    """Leave out the languages of the top passages: what needs them is not shown, and takes half of the time."""
    place = run.table.column_names.index("top_languages")
    nothing = pa.nulls(len(run.table), run.table.schema.field(place).type)
    return replace(run, table=run.table.set_column(place, run.table.schema.field(place), nothing))


def _interval(scores: ColumnScores | None) -> FigureInterval | None:
    """Return the interval of a figure; None where there is no figure, or but one unit."""
    if scores is None or math.isnan(scores.average):
        return None
    try:
        return average_interval([scores])
    except RankTableError:
        return None


def _figure(scores: ColumnScores | None, interval: FigureInterval | None) -> Figure:
    value = None if scores is None else known(scores.average)
    return Figure(value) if interval is None else Figure(value, interval.low, interval.high)


def _difference(comparison: ModelComparison, setting: str, metric: str) -> Difference | None:
    if (setting, metric) not in comparison.frame.index:
        return None
    row = comparison.frame.loc[(setting, metric)]
    value, low, high, p = (known(row[name]) for name in ("difference", "low", "high", "p_corrected"))
    return Difference(value, low, high, p, "" if p is None else str(row["verdict"]))


def known(value: float) -> float | None:
    """Return a figure, and None for one that is not a number."""
    return None if math.isnan(value) else float(value)
