"""Is the difference between two models on one corpus real? The tests of the leaderboard, for two."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

import pandas as pd

from beir_hybrid.errors import BeirHybridError, RankTableError
from beir_hybrid.files import shown
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.comparisons import compare_rows
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, column_scores
from beir_hybrid.leaderboard.inputs.settings import Settings, Unit
from beir_hybrid.leaderboard.stats.cells import PLURALS
from beir_hybrid.leaderboard.stats.significance import Comparison, corrected
from beir_hybrid.leaderboard.stats.verdicts import Decision, Verdict, decision, shows_noninferiority, verdict
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES, MAP, metric_of
from beir_hybrid.subsets import SETTINGS

MARGINS = {MAP.name: 0.01}
"""Metric -> the difference that does not matter; metrics without one are not tested for equivalence."""

_MODEL, _BASELINE = "model", "baseline"


@dataclass(frozen=True)
class NonInferiority:
    """Whether a model was shown not to be worse in a setting by a margin.

    Attributes:
        difference: Figure of the model less that of the baseline.
        bound: How much worse the model may still be: the lower end of the interval of the difference.
        p: The larger one of two one-sided tests at the margin: the randomization test, and a t test that allows for
            skewness.
        shown: The bound is above minus the margin, and p at most half of alpha.
    """

    difference: float
    bound: float
    p: float
    shown: bool


@dataclass(frozen=True)
class Gate:
    """A non-inferiority test that is passed or not.

    Attributes:
        margin: The difference that does not matter.
        alpha: Twice the level of each test, as of a two-sided one.
        settings: Setting -> what was shown in it.
    """

    margin: float
    alpha: float
    settings: Mapping[str, NonInferiority]

    @property
    def passed(self) -> bool:
        """Whether it was shown in all settings.

        "In all" needs no correction: where it is false in any of them, that one's test alone rejects at its level
        (intersection-union test, Berger 1982, Multiparameter Hypothesis Testing and Acceptance Sampling).
        """
        return all(setting.shown for setting in self.settings.values())


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
            rows; ``margin`` and ``p_equivalence`` (corrected, too) where there is a margin; ``design_effect``;
            ``verdict``. Figures that less than 90 % of the questions have are NaN and not tested.
        comparisons: (setting, metric) -> all that was computed.
        metric: Name of the main score.
    """

    model: str
    baseline: str
    task: str
    unit: Unit
    units: int
    frame: pd.DataFrame
    comparisons: Mapping[tuple[str, str], Comparison]
    metric: str
    _settings: Settings
    _scores: Mapping[str, list[ColumnScores]]

    def gate(self, margin: float, settings: Iterable[str] | None = None) -> Gate:
        """Ask whether the model is not worse than the baseline by a margin: a decision, to act on.

        The main score has to be shown not to be worse in every setting. docs/ci.md says how, and how often that is
        wrong.

        Args:
            margin: The difference that does not matter, above 0, in the unit of the main score.
            settings: ``monolingual``, ``cross-lingual``, ``multilingual``; by default those that both have.

        Raises:
            BeirHybridError: The margin is not above 0, or a setting was not compared.

        Examples:
            >>> comparison = bh.compare(result, baseline)  # doctest: +SKIP
            >>> comparison.gate(0.01, ["multilingual"]).passed  # doctest: +SKIP
            True
        """
        if not 0 < margin < math.inf:
            raise BeirHybridError(f"a margin of {margin:g}: write a number above 0, such as 0.01")
        asked = list(self._scores) if settings is None else list(dict.fromkeys(settings))
        if not asked:
            raise BeirHybridError(f"no settings to ask about; there are {', '.join(self._scores)}")
        for setting in asked:
            if setting not in self._scores:
                raise BeirHybridError(
                    f"no setting {shown(setting)!r} was compared; there are {', '.join(self._scores)}"
                )
        alpha = self._settings.alpha
        changes = {"margins": {**self._settings.margins, self.metric: margin}, "confidence": 1 - alpha}
        options = self._settings.model_copy(update=changes)
        found = {}
        for setting in asked:
            comparison = self.comparisons[setting, self.metric]
            if options != self._settings:
                column = Column.of(self.task, setting, self.metric, "", "")
                comparison = _compared(options, column, self._scores[setting])
            p, p_t = comparison.p_noninferiority, comparison.p_noninferiority_t
            assert p is not None and p_t is not None
            passed = shows_noninferiority(comparison.low, p, p_t, margin, alpha)
            found[setting] = NonInferiority(comparison.difference, comparison.low, max(p, p_t), passed)
        return Gate(margin, alpha, found)

    def decisions(self, gate: Gate | None = None) -> dict[tuple[str, str], Decision | str]:
        """Return what each row of the frame comes to: ``better``, ``not worse``, ``worse`` or ``cannot tell``.

        Args:
            gate: Decides, where one was asked, between ``not worse`` and ``cannot tell``.
        """
        tests = {} if gate is None else {(key, self.metric): test.shown for key, test in gate.settings.items()}
        return {
            key: decision(said, tests.get(key)) if key in self.comparisons else said
            for key, said in self.frame["verdict"].items()
        }

    def __repr__(self) -> str:
        """Show ``summary`` as text."""
        return f"{self.caption}\n{self.summary.to_string()}"

    def _repr_html_(self) -> str:
        """Show the same table in a notebook."""
        return f"<p>{escape(self.caption)}</p>{self.summary.to_html(border=0)}"

    @property
    def caption(self) -> str:
        """What is compared with what, and over what."""
        models = f"{shown(self.model)} less {shown(self.baseline)}"
        units = f"{self.units} {PLURALS[self.unit]}"
        return f"{models} on {shown(self.task)}, {units}, p corrected over {len(self.comparisons)} tests"

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
            effect = "-" if math.isnan(row["design_effect"]) else f"{row['design_effect']:.1f}"
            label = f"{setting} {metric.label}" if not metric.about_languages else metric.label
            rows[label] = (value, baseline, difference, interval, p, effect, row["verdict"])
        columns = ["value", "baseline", "difference", "interval", "p", "design effect", "verdict"]
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

    Examples:
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
    if metric_of(result.metric).about_languages:
        raise RankTableError(f"{result.metric} is no score of a setting; choose one such as map or ndcg_at_10")
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
        result.metric,
        settings,
        {
            column.setting: [found[column.key] for found in scores]
            for column in tested
            if column.metric == result.metric
        },
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
    facts = ("low", "high", "p", "p_corrected", "margin", "p_equivalence", "design_effect")
    told = {name: getattr(comparison, name, None) for name in facts}
    told["p_equivalence"] = getattr(comparison, "p_equivalence_corrected", None)
    said = "not tested" if comparison is None else verdict(comparison, alpha, higher_is_better)
    numbers = {name: math.nan if value is None else value for name, value in told.items()}
    difference = averages[0] - averages[1] if comparison is None else comparison.difference
    return {"value": averages[0], _BASELINE: averages[1], "difference": difference, **numbers, "verdict": said}
