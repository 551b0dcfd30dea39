"""The tables of a leaderboard: what stands in which cell. The formats (tables_*.py) write what is here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Board = Mapping[str, Any]
"""The leaderboard as board.py makes it and leaderboard.json holds it."""

SEEN = "◇"
"""Mark of a figure on data that the model saw in training."""

NOTHING = "-"
"""What stands in a cell without a figure."""


class Cell(NamedTuple):
    """A figure as it is shown.

    Attributes:
        text: The figure, with its spread over training seeds.
        best: Whether it is the best of its column.
        second: Whether it is the second best.
        marks: Marks behind it, e.g. of significant gains.
    """

    text: str = NOTHING
    best: bool = False
    second: bool = False
    marks: str = ""


class Section(NamedTuple):
    """Rows under one heading.

    Attributes:
        label: The heading; empty for none.
        rows: Label and cells of each row.
    """

    label: str
    rows: Sequence[tuple[str, Sequence[Cell]]]


class Table(NamedTuple):
    """A table.

    Attributes:
        title: Its heading.
        caption: What a reader has to know of it.
        corner: Heading of the column of labels.
        heads: Group and heading of the other columns; an empty group for none.
        sections: Its rows.
    """

    title: str
    caption: str
    corner: str
    heads: Sequence[tuple[str, str]]
    sections: Sequence[Section]


def rows_in_order(board: Board) -> Iterator[str]:
    """Yield the keys of all rows, group after group."""
    for group in board["groups"]:
        yield from group["rows"]


def one_line(text: str) -> str:
    """Return a text in one line of printable characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
