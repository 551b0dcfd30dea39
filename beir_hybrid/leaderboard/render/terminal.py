"""A table of a leaderboard for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from beir_hybrid.leaderboard.render.tables import Cell, Table


def print_table(table: Table) -> None:
    """Print a table and its caption, with bold and underlined figures where the terminal can show them.

    The groups of the columns are left out, so that the columns of one data set fit into 80 characters; those for which
    there is no room are counted below.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console()
    rows = [row for section in table.sections for row in section.rows]
    heads = [head.replace(" ", "\n", 1) for _, head in table.heads]
    number = _fitting(console.width, [label for label, _ in rows], heads, [cells for _, cells in rows])
    shown = RichTable(title=table.title, box=box.SIMPLE_HEAD, padding=0)
    shown.add_column(table.corner)
    for head in heads[:number]:
        shown.add_column(Text(head), justify="right")
    for label, cells in rows:
        styles = ("bold" if cell.best else "underline" if cell.second else "" for cell in cells[:number])
        figures = (
            Text(cell.text, style) + Text(cell.marks) for cell, style in zip(cells[:number], styles, strict=True)
        )
        shown.add_row(Text(label), *figures)
    console.print(shown)
    if number < len(heads):
        console.print(Text(f"{len(heads) - number} more columns are in the files."))
    console.print(Text(f"{table.caption}\n"))


def _fitting(width: int, labels: Sequence[str], heads: Sequence[str], cells: Sequence[Sequence[Cell]]) -> int:
    """Return how many columns fit into a number of characters; one at least."""
    room = width - 2 - max(map(len, labels), default=0)
    for number, head in enumerate(heads):
        longest = max(len(row[number].text) + len(row[number].marks) for row in cells) if cells else 0
        room -= 1 + max(longest, *map(len, head.split("\n")))
        if room < 0:
            return max(number, 1)
    return len(heads)
