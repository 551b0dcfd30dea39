"""The tables that commands print."""

from __future__ import annotations

from collections.abc import Sequence

from beir_hybrid.files import shown


def text_table(rows: Sequence[Sequence[object]], headers: Sequence[str], left: int) -> str:
    """Return a table for a terminal; what files call a model, a task or a language cannot be obeyed by it.

    Args:
        rows: Cells; numbers come formatted.
        headers: Headings of the columns.
        left: How many columns begin on the left; the others end on the right.
    """
    from tabulate import tabulate

    align = ["left"] * left + ["right"] * (len(headers) - left)
    cells = [[shown(cell, most=300) for cell in row] for row in rows]
    # A revision of digits only must not be taken for a number.
    return tabulate(cells, [*map(shown, headers)], tablefmt="simple", disable_numparse=True, colalign=align)
