"""Is the difference between two models on one corpus real? The tests of the leaderboard, for two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import pandas as pd

from beir_hybrid.errors import RankTableError
from beir_hybrid.files import shown
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.comparisons import compare_rows
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, column_scores
from beir_hybrid.leaderboard.inputs.settings import Settings, Unit
from beir_hybrid.leaderboard.stats.significance import Comparison, corrected
from beir_hybrid.leaderboard.stats.verdicts import Verdict, verdict
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES, MAP, metric_of
from beir_hybrid.subsets import SETTINGS

MARGINS = {MAP.name: 0.01}
"""Metric -> the difference that does not matter; metrics without one are not tested for equivalence."""

_MODEL, _BASELINE = "model", "baseline"


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison:
    """A model compared with a baseline.

    Attributes:
        model: Name of the model.
        baseline: Name of the baseline.
        task: The task.
        unit: What is independent of one another and was flipped and drawn: articles, or questions where no articles
            are known.
        units: How many there are.
        frame: A row a figure, by setting and metric: ``value``, ``baseline``, ``difference``; ``low`` and ``high``, the
            ends of its bootstrap interval; ``p`` of the paired randomization test; ``p_corrected`` by Holm over all
            rows; ``margin`` and ``p_equivalence`` (corrected, too) where there is a margin; ``verdict``. Figures that
            less than 90 % of the questions have are NaN and not tested.
        comparisons: (setting, metric) -> all that was computed.
    """

    model: str
    baseline: str
    task: str
    unit: str
    units: int
    frame: pd.DataFrame
    comparisons: Mapping[tuple[str, str], Comparison]

    def __repr__(self) -> str:
        """Show ``summary`` as text."""
        return f"{self._caption}\n{self.summary.to_string()}"

    def _repr_html_(self) -> str:
        """Show the same table in a notebook."""
        return f"<p>{escape(self._caption)}</p>{self.summary.to_html(border=0)}"

    @property
    def _caption(self) -> str:
        models = f"{shown(self.model)} less {shown(self.baseline)}"
        return (
            f"{models} on {shown(self.task)}, {self.units} {self.unit}s, p corrected over {len(self.comparisons)} tests"
        )

    @property
    def summary(self) -> pd.DataFrame:
        """The frame as it is shown, in texts."""
        rows = {}
        for (setting, name), row in self.frame.iterrows():
            metric = metric_of(name)
            value, baseline, difference, low, high = (
                "-"
                if math.isnan(row[key])
                else f"{row[key]:{'' if key in (_BASELINE, 'value') else '+'}.{metric.decimals}f}"
                for key in ("value", _BASELINE, "difference", "low", "high")
            )
            interval = f"{low} to {high}" if low != "-" else "-"
            p = "-" if math.isnan(row["p_corrected"]) else f"{row['p_corrected']:.2g}"
            label = f"{setting} {metric.label}" if not metric.about_languages else metric.label
            rows[label] = (value, baseline, difference, interval, p, row["verdict"])
        columns = ["value", "baseline", "difference", "interval", "p", "verdict"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def compare(
    result: RankTable,
    baseline: RankTable,
    *,
    unit: Unit = "article",
    alpha: float = 0.05,
    margins: Mapping[str, float] = MARGINS,
    common_questions: bool = False,
    seed: int = 0,
) -> ModelComparison:
    """Compare a model with a baseline on the same corpus: the settings' main score, and the figures of languages.

    Paired randomization tests over whole articles with 100,000 sign flips, bootstrap intervals of 95 % with 10,000
    resamples, Holm's correction over all figures compared, and tests of equivalence: see docs/significance.md.

    Args:
        result: The model: what ``evaluate`` returned, or ``RankTable.load``.
        baseline: The same of the baseline.
        unit: What is independent of one another: ``article``, ``question`` or ``query``.
        alpha: Level of significance of the verdicts.
        margins: Metric -> the difference that does not matter, in its unit.
        common_questions: Compare on the questions that both were evaluated on, where these are not the same.
        seed: Of all that is random; the same seed gives the same result.

    Returns:
        The comparison; a notebook shows it as a table.

    Raises:
        RankTableError: The two were not evaluated on the same data, or have nothing in common.
        BeirHybridError: Nothing could be tested with an option.

    Example:
        >>> import beir_hybrid as bh
        >>> def letters(texts):
        ...     return [[text.lower().count(letter) + 0.1 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        >>> corpus = bh.load("atlas-r", languages=["en", "de"])
        >>> result = bh.evaluate(letters, corpus, progress=False)
        >>> vowels = bh.evaluate(lambda texts: [row[:5] for row in letters(texts)], corpus, progress=False)
        >>> bh.compare(result, vowels).frame["verdict"].iloc[0]
        'better'
    """
    settings = Settings(unit=unit, alpha=alpha, margins=dict(margins), common_questions=common_questions, seed=seed)
    for table in (result, baseline):
        if not isinstance(table, RankTable):
            raise RankTableError(
                f"a {type(table).__name__} cannot be compared: give what evaluate or RankTable.load returned"
            )
    names = _names(result, baseline)
    if result.info.task != baseline.info.task:
        raise RankTableError(
            f"{names[0]} and {names[1]} cannot be compared: the ranks are of {shown(result.info.task)} and of "
            f"{shown(baseline.info.task)}; evaluate both on the same corpus"
        )
    columns = [Column.of(result.info.task, setting, result.metric, "", "") for setting in SETTINGS]
    columns += [Column.of(result.info.task, SETTINGS[-1], metric.name, "", "") for metric in BOARD_LANGUAGE_FIGURES]
    scores = [column_scores(table.table, table.info, columns) for table in (result, baseline)]
    shared = [column for column in columns if all(column.key in found for found in scores)]
    shared = [column for column in shared if any(found[column.key].coverage > 0 for found in scores)]
    if not shared:
        raise RankTableError(f"{names[0]} and {names[1]} were evaluated on no subsets of the same setting")
    tested = {
        column: _compared(settings, column, [found[column.key] for found in scores])
        for column in shared
        if not any(math.isnan(found[column.key].average) for found in scores)
    }
    comparisons = dict(zip(tested, corrected(list(tested.values()), settings.correction), strict=True))
    index = pd.MultiIndex.from_tuples([(one.setting, one.metric) for one in shared], names=["setting", "metric"])
    rows = [
        _row([found[column.key].average for found in scores], comparisons.get(column), alpha, column.higher_is_better)
        for column in shared
    ]
    first = next(iter(comparisons.values()), None)
    return ModelComparison(
        *names,
        result.info.task,
        first.unit if first else unit,
        first.units if first else 0,
        pd.DataFrame(rows, index=index),
        {(column.setting, column.metric): comparison for column, comparison in comparisons.items()},
    )


def _names(result: RankTable, baseline: RankTable) -> tuple[str, str]:
    """Name the two, with their revisions where their names are the same."""
    names = result.info.model, baseline.info.model
    if names[0] != names[1]:
        return names
    return tuple(f"{one.info.model} ({one.info.model_revision})" for one in (result, baseline))  # type: ignore[return-value]


def _compared(settings: Settings, column: Column, scores: list[ColumnScores]) -> Comparison:
    by_name = {_MODEL: (scores[0],), _BASELINE: (scores[1],)}
    [comparison] = compare_rows(settings, by_name, [(_MODEL, _BASELINE)], column.metric, column.higher_is_better)
    return comparison


def _row(
    averages: list[float], comparison: Comparison | None, alpha: float, higher_is_better: bool | None
) -> dict[str, float | Verdict | str]:
    facts = ("low", "high", "p", "p_corrected", "margin", "p_equivalence")
    told = {name: getattr(comparison, name, None) for name in facts}
    told["p_equivalence"] = getattr(comparison, "p_equivalence_corrected", None)
    said = "not tested" if comparison is None else verdict(comparison, alpha, higher_is_better)
    numbers = {name: math.nan if value is None else value for name, value in told.items()}
    difference = averages[0] - averages[1] if comparison is None else comparison.difference
    return {"value": averages[0], _BASELINE: averages[1], "difference": difference, **numbers, "verdict": said}
