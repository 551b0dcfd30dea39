"""A table of a leaderboard for a terminal."""

from __future__ import annotations

from beir_hybrid.leaderboard.render.tables import Table


def print_table(table: Table) -> None:
    """Print a table and its caption, with bold and underlined figures where the terminal can show them.

    The groups of the columns are left out, so that the columns of one data set fit into 80 characters.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(title=table.title, box=box.SIMPLE_HEAD, padding=0)
    shown.add_column(table.corner)
    for _, head in table.heads:
        shown.add_column(Text(head.replace(" ", "\n", 1)), justify="right")
    for label, cells in (row for section in table.sections for row in section.rows):
        styles = ("bold" if cell.best else "underline" if cell.second else "" for cell in cells)
        figures = (Text(cell.text, style) + Text(cell.marks) for cell, style in zip(cells, styles, strict=True))
        shown.add_row(Text(label), *figures)
    Console().print(shown, Text(f"{table.caption}\n"))
