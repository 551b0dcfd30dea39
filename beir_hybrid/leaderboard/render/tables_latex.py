"""The tables of a leaderboard in LaTeX: a document that compiles, whose tables can be copied into another.

Everything is pdfLaTeX's; labels in scripts that its fonts lack need XeLaTeX or LuaLaTeX.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from beir_hybrid.leaderboard.render.board_views import overview
from beir_hybrid.leaderboard.render.table_contents import language_tables, main_table, set_tables
from beir_hybrid.leaderboard.render.tables import Board, Cell, Table, one_line

_PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[a4paper,landscape,margin=1.5cm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
% A table that is too wide is made as wide as the text.
\newsavebox{\tablebox}
\newcommand{\fitted}{\ifdim\wd\tablebox>\linewidth\resizebox{\linewidth}{!}{\usebox{\tablebox}}\else\usebox{\tablebox}\fi}
\begin{document}
"""

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # Behind the end of a line these would be its options.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    "◇": r"\ensuremath{\diamond}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "↓": r"\ensuremath{\downarrow}",
}


def escape(text: str) -> str:
    """Return a text that LaTeX prints as it is."""
    return "".join(_ESCAPED.get(letter, letter) for letter in one_line(text))


def latex(board: Board) -> str:
    """Return the main table and those by data set and by question language as one document."""
    notes = " ".join(board["notes"])
    of_sets = list(set_tables(board))
    board = overview(board)
    main = main_table(board)
    parts = [_float(main, f"{main.title}. {main.caption} {notes}")]
    parts += [_float(table, f"{table.title}. {table.caption}") for table in (*of_sets, *language_tables(board))]
    return _PREAMBLE + "\n".join(parts) + "\\end{document}\n"


def _float(table: Table, caption: str) -> str:
    lines = [
        r"\begin{table}[p]",
        r"\centering\footnotesize",
        rf"\caption{{{escape(caption)}}}",
        r"\begin{lrbox}{\tablebox}",
        *_tabular(table),
        r"\end{lrbox}",
        r"\fitted",
        r"\end{table}",
        # Else LaTeX would hold back one table after the other until it has no room for more.
        r"\clearpage",
    ]
    return "\n".join(lines) + "\n"


def _tabular(table: Table) -> Iterator[str]:
    width = len(table.heads)
    yield rf"\begin{{tabular}}{{l{'r' * width}}}"
    yield r"\toprule"
    if any(group for group, _ in table.heads):
        yield from _group_heads(table)
    yield " & ".join([escape(table.corner), *(escape(label) for _, label in table.heads)]) + r" \\"
    for section in table.sections:
        yield r"\midrule"
        if section.label:
            yield rf"\multicolumn{{{width + 1}}}{{l}}{{\textit{{{escape(section.label)}}}}} \\"
        for label, cells in section.rows:
            yield " & ".join([escape(label), *map(_cell, cells)]) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _group_heads(table: Table) -> Iterator[str]:
    """Yield the line of headings over several columns, and the rules below them."""
    heads, rules, first = [], [], 2
    for group, columns in groupby(table.heads, key=lambda head: head[0]):
        count = len(list(columns))
        heads.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(group)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + count - 1}}}")
        first += count
    yield " & ".join(["", *heads]) + r" \\"
    yield " ".join(rules)


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.best:
        text = rf"\textbf{{{text}}}"
    elif cell.second:
        text = rf"\underline{{{text}}}"
    return text + (rf"\textsuperscript{{{escape(cell.marks)}}}" if cell.marks else "")
