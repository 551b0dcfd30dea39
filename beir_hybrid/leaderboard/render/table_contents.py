"""The tables of a leaderboard: what stands in which cell. The formats (tables_*.py) write what is here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beir_hybrid.leaderboard.inputs.settings import NO_BASE
from beir_hybrid.leaderboard.render import board_views
from beir_hybrid.leaderboard.render.tables import NOTHING, SEEN, Board, Cell, Section, Table, rows_in_order
from beir_hybrid.metrics import MAP


def main_table(board: Board) -> Table:
    """Make the main table: models x columns, grouped by base encoder."""
    columns = board["columns"]
    heads = [
        (column["group"], column["label"] + (" ↓" if column["higher_is_better"] is False else "")) for column in columns
    ]
    cells = {
        key: [_main_cell(row["cells"].get(column["key"]), column["decimals"]) for column in columns]
        for key, row in board["rows"].items()
    }
    caption = f"{board['captions']['main']} {SEEN} The model saw this data set in training."
    return Table(board["title"], caption, "model", heads, _sections(board, cells))


def set_tables(board: Board) -> Iterator[Table]:
    """Make the tables of the single data sets of a group: models x data sets, one for each setting."""
    for table in board_views.set_tables(board):
        columns = [(column["key"], column["decimals"]) for column in table.columns]
        cells = {
            key: [_main_cell(board["rows"][key]["cells"].get(name), decimals) for name, decimals in columns]
            for key in table.rows
        }
        heads = [*(("", column["group"]) for column in table.columns[:-1]), ("", "mean")]
        caption = f"{table.columns[-1]['metric']} of each data set. Single data sets are not tested."
        yield Table(f"{table.group}, {table.setting}", caption, "model", heads, _sections(board, cells))


def language_tables(board: Board) -> Iterator[Table]:
    """Make the tables by question language: one for each task and setting."""
    labels = board_views.task_labels(board)
    for table in board_views.language_tables(board):
        best, second = table.best, table.second
        cells = {
            key: [
                Cell(_text(figures.get(language), table.decimals), key in best[language], key in second[language])
                for language in table.languages
            ]
            for key, figures in table.rows.items()
        }
        heads = [("", language) for language in table.languages]
        title = f"{labels[table.task]}, {table.setting}"
        yield Table(title, board["captions"]["languages"], "model", heads, _sections(board, cells))


def _text(value: float | None, decimals: int) -> str:
    return NOTHING if value is None else f"{value:.{decimals}f}"


def matrix_tables(board: Board) -> Iterator[Table]:
    """Make the matrices, question language x passage language, of each model and task."""
    labels = board_views.task_labels(board)
    for key in rows_in_order(board):
        for task, matrices in board["matrices"].get(key, {}).items():
            languages = matrices["languages"]
            rows = [
                (language, [Cell(_text(value, MAP.decimals)) for value in values])
                for language, values in zip(languages, matrices["map"], strict=True)
            ]
            title = f"{board['rows'][key]['label']}, {labels.get(task, task)}"
            heads = [("", language) for language in languages]
            yield Table(title, board["captions"]["matrices"], "questions in", heads, [Section("", rows)])


def _main_cell(cell: Mapping[str, Any] | None, decimals: int) -> Cell:
    if cell is None or cell["value"] is None:
        return Cell()
    text = f"{cell['value']:.{decimals}f}"
    if cell["spread"] is not None:
        text += f" ± {cell['spread']:.{decimals}f}"
    marks = "".join(cell["marks"]) + (SEEN if cell["seen_in_training"] else "")
    return Cell(text, cell["best"], cell["second"], marks)


def _sections(board: Board, cells: Mapping[str, Sequence[Cell]]) -> list[Section]:
    """Make a section of each group; rows without cells are left out, and the heading of rows without a base encoder."""
    sections = []
    for group in board["groups"]:
        rows = [(board["rows"][key]["label"], cells[key]) for key in group["rows"] if key in cells]
        if rows:
            sections.append(Section("" if group["label"] == NO_BASE else group["label"], rows))
    return sections
