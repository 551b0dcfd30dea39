"""The board: everything that a leaderboard shows, as one object that JSON can hold (board.schema.json).

It is the only input of the tables, the page and the plots, and is written as leaderboard.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import stdev
from typing import Any

from beir_hybrid.leaderboard.board.captions import (
    captions,
    coverage_notes,
    partial_note,
    published_notes,
    revision_notes,
    untested_notes,
)
from beir_hybrid.leaderboard.board.columns import Column, overview
from beir_hybrid.leaderboard.board.comparisons import (
    ColumnTests,
    against_baselines,
    compare_columns,
    entry_of,
    one_order,
)
from beir_hybrid.leaderboard.board.family_tables import family_tables
from beir_hybrid.leaderboard.board.measures import Figure, Measures, columns_of, measure, not_numbers
from beir_hybrid.leaderboard.board.model_rows import Baseline, Row, find_baselines
from beir_hybrid.leaderboard.inputs.published_figures import PublishedFigures
from beir_hybrid.leaderboard.inputs.settings import Settings, unique_key
from beir_hybrid.leaderboard.inputs.training_data import TrainingFacts
from beir_hybrid.leaderboard.stats.significance import is_significant
from beir_hybrid.metrics import best_and_second, in_favour
from beir_hybrid.scoring.bias import coverage_text

SCHEMA_VERSION = 3
PUBLISHED = "Published figures"
"""Heading of the rows that are cited, not measured."""

_DIGITS = 9
"""Significant digits kept: the last ones depend on the machine."""

_DECIMALS = 15
"""Decimals kept: differences of sums are no finer."""


def build_board(
    settings: Settings,
    rows: Sequence[Row],
    facts: TrainingFacts,
    published: Sequence[PublishedFigures] = (),
    progress: bool = False,
) -> dict[str, Any]:
    """Measure, compare and describe everything that a leaderboard shows.

    Args:
        settings: What is shown, and how it is tested.
        rows: The rows in their order.
        facts: What the models were trained on.
        published: Figures from the literature.
        progress: Show progress bars, if standard error is a terminal.

    Returns:
        The board; equal for equal arguments, to the last digit.

    Raises:
        BeirHybridError: Something cannot be measured or compared; the message says what.
    """
    baselines = find_baselines(settings, rows)
    measures, columns, notes = _measure(settings, rows, progress)
    figures = {
        column: {key: found.figures[column.key] for key, found in measures.items() if column.key in found.figures}
        for column in columns
    }
    shown = against_baselines(rows, baselines)
    main = overview(columns)
    tests = compare_columns(settings, {column: figures[column] for column in main}, shown, progress)
    titles = {column.task: column.group for column in reversed(main) if not column.is_bias and not column.mean_of}
    families = family_tables(
        settings,
        {key: found.pairs for key, found in measures.items()},
        shown,
        {task: titles[task] for task in dict.fromkeys(column.task for column in main) if task in titles},
    )
    board_rows = {row.key: _row(row, settings, figures, baselines, tests, facts) for row in rows}
    cited = _published_rows(published, columns, board_rows)
    board = {
        "schema_version": SCHEMA_VERSION,
        "title": settings.title,
        "alpha": settings.alpha,
        "confidence": settings.confidence,
        "unit": settings.unit,
        "correction": settings.correction,
        "flips": settings.flips,
        "seed": settings.seed,
        "margins": dict(settings.margins),
        "columns": [column.as_json() for column in columns],
        "baselines": [{"row": one.row, "label": one.label, "mark": one.mark} for one in baselines],
        "groups": _groups(rows, cited),
        "rows": {**board_rows, **cited},
        "comparisons": _comparisons(settings, tests),
        "families": families,
        "languages": {key: found.languages for key, found in measures.items()},
        "matrices": {key: found.matrices for key, found in measures.items()},
        "captions": captions(settings, board_rows, main, baselines, sum(len(one_order(test.shown)) for test in tests)),
        "notes": [
            *notes,
            *coverage_notes(board_rows, main),
            *untested_notes(board_rows, main),
            *published_notes(cited),
        ],
        "inputs": _inputs(rows),
    }
    return _rounded(board)


def _measure(
    settings: Settings, rows: Sequence[Row], progress: bool
) -> tuple[dict[str, Measures], list[Column], list[str]]:
    """Return what was measured of each row, the columns that have figures, and what a reader has to know."""
    from tqdm.auto import tqdm

    columns = columns_of([run for row in rows for run in row.runs])
    bar = tqdm(rows, desc="Measuring", unit=" models", disable=None if progress else True)
    measures = {row.key: measure(row, columns, settings) for row in bar}
    labels = {row.key: row.entry.label for row in rows}
    notes = revision_notes(_data_revisions(rows))
    notes += [note for row in rows for run in row.runs for note in not_numbers(run, columns)]
    for column in columns:
        figures = {key: found.figures[column.key] for key, found in measures.items() if column.key in found.figures}
        every = {subset for figure in figures.values() for subset in figure.subsets}
        for key, figure in figures.items():
            if len(figure.subsets) < len(every):
                measures[key] = _without(measures[key], column)
                notes.append(partial_note(labels[key], column, len(figure.subsets), len(every)))
    filled = [column for column in columns if any(column.key in found.figures for found in measures.values())]
    return measures, filled, notes


def _without(measures: Measures, column: Column) -> Measures:
    """Leave the figure of a column out, and those of its setting by question language."""
    figures = {key: figure for key, figure in measures.figures.items() if key != column.key}
    by_language = {
        language: {setting: value for setting, value in by_setting.items() if setting != column.setting}
        for language, by_setting in measures.languages.get(column.task, {}).items()
    }
    languages = measures.languages if column.is_bias else {**measures.languages, column.task: by_language}
    return replace(measures, figures=figures, languages=languages)


def _data_revisions(rows: Sequence[Row]) -> dict[str, dict[str, list[str]]]:
    """Collect the revisions of the data that figures were made from: task -> revision -> labels of rows.

    Judgments that a user names have no revision that results could share.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        for run in row.runs:
            revisions = {task: result.data_revision for task, result in run.results.items()}
            revisions |= {task: table.data_revision for task, table in run.ranks.items() if table.metric is None}
            revisions |= {task: stored.data_revision for task, stored in run.scores.items()}
            for task, revision in sorted(revisions.items()):
                labels = found.setdefault(task, {}).setdefault(revision, [])
                labels += [row.entry.label] if row.entry.label not in labels else []
    return found


def _comparisons(settings: Settings, tests: Sequence[ColumnTests]) -> list[dict[str, Any]]:
    """List all comparisons; p values of those with a baseline are corrected over the table, others over the column."""
    entries = []
    for test in tests:
        column = test.column
        with_baseline = {frozenset(pair) for pair in test.shown}
        others = {pair: comparison for pair, comparison in test.pairs.items() if frozenset(pair) not in with_baseline}
        for (row, baseline), comparison in {**test.shown, **others}.items():
            facts = entry_of(comparison, settings.alpha, column.higher_is_better)
            entries.append({"column": column.key, "row": row, "baseline": baseline, **facts})
    return entries


def _row(
    row: Row,
    settings: Settings,
    figures: Mapping[Column, Mapping[str, Figure]],
    baselines: Sequence[Baseline],
    tests: Sequence[ColumnTests],
    facts: TrainingFacts,
) -> dict[str, Any]:
    by_column = {test.column: test for test in tests}
    task_of = {column.key: column.task for column in figures}
    cells = {}
    for column, of_column in figures.items():
        if row.key in of_column:
            means = {key: figure.mean for key, figure in of_column.items()}
            best, second = best_and_second(means, column.higher_is_better, column.decimals)
            cells[column.key] = {
                **_value(of_column[row.key]),
                "best": row.key in best,
                "second": row.key in second,
                "seen_in_training": _seen(row, [task_of[key] for key in column.mean_of or [column.key]], facts),
                **_tested(row.key, settings, baselines, by_column.get(column)),
            }
    return {
        "label": row.entry.label,
        "models": list(dict.fromkeys(run.model for run in row.runs)),
        "revisions": [run.revision for run in row.runs],
        "base": row.entry.base,
        "batching": row.entry.batching,
        "seeds": len(row.runs),
        "published": False,
        "source": None,
        "cells": cells,
    }


def _value(figure: Figure) -> dict[str, Any]:
    interval = figure.interval
    return {
        "value": figure.mean,
        "spread": stdev(figure.values) if len(figure.values) > 1 else None,
        "low": interval and interval.low,
        "high": interval and interval.high,
        "tested": interval is not None,
        "unit": interval and interval.unit,
        "units": interval and interval.units,
        "questions": interval and interval.questions,
        "coverage": figure.coverage,
        "reason": coverage_text(figure.coverage) if figure.coverage is not None and not figure.values else None,
    }


def _tested(key: str, settings: Settings, baselines: Sequence[Baseline], tests: ColumnTests | None) -> dict[str, Any]:
    """Return what the tests of a column say of a row: marks of significant gains, and the ranks it may have."""
    if tests is None or key not in tests.ranks:
        return {"marks": [], "rank": None, "tie_group": None, "equivalence_group": None}
    marks = []
    for baseline in baselines:
        comparison = tests.shown.get((key, baseline.row))
        if comparison is not None and is_significant(comparison, settings.alpha):
            gained = in_favour(comparison.difference, tests.column.higher_is_better)
            marks += [baseline.mark] if gained else []
    place = tests.ranks[key]
    return {
        "marks": marks,
        "rank": [place.best, place.worst],
        "tie_group": place.groups,
        "equivalence_group": tests.equivalent[key] or None,
    }


def _seen(row: Row, tasks: Sequence[str], facts: TrainingFacts) -> bool | None:
    """Say whether a row saw one of the data sets of a figure in training; None if nobody knows."""
    if row.entry.seen is not None:
        return not row.entry.seen.isdisjoint(tasks)
    seen = {facts.seen(run.model, run.revision, task) for run in row.runs for task in tasks}
    return True if True in seen else None if None in seen else False


def _published_rows(
    published: Iterable[PublishedFigures], columns: Sequence[Column], taken: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Make rows of the figures from the literature that the columns hold."""
    rows: dict[str, dict[str, Any]] = {}
    for figures in published:
        values = {column.key: figures.values[column.key] for column in columns if column.key in figures.values}
        if values:
            key = unique_key(f"published-{figures.label}", {*taken, *rows})
            rows[key] = {
                "label": figures.label,
                "models": [],
                "revisions": [],
                "base": figures.base or PUBLISHED,
                "batching": figures.batching,
                "seeds": 1,
                "published": True,
                "source": {"text": figures.source, "url": figures.url},
                "cells": {column: _cited(value) for column, value in values.items()},
            }
    return rows


def _cited(value: float) -> dict[str, Any]:
    unknown = "spread low high seen_in_training unit units questions rank tie_group equivalence_group coverage reason"
    nothing = dict.fromkeys(unknown.split())
    return {"value": value, "best": False, "second": False, "marks": [], "tested": False, **nothing}


def _groups(rows: Sequence[Row], cited: Iterable[str]) -> list[dict[str, Any]]:
    """Group the rows by base encoder, in the order in which each first occurs; cited rows come last."""
    by_base: dict[str, list[str]] = {}
    for row in rows:
        by_base.setdefault(row.entry.base, []).append(row.key)
    groups = [{"label": base, "rows": keys} for base, keys in by_base.items()]
    published = list(cited)
    return [*groups, {"label": PUBLISHED, "rows": published}] if published else groups


def _inputs(rows: Sequence[Row]) -> list[dict[str, str]]:
    found: dict[str, str] = {}
    for run in (run for row in rows for run in row.runs):
        for table in run.ranks.values():
            found[f"{'ranks' if table.metric is None else 'predictions'}/{table.file}"] = table.sha256
        found.update({f"ranks/{stored.file}": stored.sha256 for stored in run.scores.values()})
        found.update({f"results/{result.file}": result.sha256 for result in run.results.values()})
    return [{"file": file, "sha256": digest} for file, digest in sorted(found.items())]


def _rounded(value: Any) -> Any:
    """Round all floats, and replace those that JSON cannot hold: an effect size can be infinite."""
    if isinstance(value, float):
        return round(float(f"{value:.{_DIGITS}g}"), _DECIMALS) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return value
