"""The command ``beir-hybrid quickstart``: train, evaluate and compare on data that need no download."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beir_hybrid.files import user_path

if TYPE_CHECKING:
    from beir_hybrid.leaderboard.render.tables import Table


def quickstart(
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("beir-hybrid-quickstart"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
) -> None:
    """Train heads with X-X, X-Y and hybrid batches on Atlas-R, evaluate them and write a leaderboard; no network."""
    # Before anything imports the hub's client, which reads it once.
    os.environ["HF_HUB_OFFLINE"] = "1"
    from beir_hybrid.leaderboard.render.table_contents import main_table
    from beir_hybrid.study.quickstart import quickstart as run

    outcome = run(user_path(out, "--out "), quiet)
    if not quiet:
        _print_table(main_table(outcome.board))
        print(f"{_times(outcome.seconds)}\nOpen {outcome.page.resolve()}")


def _print_table(table: Table) -> None:
    """Print a table and its caption, with bold and underlined figures where the terminal can show them."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    # Fits into 80 characters; the group of the columns is the title's data set.
    shown = RichTable(title=table.title, box=box.SIMPLE_HEAD, padding=0)
    shown.add_column(table.corner)
    for _, head in table.heads:
        shown.add_column(Text(head.replace(" ", "\n", 1)), justify="right")
    for label, cells in (row for section in table.sections for row in section.rows):
        styles = ("bold" if cell.best else "underline" if cell.second else "" for cell in cells)
        figures = (Text(cell.text, style) + Text(cell.marks) for cell, style in zip(cells, styles, strict=True))
        shown.add_row(Text(label), *figures)
    Console().print(shown, Text(f"{table.caption}\n"))


def _times(seconds: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} {number:.0f} s" for name, number in seconds.items())
    return f"{sum(seconds.values()):.0f} seconds: {parts}"
