"""The leaderboard seen from the sides that the page and the plots show."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from beir_hybrid.leaderboard.render.tables import Board
from beir_hybrid.metrics import MAP, RANK_DISTANCE, STRONG_ALIGNMENT, best_and_second

Entry = Mapping[str, Any]
"""One of its columns, rows or comparisons."""

PLOTTED_BIAS = (RANK_DISTANCE.name, STRONG_ALIGNMENT.name)
"""The bias figures plotted against mAP. Language fairness is left out: it is rank distance on another scale."""


class LanguageMaps(NamedTuple):
    """The matrices of one task, question language (rows) x answer language (columns), of all models that have them.

    Attributes:
        task: Name of the task.
        languages: Row key -> its languages, in the order of the rows and columns.
        matrices: Row key -> its matrix; None where no question has such an answer.
        highest: The largest value of all, which ends the shared colour scale.
    """

    task: str
    languages: Mapping[str, list[str]]
    matrices: Mapping[str, list[list[float | None]]]
    highest: float


class LanguageTable(NamedTuple):
    """The figures of one task and setting by question language.

    Attributes:
        task: Name of the task.
        setting: Name of the setting.
        decimals: Decimals shown.
        languages: Question languages, in order.
        rows: Row key -> language -> figure.
        best: Language -> keys of the rows with the best figure.
        second: Language -> keys of the rows with the second best figure.
    """

    task: str
    setting: str
    decimals: int
    languages: Sequence[str]
    rows: Mapping[str, Mapping[str, float]]
    best: Mapping[str, Collection[str]]
    second: Mapping[str, Collection[str]]


class Differences(NamedTuple):
    """The comparisons of all rows with one baseline.

    Attributes:
        label: What the baseline is called.
        of_same_base: Whether each base encoder has a baseline of its own.
        rows: Keys of the rows that are compared, in the order of the tables.
        columns: Column key -> row key -> comparison; columns without any are left out.
    """

    label: str
    of_same_base: bool
    rows: Sequence[str]
    columns: Mapping[str, Mapping[str, Entry]]


class BiasPoints(NamedTuple):
    """One bias figure against multilingual mAP on one task.

    Attributes:
        bias: The bias column, on the y axis.
        quality: The column of multilingual mAP, on the x axis.
        points: Row key -> (mAP, bias figure).
    """

    bias: Entry
    quality: Entry
    points: Mapping[str, tuple[float, float]]


class SetTable(NamedTuple):
    """The figures of the single data sets of a group in one setting, by their main score.

    Attributes:
        group: Task of the mean over the data sets.
        setting: Name of the setting.
        columns: Their columns, in order; the last is that of the mean.
        rows: Keys of the rows that have a figure of one of them.
    """

    group: str
    setting: str
    columns: Sequence[Entry]
    rows: Sequence[str]


def overview(board: Board) -> Board:
    """Leave out the single data sets of which the mean is shown; ``set_tables`` has them."""
    single = {key for column in board["columns"] for key in column.get("mean_of", ())}
    if not single:
        return board
    columns = [column for column in board["columns"] if column["key"] not in single]
    tasks = {column["task"] for column in board["columns"]} - {column["task"] for column in columns}
    by_row = {
        part: {
            key: {task: entry for task, entry in by_task.items() if task not in tasks}
            for key, by_task in board[part].items()
        }
        for part in ("languages", "matrices")
    }
    return {**board, **by_row, "columns": columns}


def set_tables(board: Board) -> Iterator[SetTable]:
    """Yield the figures of the single data sets of each group, setting by setting."""
    columns = {column["key"]: column for column in board["columns"]}
    seen: set[tuple[str, str]] = set()
    for mean in columns.values():
        place = mean["task"], mean["setting"]
        if "mean_of" in mean and place not in seen:  # the first metric is the main score
            seen.add(place)
            of_sets = [columns[key] for key in mean["mean_of"]]
            rows = [
                key
                for key in measured_rows(board)
                if any(column["key"] in board["rows"][key]["cells"] for column in of_sets)
            ]
            yield SetTable(*place, [*of_sets, mean], rows)


def partly_covered(board: Board, column: str) -> bool:
    """Whether some model of a column has the figure for a part of the queries only."""
    cells = (row["cells"].get(column) for row in board["rows"].values())
    return any(cell is not None and cell["coverage"] not in (None, 1) for cell in cells)


def task_labels(board: Board) -> dict[str, str]:
    """Give each task the heading of its first columns, in the order of the columns."""
    labels: dict[str, str] = {}
    for column in board["columns"]:
        labels.setdefault(column["task"], column["group"])
    return labels


def column_groups(board: Board) -> dict[str, list[Entry]]:
    """Collect the columns under their headings."""
    headings = dict.fromkeys(column["group"] for column in board["columns"])
    return {heading: [column for column in board["columns"] if column["group"] == heading] for heading in headings}


def grouped_rows(board: Board, published: bool) -> dict[str, list[str]]:
    """Collect the keys of the measured or of the published rows under their base encoders."""
    groups = {
        group["label"]: [key for key in group["rows"] if board["rows"][key]["published"] is published]
        for group in board["groups"]
    }
    return {label: keys for label, keys in groups.items() if keys}


def measured_rows(board: Board) -> list[str]:
    """List the keys of the measured rows, in the order of the tables."""
    return [key for keys in grouped_rows(board, published=False).values() for key in keys]


def question_languages(board: Board) -> list[str]:
    """List the question languages of all tasks, sorted."""
    tasks = (task for row in board["languages"].values() for task in row.values())
    return sorted({language for languages in tasks for language in languages})


def language_tables(board: Board) -> Iterator[LanguageTable]:
    """Yield the figures by question language, tasks and settings in the order of the columns."""
    for task in task_labels(board):
        columns = [column for column in board["columns"] if column["task"] == task]
        better, decimals = columns[0]["higher_is_better"], columns[0]["decimals"]
        by_row = {key: board["languages"].get(key, {}).get(task, {}) for key in measured_rows(board)}
        for setting in dict.fromkeys(column["setting"] for column in columns):
            rows = {
                key: {language: figures[setting] for language, figures in by_language.items() if setting in figures}
                for key, by_language in by_row.items()
            }
            rows = {key: figures for key, figures in rows.items() if figures}
            languages = sorted({language for figures in rows.values() for language in figures})
            places = {
                language: best_and_second({key: rows[key].get(language) for key in rows}, better, decimals)
                for language in languages
            }
            best, second = ({language: both[place] for language, both in places.items()} for place in (0, 1))
            if rows:
                yield LanguageTable(task, setting, decimals, languages, rows, best, second)


def language_maps(board: Board, kind: Literal["one_target", "map"]) -> list[LanguageMaps]:
    """Collect one kind of matrix by task, tasks and models in the order of the tables.

    Args:
        board: The leaderboard.
        kind: One-target matrices, or mAP by language pair.
    """
    found = []
    for task in task_labels(board):
        entries = {key: board["matrices"].get(key, {}).get(task) for key in measured_rows(board)}
        matrices = {key: entry[kind] for key, entry in entries.items() if entry and _values(entry[kind])}
        if matrices:
            languages = {key: entries[key]["languages"] for key in matrices}
            highest = max(value for matrix in matrices.values() for value in _values(matrix))
            found.append(LanguageMaps(task, languages, matrices, highest))
    return found


def _values(matrix: Sequence[Sequence[float | None]] | None) -> list[float]:
    return [value for line in matrix or () for value in line if value is not None and not math.isnan(value)]


def families_by_figure(board: Board) -> list[list[Entry]]:
    """Collect the groups of language pairs by task and figure, in the order of the board."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in board["families"]:
        found.setdefault((entry["task"], entry["figure"]), []).append(entry)
    return list(found.values())


def rows_with_figures(entries: Collection[Entry]) -> set[str]:
    """Return the keys of the rows that have a figure in some group of language pairs."""
    return {key for entry in entries for key in entry["cells"]}


def comparisons_by_column(board: Board) -> dict[str, list[Entry]]:
    """Collect the comparisons of each column: those with the baselines first, else in the order of the board."""
    baselines = {one["row"] for one in board["baselines"]}
    columns: dict[str, list[Entry]] = {column["key"]: [] for column in board["columns"]}
    for comparison in sorted(board["comparisons"], key=lambda one: one["baseline"] not in baselines):
        columns[comparison["column"]].append(comparison)
    return columns


def differences(board: Board) -> list[Differences]:
    """Collect the comparisons with each baseline, in the order of the baselines."""
    comparisons = {(one["column"], one["row"], one["baseline"]): one for one in board["comparisons"]}
    found = []
    for label in dict.fromkeys(baseline["label"] for baseline in board["baselines"]):
        baselines = [one["row"] for one in board["baselines"] if one["label"] == label]
        # A baseline that was asked for by name is compared with every row and labelled as its own row is.
        of_same_base = label not in (board["rows"][key]["label"] for key in baselines)
        pairs = [
            (key, baseline)
            for key in measured_rows(board)
            for baseline in baselines
            if not of_same_base or board["rows"][key]["base"] == board["rows"][baseline]["base"]
        ]
        columns = {
            column["key"]: {
                key: comparisons[column["key"], key, baseline]
                for key, baseline in pairs
                if (column["key"], key, baseline) in comparisons
            }
            for column in board["columns"]
        }
        filled = {column: of_column for column, of_column in columns.items() if of_column}
        if filled:
            rows = [key for key in measured_rows(board) if any(key in of_column for of_column in filled.values())]
            found.append(Differences(label, of_same_base, rows, filled))
    return found


def reach(comparisons: Collection[Entry]) -> float:
    """Return how far the intervals of some comparisons reach from zero: half the length of a scale they share."""
    return max((abs(one[end]) for one in comparisons for end in ("low", "high")), default=0.0)


def bias_points(board: Board) -> dict[str, list[BiasPoints]]:
    """Collect the plotted bias figures with multilingual mAP by task; tasks and models without both are left out."""
    columns = {(column["task"], column["metric"], column["setting"]): column for column in board["columns"]}
    found: dict[str, list[BiasPoints]] = {}
    for task in task_labels(board):
        quality = columns.get((task, MAP.name, "multilingual"))
        for metric in PLOTTED_BIAS:
            bias = columns.get((task, metric, "multilingual"))
            if quality and bias:
                values = {
                    key: [board["rows"][key]["cells"].get(column["key"], {}).get("value") for column in (quality, bias)]
                    for key in measured_rows(board)
                }
                points = {key: (x, y) for key, (x, y) in values.items() if len(_values([[x, y]])) == 2}
                if points:
                    found.setdefault(task, []).append(BiasPoints(bias, quality, points))
    return found
