"""What a row of the leaderboard measures: its figures, by column, by question language and by language pair."""

from __future__ import annotations

import math
import reprlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from beir_hybrid.corpora.spec import BIAS_SUFFIX
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.families import in_family_order
from beir_hybrid.leaderboard.board.columns import Column, board_columns, language_columns
from beir_hybrid.leaderboard.board.data_set_means import in_set, joined, mean_languages, mean_matrices, with_means
from beir_hybrid.leaderboard.board.family_scores import PairFigures, one_target_of_pairs, pair_scores, stored_pairs
from beir_hybrid.leaderboard.board.model_rows import Row, Run
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, column_scores
from beir_hybrid.leaderboard.inputs.settings import Settings
from beir_hybrid.leaderboard.stats.intervals import FigureInterval, average_interval
from beir_hybrid.metrics import MAP, ONE_TARGET
from beir_hybrid.mteb.language_results import language_figure
from beir_hybrid.mteb.results import MAIN_SCORE, ResultSource
from beir_hybrid.ranks import rank_table
from beir_hybrid.scoring.bias import ALL_QUESTIONS, is_covered
from beir_hybrid.subsets import CROSS, MULTI, SETTINGS, Subset, pairs_of, setting_of

WHOLE_TASK = "all"
"""Setting of the columns of tasks that know no settings."""

_PAIR_METRIC = MAP.name
"""Metric of the matrices by language pair."""


@dataclass(frozen=True)
class ResultScores:
    """A figure from an MTEB result, which holds means only.

    Attributes:
        average: The figure; NaN where too few queries have it.
        by_subset: Subset -> its mean; empty for figures of language bias.
        subsets: The subsets that the figure is computed from.
        coverage: Share of the queries that have it; None where the result does not say.
    """

    average: float
    by_subset: Mapping[str, float]
    subsets: tuple[str, ...]
    coverage: float | None = None


@dataclass(frozen=True)
class Figure:
    """The figure of a row in a column.

    Attributes:
        values: One a training seed; none where too few queries have the figure.
        subsets: The subsets that all of them are computed from.
        coverage: Share of the queries that have it, the least of the seeds'; None where a result file does not say.
        scores: The scores that tests compare, one a seed; None where a result file holds means only, or too few
            queries have the figure.
        interval: Bootstrap interval of the mean, and over what it was drawn; None likewise.
    """

    values: tuple[float, ...]
    subsets: tuple[str, ...]
    coverage: float | None
    scores: tuple[ColumnScores, ...] | None = None
    interval: FigureInterval | None = None

    @property
    def mean(self) -> float | None:
        """The figure that is shown; None where too few queries have it."""
        return fmean(self.values) if self.values else None


@dataclass(frozen=True)
class Measures:
    """All that is measured of a row; averages over its training seeds.

    Attributes:
        figures: Key of the column -> figure.
        languages: Task -> question language -> setting -> mean over the subsets.
        matrices: Task -> ``languages``, ``map`` and ``one_target`` as in the board.
        pairs: Task -> figure of language pairs -> scores, one a seed; of tasks that all seeds have ranks of.
    """

    figures: Mapping[str, Figure]
    languages: Mapping[str, Mapping[str, Mapping[str, float]]]
    matrices: Mapping[str, Mapping[str, Any]]
    pairs: PairFigures


def columns_of(runs: Sequence[Run]) -> list[Column]:
    """Return the columns that some runs could fill: those of the leaderboard, then those of other tasks by name."""
    known = {column.task for column in board_columns()}
    tasks = {task for run in runs for task in (*run.ranks, *run.results, *run.scores)}
    others = sorted(task for task in tasks if task not in known and not _is_bias_of(task, known | tasks))
    return [*board_columns(), *(column for task in others for column in _further_columns(task, runs))]


def _is_bias_of(task: str, tasks: Iterable[str]) -> bool:
    return task.endswith(BIAS_SUFFIX) and task.removesuffix(BIAS_SUFFIX) in tasks


def _further_columns(task: str, runs: Sequence[Run]) -> Iterator[Column]:
    """Yield the columns of a task that the leaderboard does not know: like those of others, or one without settings."""
    tables = [run.ranks[task] for run in runs if task in run.ranks]
    results = [run.results[task] for run in runs if task in run.results]
    metrics = {table.metric for table in tables if table.metric is not None}
    if len(metrics) > 1:
        raise BeirHybridError(f"{task} is scored by {' and by '.join(sorted(metrics))}; it has one main score")
    if metrics or not all(result.by_setting for result in results):
        metric = metrics.pop() if metrics else MAIN_SCORE
        yield Column.of(task, WHOLE_TASK, metric, metric.replace("_", " "), task)
        return
    metric = MAP.name if tables else MAIN_SCORE  # as `evaluate` and `compare` score a corpus that says nothing else
    for setting in SETTINGS:
        yield Column.of(task, setting, metric, setting, task)
    if tables:
        yield from language_columns(task, task)


def measure(row: Row, columns: Sequence[Column], settings: Settings) -> Measures:
    """Compute everything that a row shows.

    Raises:
        RankTableError: Ranks are missing or cannot be scored.
        BeirHybridError: A column was evaluated for some seeds of the row only.
    """
    pair_columns = _pair_columns(columns)
    seeds = [_measure_run(run, [*columns, *pair_columns]) for run in row.runs]
    figures = {}
    for column in columns:
        of_seeds = [seed.scores[column.key] for seed in seeds if column.key in seed.scores]
        if 0 < len(of_seeds) < len(seeds):
            raise BeirHybridError(
                f"the row {row.entry.label!r}: {column.key} is there for {len(of_seeds)} of {len(seeds)} training "
                "seeds; evaluate all of them, or take some out of the row"
            )
        if of_seeds:
            figures[column.key] = _figure(of_seeds, settings)
    own = [column for column in columns if not column.mean_of]
    languages = with_means(_languages(seeds, own), columns, mean_languages)
    matrices = with_means(_matrices(seeds, [*own, *pair_columns]), columns, mean_matrices)
    return Measures(figures, languages, matrices, _pair_figures(seeds))


class _RunMeasures(NamedTuple):
    """The same of one run: key of the column -> scores, task -> one-target matrix, and task -> figures of pairs."""

    scores: Mapping[str, ColumnScores | ResultScores]
    one_target: Mapping[str, pd.DataFrame]
    pairs: Mapping[str, Mapping[str, ColumnScores]]


def _measure_run(run: Run, columns: Sequence[Column]) -> _RunMeasures:
    scores: dict[str, ColumnScores | ResultScores] = {}
    one_target, pairs = {}, {}
    for task, source in run.ranks.items():
        table = source.read()
        ranked = column_scores(table, source.info, map(_as_ranked, columns))
        scores.update(ranked)
        if source.metric is None:  # not of one language each, as predictions are
            pairs[task] = pair_scores(table, source.info, ranked)
            if ONE_TARGET.name in pairs[task] and rank_table.ranked_in_pool(table.to_pandas()).all():
                one_target[task] = one_target_of_pairs(pairs[task][ONE_TARGET.name])
    for task, stored in run.scores.items():
        scores.update({column.key: stored.columns[column.key] for column in columns if column.key in stored.columns})
        pairs[task] = stored_pairs(task, stored.columns)
        if ONE_TARGET.name in pairs[task]:
            one_target[task] = one_target_of_pairs(pairs[task][ONE_TARGET.name])
    for column in columns:
        if column.key not in scores and (result := _result_scores(run, column)) is not None:
            scores[column.key] = result
    scores |= {column.key: _mean_scores(column, scores, columns) for column in columns if _has_all(column, scores)}
    return _RunMeasures(scores, one_target, pairs)


def _has_all(column: Column, scores: Mapping[str, ColumnScores | ResultScores]) -> bool:
    """Whether a column is one of means, and all data sets have their figures."""
    return bool(column.mean_of) and all(key in scores for key in column.mean_of)


def _mean_scores(
    column: Column, scores: Mapping[str, ColumnScores | ResultScores], columns: Sequence[Column]
) -> ColumnScores | ResultScores:
    """Return the mean over the data sets of a group; that of all scores of queries where it can be tested."""
    of_sets = {other.task: scores[other.key] for other in columns if other.key in column.mean_of}
    ranked = {task: one for task, one in of_sets.items() if isinstance(one, ColumnScores)}
    together = joined(column, ranked) if len(ranked) == len(of_sets) else None
    if together is not None:
        return together
    known = [one.coverage for one in of_sets.values() if one.coverage is not None]
    subsets = sorted(in_set(task, subset) for task, one in of_sets.items() for subset in one.subsets)
    average = fmean(one.average for one in of_sets.values())
    return ResultScores(average, {}, tuple(subsets), min(known, default=None))


def _as_ranked(column: Column) -> Column:
    """Return a column as its rank table has it: there, a subset of a task without settings is a language."""
    return replace(column, setting="monolingual") if column.setting == WHOLE_TASK else column


def _result_scores(run: Run, column: Column) -> ResultScores | None:
    """Return the figure of a column from MTEB's results; None if they do not hold it, or not of every subset."""
    result, subsets = _result_subsets(run, column)
    if result is None or not subsets or _subset_without_score(result, subsets, column):
        return None
    if column.is_bias:
        coverage = _coverage(result, column)
        languages = sorted(subset for subset in result.scores if subset != ALL_QUESTIONS)
        average = language_figure(result, column.metric) if is_covered(coverage) else math.nan
        multilingual = tuple(str(Subset(language, MULTI)) for language in languages)
        return None if average is None else ResultScores(average, {}, multilingual, coverage)
    means = result.values(column.metric)
    if column.setting == WHOLE_TASK:  # a subset stands for a language
        by_subset = {str(Subset(subset, subset)): means[subset] for subset in subsets}
        return ResultScores(fmean(by_subset.values()), by_subset, tuple(sorted(by_subset)))
    languages = list(dict.fromkeys(subset.questions for subset in map(Subset.parse, result.scores)))
    names = sorted(str(pair) for subset in map(Subset.parse, subsets) for pair in pairs_of(subset, languages))
    by_subset = {subset: means[subset] for subset in subsets}
    return ResultScores(fmean(by_subset.values()), by_subset, tuple(names))


def _coverage(result: ResultSource, column: Column) -> float | None:
    """Return the share of the queries that have a figure of language bias; None in results of older versions."""
    return result.value(ALL_QUESTIONS, f"{column.metric}_coverage") if column.is_bias else None


def _result_subsets(run: Run, column: Column) -> tuple[ResultSource | None, list[str]]:
    """Return the result that a column would be computed from, and the subsets of it that it would be the mean of."""
    result = run.results.get(column.task + BIAS_SUFFIX if column.is_bias else column.task)
    if result is None:
        return None, []
    if column.metric != MAIN_SCORE and not any(column.metric in entry for entry in result.scores.values()):
        return result, []
    if column.is_bias:
        return result, [subset for subset in result.scores if subset == ALL_QUESTIONS]
    if column.setting == WHOLE_TASK:
        return result, list(result.scores)
    of_setting = result.by_setting
    return result, [subset for subset in result.scores if of_setting and setting_of(subset) == column.setting]


def _subset_without_score(result: ResultSource, subsets: Sequence[str], column: Column) -> str | None:
    """Return the first subset whose score is missing or not a number, though enough of its queries have it."""
    if column.is_bias and not is_covered(_coverage(result, column)):
        return None
    return next((subset for subset in subsets if result.value(subset, column.metric) is None), None)


def not_numbers(run: Run, columns: Sequence[Column]) -> list[str]:
    """Say which figures of a run's results are left out, because a score is missing or not a number."""
    notes = []
    for column in columns:
        result, subsets = _result_subsets(run, column)
        subset = None if result is None else _subset_without_score(result, subsets, column)
        if result is not None and subset is not None and column.task not in {**run.ranks, **run.scores}:
            value = reprlib.repr(result.scores[subset].get(column.metric))
            notes.append(
                f"Left out: {run.model} in {column.key}: {column.metric} of the subset {subset} in {result.file} is "
                f"{value}, not a number; evaluate it again."
            )
    return notes


def _figure(of_seeds: Sequence[ColumnScores | ResultScores], settings: Settings) -> Figure:
    subsets = tuple(sorted(set.intersection(*(set(scores.subsets) for scores in of_seeds))))
    known = [scores.coverage for scores in of_seeds if scores.coverage is not None]
    coverage = min(known) if known else None
    if not is_covered(coverage):
        return Figure((), subsets, coverage)
    values = tuple(scores.average for scores in of_seeds)
    ranked = [scores for scores in of_seeds if isinstance(scores, ColumnScores)]
    if len(ranked) < len(of_seeds):
        return Figure(values, subsets, coverage)
    interval = average_interval(
        ranked, settings.unit, resamples=settings.resamples, confidence=settings.confidence, seed=settings.seed
    )
    return Figure(values, subsets, coverage, tuple(ranked), interval)


def _pair_columns(columns: Sequence[Column]) -> list[Column]:
    """Return what the matrices need beside the columns that are shown: mAP by language pair."""
    known = {column.key for column in columns}
    tasks = dict.fromkeys(column.task for column in columns if column.setting != WHOLE_TASK and not column.mean_of)
    wanted = [Column.of(task, setting, _PAIR_METRIC, setting, task) for task in tasks for setting in SETTINGS[:2]]
    return [column for column in wanted if column.key not in known]


def _subset_means(seeds: Sequence[_RunMeasures], columns: Iterable[Column]) -> dict[Subset, float]:
    """Return the means of some columns by subset, averaged over the seeds, in the order of the names."""
    means: dict[str, list[float]] = defaultdict(list)
    known = [seed.scores[column.key] for seed in seeds for column in columns if column.key in seed.scores]
    for scores in known:
        for subset, mean in scores.by_subset.items():
            means[subset].append(mean)
    return {Subset.parse(subset): fmean(values) for subset, values in sorted(means.items())}


def _languages(seeds: Sequence[_RunMeasures], columns: Sequence[Column]) -> dict[str, dict[str, dict[str, float]]]:
    """Average the first metric of each task over the subsets of each question language and setting."""
    by_task: dict[str, list[Column]] = {}
    for column in columns:
        if column.setting != WHOLE_TASK and not column.is_bias:
            by_task.setdefault(column.task, []).append(column)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for task, of_task in by_task.items():
        means: dict[str, dict[str, list[float]]] = {}
        for subset, mean in _subset_means(seeds, [one for one in of_task if one.metric == of_task[0].metric]).items():
            means.setdefault(subset.questions, {}).setdefault(subset.setting, []).append(mean)
        if means:
            found[task] = {
                language: {setting: fmean(by_setting[setting]) for setting in SETTINGS if setting in by_setting}
                for language, by_setting in means.items()
            }
    return found


def _matrices(seeds: Sequence[_RunMeasures], columns: Sequence[Column]) -> dict[str, dict[str, Any]]:
    """Make the matrices of the tasks that have cross-lingual subsets."""
    found = {}
    pairs = [column for column in columns if column.metric == _PAIR_METRIC and column.setting in SETTINGS[:2]]
    for task in dict.fromkeys(column.task for column in pairs):
        means = _subset_means(seeds, [column for column in pairs if column.task == task])
        means = {subset: mean for subset, mean in means.items() if subset.pool != CROSS}
        if any(subset.setting == "cross-lingual" for subset in means):
            languages = in_family_order({language for subset in means for language in subset})
            found[task] = {
                "languages": languages,
                "map": [[means.get(Subset(x, y)) for y in languages] for x in languages],
                "one_target": _one_target([seed.one_target.get(task) for seed in seeds], languages),
            }
    return found


def _pair_figures(seeds: Sequence[_RunMeasures]) -> PairFigures:
    """Put the figures of language pairs together that all seeds have."""
    first, *others = (seed.pairs for seed in seeds)
    return {
        task: {
            figure: [scores, *(other[task][figure] for other in others)]
            for figure, scores in figures.items()
            if all(figure in other.get(task, {}) for other in others)
        }
        for task, figures in first.items()
    }


def _one_target(maps: Sequence[pd.DataFrame | None], languages: Sequence[str]) -> list[list[float]] | None:
    """Average the one-target matrices of the seeds; None if one of them has none."""
    known = [matrix.reindex(index=languages, columns=languages) for matrix in maps if matrix is not None]
    if len(known) < len(maps):
        return None
    return [[float(value) for value in line] for line in sum(known[1:], known[0]).to_numpy() / len(known)]
