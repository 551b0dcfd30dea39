"""What a table of the leaderboard is, before any format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Board = Mapping[str, Any]
"""The leaderboard as board.py makes it and leaderboard.json holds it."""

SEEN = "◇"
"""Mark of a figure on data that the model saw in training."""

NOTHING = "-"
"""What stands in a cell without a figure."""


@dataclass(frozen=True)
class Cell:
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


@dataclass(frozen=True)
class Section:
    """Rows under one heading.

    Attributes:
        label: The heading; empty for none.
        rows: Label and cells of each row.
    """

    label: str
    rows: Sequence[tuple[str, Sequence[Cell]]]


@dataclass(frozen=True)
class Table:
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


def best_and_second(
    values: Mapping[str, float | None], higher_is_better: bool, decimals: int
) -> tuple[frozenset[str], frozenset[str]]:
    """Find the best and the second best of some figures, as they are shown: equal to the last decimal is equal.

    Returns:
        The keys of the best and of the second best; none where there is nothing to compare.
    """
    shown = {key: round(value, decimals) for key, value in values.items() if value is not None}
    if len(shown) < 2:
        return frozenset(), frozenset()
    first, second = [*sorted(set(shown.values()), reverse=higher_is_better), None][:2]
    return _equal_to(first, shown), _equal_to(second, shown)


def _equal_to(wanted: float | None, shown: Mapping[str, float]) -> frozenset[str]:
    return frozenset(key for key, value in shown.items() if value == wanted)


def rows_in_order(board: Board) -> Iterator[str]:
    """Yield the keys of all rows, group after group."""
    for group in board["groups"]:
        yield from group["rows"]


def one_line(text: str) -> str:
    """Return a text in one line of printable characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
