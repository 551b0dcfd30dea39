"""The words of a leaderboard: how its figures were tested, and what was not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.model_rows import Baseline
from beir_hybrid.leaderboard.inputs.settings import Settings, Unit
from beir_hybrid.leaderboard.stats.cells import PLURALS
from beir_hybrid.metrics import find_metric
from beir_hybrid.scoring.bias import MIN_COVERAGE, coverage_text

_CORRECTIONS = {"holm": "Holm-corrected", "benjamini-hochberg": "Benjamini-Hochberg-corrected"}

FEW_UNITS = 30
"""Units below which captions say what so few of them do to a test."""

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
    groups = dict.fromkeys(column.task for column in columns if column.mean_of)
    if groups:
        parts.append(
            f"{', '.join(groups)}: plain mean over the data sets, empty for a model that lacks one of them; single "
            "data sets are not tested."
        )
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
        "families": _families(settings, baselines),
        "matrices": "mAP of the questions in one language (rows) on passages in one language (columns). Not tested.",
    }


def _families(settings: Settings, baselines: Sequence[Baseline]) -> str:
    """Say what the figures by group of language pairs are, and how they are tested."""
    what = (
        "Means over the pairs of question and passage language of a group: mAP in pools of one language, and "
        "one-target mAP in the pool of all languages, where the answers in one language are the only ones. Families "
        "are those of Glottolog."
    )
    if not baselines:
        return what
    return (
        f"{what} Marks stand for significant gains as in the main table, {_CORRECTIONS[settings.correction]} over all "
        "groups of a data set."
    )


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
    correction = _CORRECTIONS[settings.correction]
    tasks = _tested_tasks(rows, columns)
    parts = [
        f"Significantly better: {marks}. Two-sided paired randomization test of the figures shown ({settings.flips:,} "
        f"sign flips), {correction} over the {n_comparisons} comparisons with baselines, alpha = {settings.alpha:g}. "
        f"What is flipped: {', '.join(task.text for task in tasks)}.",
        _unknown_articles(settings, tasks),
        _few_units(tasks),
        _margins(settings, columns),
    ]
    return " ".join(part for part in parts if part)


class _TestedTask(NamedTuple):
    """What the tests of a task flip."""

    group: str
    unit: Unit
    units: tuple[int, ...]
    questions: tuple[int, ...]

    @property
    def text(self) -> str:
        """E.g. ``48 articles with 1,190 questions (XQuAD-R)``."""
        units = f"{_span(self.units)} {PLURALS[self.unit]}"
        return f"{units}{'' if self.unit == 'question' else f' with {_span(self.questions)} questions'} ({self.group})"


def _tested_tasks(rows: BoardRows, columns: Sequence[Column]) -> list[_TestedTask]:
    """Count what is flipped in each task, in the order of the columns."""
    groups: dict[str, str] = {}
    counts: dict[tuple[str, Unit], tuple[set[int], set[int]]] = {}
    for column in columns:
        for cell in (row["cells"].get(column.key) for row in rows.values()):
            if cell is not None and cell["unit"] is not None:
                groups.setdefault(column.task, column.group)
                units, questions = counts.setdefault((column.task, cell["unit"]), (set(), set()))
                units.add(cell["units"])
                questions.add(cell["questions"])
    return [
        _TestedTask(groups[task], unit, tuple(sorted(units)), tuple(sorted(questions)))
        for (task, unit), (units, questions) in counts.items()
    ]


def _span(numbers: Sequence[int]) -> str:
    """Write the least and the largest of some numbers."""
    return " to ".join(f"{number:,}" for number in dict.fromkeys((numbers[0], numbers[-1])))


def _unknown_articles(settings: Settings, tasks: Sequence[_TestedTask]) -> str:
    """Say where questions are units because nothing is known of articles."""
    groups = dict.fromkeys(task.group for task in tasks if task.unit != settings.unit)
    return f"Articles are not known, so that each question is a unit: {', '.join(groups)}." if groups else ""


def _few_units(tasks: Sequence[_TestedTask]) -> str:
    """Say what few units do to a test."""
    few = [task for task in tasks if task.units[0] < FEW_UNITS]
    if not few:
        return ""
    listed = ", ".join(f"{_span(task.units)} {PLURALS[task.unit]} ({task.group})" for task in few)
    return (
        f"Few units: {listed}. With fewer than {FEW_UNITS} a test is coarse: there are two to the power of their "
        "number ways to flip signs and no more, intervals tend to be too narrow, and only large differences are found."
    )


def _margins(settings: Settings, columns: Sequence[Column]) -> str:
    """Say which differences do not matter, and how equivalence is tested."""
    sizes = {column.metric: settings.margins[column.metric] for column in columns if column.metric in settings.margins}
    if not sizes:
        return ""
    listed = ", ".join(
        f"{size:g} {metric.label if (metric := find_metric(name)) else name}" for name, size in sizes.items()
    )
    return (
        f"Equivalent: within {listed}, by two one-sided tests over the same flips, {_CORRECTIONS[settings.correction]} "
        "over the comparisons with a margin. Models that cannot be told apart need not be equivalent."
    )


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
        cells = row["cells"]
        untested = [column for column in columns if _has_no_test(cells.get(column.key))]
        of_tested = [column for column in untested if _is_of_tested(column, cells)]
        for reason, of_reason in (
            ("MTEB's result files hold means only", [column for column in untested if column not in of_tested]),
            ("its data sets have different numbers of subsets", of_tested),
        ):
            groups = dict.fromkeys(column.group for column in of_reason)
            if groups:
                notes.append(f"Without tests, because {reason}: {row['label']} ({', '.join(groups)}).")
    return notes


def _is_of_tested(column: Column, cells: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a figure is the mean of figures that tests could compute again."""
    return bool(column.mean_of) and not any(_has_no_test(cells[key]) for key in column.mean_of)


def _has_no_test(cell: Mapping[str, Any] | None) -> bool:
    return cell is not None and cell["value"] is not None and not cell["tested"]


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
