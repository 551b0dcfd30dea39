"""The tests of a leaderboard as tables: places in a column, comparisons with the baselines, groups of languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from beir_hybrid.leaderboard.render.board_views import (
    comparisons_by_column,
    families_by_figure,
    measured_rows,
    rows_with_figures,
)
from beir_hybrid.leaderboard.render.tables import NOTHING, Board, Cell, Section, Table
from beir_hybrid.leaderboard.stats.cells import PLURALS

Entry = Mapping[str, Any]


def place_tables(board: Board) -> Iterator[Table]:
    """Make a table of each tested column: figures with intervals, ranks, and groups of two kinds."""
    heads = ["figure", f"{100 * board['confidence']:g} % interval", "rank", "not told apart", "equivalent", "units"]
    caption = (
        "Rank: a range of the places that the tests leave open. Models that share a letter of the column not told "
        "apart do not differ significantly, which is not to say that they are equal. Models that share a letter of the "
        "column equivalent are: they differ by less than the margin. All pairs of models are compared, corrected over "
        "the column."
    )
    for column in board["columns"]:
        cells = {key: board["rows"][key]["cells"].get(column["key"]) for key in measured_rows(board)}
        rows = [
            (board["rows"][key]["label"], [Cell(text) for text in _place(cell, column["decimals"])])
            for key, cell in cells.items()
            if cell is not None and cell["rank"] is not None
        ]
        if rows:
            title = f"{column['group']}, {column['label']}"
            yield Table(title, caption, "model", [("", head) for head in heads], [Section("", rows)])


def _place(cell: Entry, decimals: int) -> Iterator[str]:
    yield f"{cell['value']:.{decimals}f}"
    yield f"{cell['low']:.{decimals}f} to {cell['high']:.{decimals}f}"
    yield " to ".join(str(rank) for rank in dict.fromkeys(cell["rank"]))
    yield cell["tie_group"] or NOTHING
    yield cell["equivalence_group"] or NOTHING
    yield units(cell)


def comparison_tables(board: Board) -> Iterator[Table]:
    """Make a table of each column: what the main table tests against the baselines."""
    heads = ["against", "difference", f"{100 * board['confidence']:g} % interval", "p, corrected", "verdict"]
    heads += ["margin", "p of equivalence, corrected", "design effect", "units"]
    caption = (
        "Tests against the baselines, corrected over all of them. Design effect: the variance of the difference with "
        "whole articles as units over that with questions as units."
    )
    baselines = {baseline["row"] for baseline in board["baselines"]}
    columns = {column["key"]: column for column in board["columns"]}
    for key, comparisons in comparisons_by_column(board).items():
        column = columns[key]
        rows = [
            (board["rows"][one["row"]]["label"], [Cell(text) for text in _comparison(board, one, column["decimals"])])
            for one in comparisons
            if one["baseline"] in baselines
        ]
        if rows:
            title = f"{column['group']}, {column['label']}"
            yield Table(title, caption, "model", [("", head) for head in heads], [Section("", rows)])


def _comparison(board: Board, one: Entry, decimals: int) -> Iterator[str]:
    yield board["rows"][one["baseline"]]["label"]
    yield f"{one['difference']:+.{decimals}f}"
    yield f"{one['low']:+.{decimals}f} to {one['high']:+.{decimals}f}"
    yield _p_value(one["p_corrected"])
    yield one["verdict"]
    yield NOTHING if one["margin"] is None else f"{one['margin']:g}"
    yield _p_value(one["p_equivalence_corrected"])
    yield NOTHING if one["design_effect"] is None else f"{one['design_effect']:.1f}"
    yield units(one)


def family_tables(board: Board) -> Iterator[Table]:
    """Make a table of each task and figure of language pairs: models x groups of pairs."""
    for entries in families_by_figure(board):
        marks = [family_marks(board, entry) for entry in entries]
        rows = [
            (
                board["rows"][key]["label"],
                [_family_cell(entry, key, of_group) for entry, of_group in zip(entries, marks, strict=True)],
            )
            for key in measured_rows(board)
            if key in rows_with_figures(entries)
        ]
        heads = [(entry["group"], f"{entry['pairs']} pairs") for entry in entries]
        title = f"{entries[0]['title']}, {entries[0]['label']}"
        yield Table(title, board["captions"]["families"], "model", heads, [Section("", rows)])


def _family_cell(entry: Entry, key: str, marks: Mapping[str, str]) -> Cell:
    cell = entry["cells"].get(key)
    return Cell() if cell is None else Cell(f"{cell['value']:.{entry['decimals']}f}", marks=marks.get(key, ""))


def family_marks(board: Board, entry: Entry) -> dict[str, str]:
    """Return row -> marks of the baselines over which it gains significantly in a group of language pairs."""
    mark = {baseline["row"]: baseline["mark"] for baseline in board["baselines"]}
    found: dict[str, list[str]] = {}
    for one in entry["comparisons"]:
        if one["verdict"].startswith("better"):
            found.setdefault(one["row"], []).append(mark[one["baseline"]])
        elif one["verdict"].startswith("worse") and one["row"] in mark:  # two baselines are compared once
            found.setdefault(one["baseline"], []).append(mark[one["row"]])
    order = list(dict.fromkeys(mark.values()))
    return {row: "".join(sorted(marks, key=order.index)) for row, marks in found.items()}


def _p_value(value: float | None) -> str:
    if value is None:
        return NOTHING
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def units(entry: Entry) -> str:
    """Say what a figure or a comparison is over, e.g. ``48 articles (1,190 questions)``."""
    if entry["unit"] is None:
        return NOTHING
    counted = f"{entry['units']:,} {PLURALS[entry['unit']]}"
    return counted if entry["unit"] == "question" else f"{counted} ({entry['questions']:,} questions)"
