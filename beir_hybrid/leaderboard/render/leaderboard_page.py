"""The leaderboard as one self-contained HTML page.

It is complete without JavaScript; page.js adds sorting, filters and the details of a cell, from what is in the page.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from beir_hybrid.leaderboard.render import board_views
from beir_hybrid.leaderboard.render.comparison_tables import family_marks, units
from beir_hybrid.leaderboard.render.page_charts import scatter_chart
from beir_hybrid.leaderboard.render.tables import SEEN, Board
from beir_hybrid.pages import self_contained
from beir_hybrid.pages.described import Described
from beir_hybrid.pages.wording import MISSING
from beir_hybrid.scoring.bias import coverage_text

HERE = Path(__file__).parent


def write_page(
    board: Board, path: Path, plots: Iterable[Path] = (), reports: Mapping[str, Described] | None = None
) -> None:
    """Write the leaderboard as one HTML file that loads nothing.

    Args:
        board: The leaderboard, as in leaderboard.json.
        path: The file to write.
        plots: Files of plots to link to; the page draws its own.
        reports: Reports to link to: name relative to the page -> whose it is.

    Raises:
        BeirHybridError: The file cannot be written.
    """
    links = {plot.name: _relative_url(plot, path.parent) for plot in plots}
    self_contained.write(render_page(board, links, reports), path)


def render_page(
    board: Board, plot_links: Mapping[str, str] | None = None, reports: Mapping[str, Described] | None = None
) -> str:
    """Render the page.

    Args:
        board: The leaderboard.
        plot_links: Name of a plot's file -> its relative address.
        reports: Name of a report, relative to the page -> whose it is.
    """
    views = (board_views.partly_covered, board_views.reach, board_views.rows_with_figures)
    content = {
        **_content(board),
        "plot_links": plot_links or {},
        "reports": report_links(board, reports or {}),
        "scatter_chart": scatter_chart,
        "seen_mark": SEEN,
    }
    return self_contained.render(HERE, content, (coverage, family_marks, units, *views))


def _content(board: Board) -> dict[str, Any]:
    """Collect what the template shows."""
    of_sets = list(board_views.set_tables(board))
    board = board_views.overview(board)
    tasks = board_views.task_labels(board)
    settings = list(dict.fromkeys(column["setting"] for column in board["columns"]))
    languages = board_views.question_languages(board)
    return {
        "board": board,
        "column_groups": board_views.column_groups(board),
        "tasks": tasks,
        "filters": [
            ("task", "Data set", tasks),
            ("setting", "Setting", dict(zip(settings, settings, strict=True))),
            ("language", "Question language", dict(zip(languages, languages, strict=True))),
        ],
        "measured": board_views.grouped_rows(board, published=False),
        "measured_rows": board_views.measured_rows(board),
        "published": board_views.grouped_rows(board, published=True),
        "differences": board_views.differences(board),
        "one_target_maps": board_views.language_maps(board, "one_target"),
        "pair_maps": board_views.language_maps(board, "map"),
        "bias_points": board_views.bias_points(board),
        "set_tables": of_sets,
        "language_tables": list(board_views.language_tables(board)),
        "family_tables": board_views.families_by_figure(board),
        "comparisons": board_views.comparisons_by_column(board),
        "confidence": f"{100 * board['confidence']:g} %",
        "correction": board["correction"].title(),
    }


def report_links(board: Board, reports: Mapping[str, Described]) -> dict[str, list[tuple[str, str]]]:
    """Return the reports of each row: row key -> their addresses, and what they are of."""
    tasks = board_views.task_labels(board)
    found: dict[str, list[tuple[str, str]]] = {}
    for key, row in board["rows"].items():
        for name, report in reports.items():
            # A row names each of its models once, and the revision of each of its runs.
            others = [
                one for one, revision in report.models if one not in row["models"] or revision not in row["revisions"]
            ]
            if len(others) < len(report.models):
                label = " beside ".join([tasks.get(report.task, report.task), *others])
                found.setdefault(key, []).append((_address(name), label))
    return found


def coverage(cell: board_views.Entry) -> str:
    """Say how many queries have the figure of a cell, and why there is none."""
    share = cell["coverage"]
    if share is None:
        return MISSING
    return "all queries" if share == 1 else cell["reason"] or coverage_text(share)


def _relative_url(file: Path, folder: Path) -> str:
    return _address(Path(os.path.relpath(file, folder)).as_posix())


def _address(name: str) -> str:
    return quote(os.fsencode(name))  # a name need not be UTF-8
