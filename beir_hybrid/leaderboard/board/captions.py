"""The words of a leaderboard: how its figures were tested, and what was not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.model_rows import Baseline
from beir_hybrid.leaderboard.inputs.settings import Settings
from beir_hybrid.scoring.bias import MIN_COVERAGE, coverage_text

_CORRECTIONS = {"holm": "Holm-corrected", "benjamini-hochberg": "Benjamini-Hochberg-corrected"}
_PLURALS = {"question": "questions", "article": "articles", "query": "queries"}

BoardRows = Mapping[str, Mapping[str, Any]]
"""Row key -> row of the board."""


def captions(
    settings: Settings, rows: BoardRows, columns: Sequence[Column], baselines: Sequence[Baseline], n_comparisons: int
) -> dict[str, str]:
    """Write the captions of the board.

    Args:
        settings: How it was tested.
        rows: Its measured rows.
        columns: Its columns.
        baselines: Its baselines.
        n_comparisons: Number of comparisons with a baseline, over which p values were corrected.
    """
    metrics = {column.task: (column.group, column.metric) for column in reversed(columns) if not column.is_bias}
    named = "; ".join(f"{group}: {metric}" for group, metric in reversed(metrics.values()))
    parts = [f"Metrics: {named}." if named else "", "Best value bold, second underlined."]
    if any(column.higher_is_better is False for column in columns):
        parts.append("↓ Lower is better.")
    if any(row["seeds"] > 1 for row in rows.values()):
        parts.append("± Standard deviation over training seeds.")
    if any(cell["reason"] for row in rows.values() for cell in row["cells"].values()):
        parts.append(f"A language-bias figure needs {100 * MIN_COVERAGE:g} % of the queries; else the cell is empty.")
    parts.append(_tests(settings, rows, columns, baselines, n_comparisons))
    return {
        "main": " ".join(part for part in parts if part),
        "languages": f"Means over the subsets of each question language ({named}). Not tested.",
        "matrices": "mAP of the questions in one language (rows) on passages in one language (columns). Not tested.",
    }


def _tests(
    settings: Settings, rows: BoardRows, columns: Sequence[Column], baselines: Sequence[Baseline], n_comparisons: int
) -> str:
    if not baselines:
        return "No baseline was named, so no gains are marked."
    if not n_comparisons:
        return "Nothing was tested against a baseline: that needs rank tables of both models."
    names = {baseline.mark: baseline for baseline in baselines}
    marks = ", ".join(
        f"{mark} than {baseline.label}{'' if baseline.base is None else ' of the same group'}"
        for mark, baseline in names.items()
    )
    return (
        f"Significantly better: {marks}. Two-sided paired randomization test ({settings.flips:,} sign flips) over "
        f"{_units(settings, rows, columns)}, {_CORRECTIONS[settings.correction]} over the {n_comparisons} comparisons "
        f"with baselines, alpha = {settings.alpha:g}."
    )


def _units(settings: Settings, rows: BoardRows, columns: Sequence[Column]) -> str:
    """Count what was paired, e.g. ``1,190 questions (XQuAD-R)``."""
    counts: dict[str, set[int]] = {}
    groups: dict[str, str] = {}
    for column in columns:
        cells = [row["cells"].get(column.key) for row in rows.values()]
        units = {cell["units"] for cell in cells if cell is not None and cell["units"] is not None}
        if units:
            groups.setdefault(column.task, column.group)
            counts.setdefault(column.task, set()).update(units)
    named = []
    for task, of_task in counts.items():
        span = " to ".join(f"{number:,}" for number in sorted({min(of_task), max(of_task)}))
        named.append(f"{span} ({groups[task]})")
    return f"{_PLURALS[settings.unit]}: {', '.join(named)}"


def coverage_notes(rows: BoardRows, columns: Sequence[Column]) -> list[str]:
    """Say which cells are empty because too few queries have the figure, and which figures are not of all queries."""
    notes = []
    for row in rows.values():
        found: dict[tuple[str, str, bool], list[str]] = {}
        for column in columns:
            cell = row["cells"].get(column.key)
            if cell is not None and cell["coverage"] is not None and cell["coverage"] < 1:
                text = coverage_text(cell["coverage"])
                found.setdefault((column.group, text, cell["value"] is None), []).append(column.label)
        for (group, text, empty), labels in found.items():
            figures = f"{row['label']} in {group} ({', '.join(labels)})"
            notes.append(f"Empty, unranked and untested: {figures}: {text}." if empty else f"Of {text}: {figures}.")
    return notes


def untested_notes(rows: BoardRows, columns: Sequence[Column]) -> list[str]:
    """Say which rows stand in the table without tests."""
    notes = []
    for row in rows.values():
        groups = dict.fromkeys(
            column.group
            for column in columns
            if (cell := row["cells"].get(column.key)) is not None and _has_no_test(cell)
        )
        if groups:
            notes.append(
                f"Without tests, because MTEB's result files hold means only: {row['label']} ({', '.join(groups)})."
            )
    return notes


def _has_no_test(cell: Mapping[str, Any]) -> bool:
    return cell["value"] is not None and not cell["tested"]


def published_notes(rows: BoardRows) -> list[str]:
    """Name the sources of the figures from the literature."""
    sources = dict.fromkeys(f"{row['source']['text']}, {row['source']['url']}" for row in rows.values())
    return [f"Published figures are cited, not measured here, and not tested: {'; '.join(sources)}."] if sources else []


def partial_note(label: str, column: Column, n_subsets: int, n_all: int) -> str:
    """Say that a figure was left out, because it is over fewer subsets than others in its column."""
    return f"Left out: {label} in {column.group} {column.label}, evaluated on {n_subsets} of {n_all} subsets."


def revision_notes(revisions: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Say of which tasks the results were made from different data.

    Args:
        revisions: Task -> revision of the data -> labels of rows.
    """
    notes = []
    for task, labels in revisions.items():
        if len(labels) > 1:
            listed = "; ".join(f"{revision[:12]} ({', '.join(names)})" for revision, names in labels.items())
            notes.append(f"{task}: results of different revisions of the data: {listed}.")
    return notes
