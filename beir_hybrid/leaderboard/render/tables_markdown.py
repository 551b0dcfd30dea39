"""The tables of a leaderboard in Markdown, as GitHub shows it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from beir_hybrid.leaderboard.render.board_views import overview
from beir_hybrid.leaderboard.render.comparison_tables import comparison_tables, family_tables, place_tables
from beir_hybrid.leaderboard.render.table_contents import language_tables, main_table, matrix_tables, set_tables
from beir_hybrid.leaderboard.render.tables import Board, Cell, Table, one_line

_SPECIAL = re.compile(r"([\\`*_\[\]|~$#^!])")
_LINKED = re.compile(r"(@|:(?=//)|www(?=\.))", re.IGNORECASE)
"""Where GitHub would begin a link by itself: to a user, an address of mail, or a page."""

_UNLINKED = "&#8203;"
"""A space without width, which is not there for a reader but ends what GitHub would link."""


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is, in a table cell, too, and links nothing in it."""
    shown = _SPECIAL.sub(r"\\\1", html.escape(one_line(text), quote=False))
    return _LINKED.sub(rf"\1{_UNLINKED}", shown)


def markdown(board: Board) -> str:
    """Return all tables of a board in one document."""
    of_sets = list(set_tables(board))
    board = overview(board)
    main = main_table(board)
    parts = [f"# {escape(main.title)}", _table(main), escape(main.caption)]
    parts += [_notes(board)] if board["notes"] else []
    for heading, tables in (
        ("Single data sets", of_sets),
        ("Tests against the baselines", list(comparison_tables(board))),
        ("Places and groups", list(place_tables(board))),
        ("Language families and scripts", list(family_tables(board))),
    ):
        if tables:
            parts += [f"## {heading}", escape(tables[0].caption)]
            parts += [_folded(table) for table in tables]
    by_language = list(language_tables(board))
    if by_language:
        parts += ["## By question language", escape(by_language[0].caption)]
        for table in by_language:
            parts += [f"### {escape(table.title)}", _table(table)]
    matrices = list(matrix_tables(board))
    if matrices:
        parts += ["## Question language x passage language", escape(matrices[0].caption)]
        parts += [_folded(table) for table in matrices]
    return "\n\n".join(parts) + "\n"


def _notes(board: Mapping[str, Any]) -> str:
    return "\n".join(f"- {escape(note)}" for note in board["notes"])


def _folded(table: Table) -> str:
    # An empty line ends the HTML and begins the Markdown.
    return f"<details><summary>{escape(table.title)}</summary>\n\n{_table(table)}\n\n</details>"


def _table(table: Table) -> str:
    import tabulate

    heads = ["<br>".join(escape(part) for part in head if part) for head in table.heads]
    lines: list[list[str]] = []
    for section in table.sections:
        if section.label:
            lines.append([f"*{escape(section.label)}*", *[""] * len(heads)])
        lines += [[escape(label), *map(_cell, cells)] for label, cells in section.rows]
    align = ("left", *["right"] * len(heads))
    wide = tabulate.WIDE_CHARS_MODE
    # Else the padding would depend on whether the package wcwidth is installed.
    tabulate.WIDE_CHARS_MODE = False
    try:
        return tabulate.tabulate(
            lines, [escape(table.corner), *heads], tablefmt="pipe", disable_numparse=True, colalign=align
        )
    finally:
        tabulate.WIDE_CHARS_MODE = wide


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.best:
        text = f"**{text}**"
    elif cell.second:
        text = f"<u>{text}</u>"
    return text + escape(cell.marks)
