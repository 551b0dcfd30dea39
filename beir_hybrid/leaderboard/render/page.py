"""The leaderboard as one self-contained HTML page.

The template renders everything, so the page reads without JavaScript; page.js adds sorting, filters and the details of
a cell, from what is in the page already. A Content-Security-Policy allows exactly this style sheet and this script, by
their hashes, and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from beir_hybrid.families import family_name
from beir_hybrid.files import atomic_path
from beir_hybrid.leaderboard.render import board_views
from beir_hybrid.leaderboard.render.comparison_tables import family_marks, units
from beir_hybrid.leaderboard.render.page_charts import heat_level, interval_chart, scatter_chart
from beir_hybrid.leaderboard.render.tables import SEEN, Board
from beir_hybrid.metrics import find_metric
from beir_hybrid.scoring.bias import coverage_text

HERE = Path(__file__).parent
MISSING = "\u2013"
MINUS = "\u2212"


def write_page(board: Board, path: Path, plots: Iterable[Path] = ()) -> None:
    """Write the leaderboard as one HTML file that loads nothing.

    Args:
        board: The leaderboard, as in leaderboard.json.
        path: The file to write.
        plots: Files of plots to link to; the page draws its own.

    Raises:
        BeirHybridError: The file cannot be written.
    """
    links = {plot.name: _relative_url(plot, path.parent) for plot in plots}
    with atomic_path(path) as temporary:
        # A lone surrogate, which JSON can hold and UTF-8 cannot, becomes a question mark.
        temporary.write_bytes(render_page(board, links).encode("utf-8", errors="replace"))


def render_page(board: Board, plot_links: Mapping[str, str] | None = None) -> str:
    """Render the page; everything that is not from the files beside this one is escaped.

    Args:
        board: The leaderboard.
        plot_links: Name of a plot's file -> its relative address.
    """
    style, script = (HERE.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src {_source_hash(style)}; script-src {_source_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    template = _environment().get_template("page_template.html")
    return template.render(
        **_content(board), plot_links=plot_links or {}, policy=policy, style=Markup(style), script=Markup(script)
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    views = (board_views.partly_covered, board_views.reach, board_views.rows_with_figures)
    marks = (coverage, family_marks, family_name, heat_level, metric_name)
    filters = (*marks, number, p_value, signed, units, web_address, *views)
    environment.filters.update({one.__name__: one for one in filters})
    environment.globals.update(interval_chart=interval_chart, scatter_chart=scatter_chart, seen_mark=SEEN)
    return environment


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


def number(value: float | None, decimals: int = 3) -> str:
    """Write a figure with a true minus sign; an en dash stands for a missing one."""
    if value is None or math.isnan(value):
        return MISSING
    text = f"{value:.{decimals}f}"
    return text.replace("-", MINUS) if float(text) else text.removeprefix("-")


def signed(value: float | None, decimals: int = 3) -> str:
    """Write a difference with its sign."""
    text = number(value, decimals)
    return text if text.startswith((MINUS, MISSING)) else f"+{text}"


def p_value(value: float | None) -> str:
    """Write a p value to four decimals; smaller ones as ``<0.0001``."""
    return "<0.0001" if value is not None and value < 0.0001 else number(value, 4)


def metric_name(metric: str) -> str:
    """Write the name of a metric as readers know it: ``ndcg_at_10`` is nDCG@10, ``rank_distance`` rank distance."""
    known = find_metric(metric)
    return known.label if known else metric.replace("_", " ")


def coverage(cell: board_views.Entry) -> str:
    """Say how many queries have the figure of a cell, and why there is none."""
    share = cell["coverage"]
    if share is None:
        return MISSING
    return "all queries" if share == 1 else cell["reason"] or coverage_text(share)


def web_address(url: str | None) -> str | None:
    """Return an http(s) address as it is and None for anything else, such as ``javascript:`` or half an address."""
    try:
        parts = urlsplit(url or "")
    except ValueError:  # brackets of which one is missing, as in http://[x
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def _source_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _relative_url(file: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(file, folder)).as_posix())
