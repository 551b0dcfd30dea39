"""The plots of a leaderboard as files: heat maps, differences with intervals, language bias."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from beir_hybrid.files import as_folder
from beir_hybrid.leaderboard.inputs.settings import unique_key
from beir_hybrid.leaderboard.render import board_views
from beir_hybrid.leaderboard.render.board_views import BiasPoints, Differences, Entry, LanguageMaps
from beir_hybrid.leaderboard.render.tables import Board
from beir_hybrid.metrics import metric_of
from beir_hybrid.plotting.heat_maps import draw_one_target_maps, plain_axis, save_figure
from beir_hybrid.plotting.lettering import lettering

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")

_COLOUR = "#0b5a73"
_PANELS_IN_A_ROW = 3
_LABEL_WIDTH = 36
"""Characters in a line of a model's label."""

_Names = Callable[[str], str]
"""Row key -> its label, as it can be drawn."""


def write_plots(board: Board, folder: Path) -> list[Path]:
    """Draw the plots of a leaderboard as PNG and SVG; a plot without data is left out.

    Args:
        board: The leaderboard, as in leaderboard.json.
        folder: Where the files go; it is created.

    Returns:
        The files: heat maps and bias by task, differences by baseline.

    Raises:
        BeirHybridError: A file cannot be written.
    """
    board = board_views.overview(board)
    texts = [row["label"] for row in board["rows"].values()]
    texts += [column[part] for column in board["columns"] for part in ("group", "label")]
    texts += [baseline["label"] for baseline in board["baselines"]]
    with lettering(texts) as legible:
        for name, draw in _figures(board, legible):
            figure = draw()
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # it stays as it was laid out; once is enough for both files
            for suffix in SUFFIXES:
                save_figure(figure, folder / f"{name}{suffix}")
    return plot_files(board, folder)


def plot_files(board: Board, folder: Path) -> list[Path]:
    """Return the files that ``write_plots`` writes."""
    return [folder / f"{name}{suffix}" for name, _ in _figures(board_views.overview(board), str) for suffix in SUFFIXES]


def _figures(board: Board, legible: Callable[[str], str]) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Yield the names of the files of each figure, and what draws it."""

    def name_of(key: str) -> str:
        return textwrap.fill(legible(board["rows"][key]["label"]), _LABEL_WIDTH)

    for maps in board_views.language_maps(board, "one_target"):
        yield as_folder(f"one-target-{maps.task}"), partial(_one_target_maps, maps, name_of)
    taken: list[str] = []
    for differences in board_views.differences(board):
        taken.append(unique_key(f"differences-{differences.label}", taken))
        yield taken[-1], partial(_differences, board, differences, name_of, legible)
    for task, plots in board_views.bias_points(board).items():
        rows = board_views.measured_rows(board)
        yield as_folder(f"bias-{task}"), partial(_bias, plots, rows, name_of, legible)


def _one_target_maps(maps: LanguageMaps, name_of: _Names) -> Figure:
    import pandas as pd

    frames = [
        (name_of(key), pd.DataFrame(matrix, maps.languages[key], maps.languages[key], dtype=float))
        for key, matrix in maps.matrices.items()
    ]
    return draw_one_target_maps(frames)


def _differences(board: Board, differences: Differences, name_of: _Names, legible: Callable[[str], str]) -> Figure:
    """Draw the differences to a baseline with their intervals, a panel for each column of the tables."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = [column for column in board["columns"] if column["key"] in differences.columns]
    in_a_row = min(len(columns), _PANELS_IN_A_ROW)
    lines = math.ceil(len(columns) / in_a_row)
    size = (3 * in_a_row + 2.5, lines * (0.36 * len(differences.rows) + 1))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(hspace=0.06))
    axes = list(figure.subplots(lines, in_a_row, squeeze=False, sharey=True).flat)
    for axis, column in zip(axes, columns, strict=False):
        _draw_intervals(axis, differences.columns[column["key"]], differences.rows)
        axis.set_title(legible(f"{column['group']}, {column['label']}"), fontsize=9)
    for axis in axes[len(columns) :]:
        axis.set_axis_off()
    axes[0].set_yticks(range(len(differences.rows)), [name_of(key) for key in differences.rows], fontsize=8)
    axes[0].invert_yaxis()
    base = " of the same group" if differences.of_same_base else ""
    figure.supxlabel(
        f"difference to {legible(differences.label)}{base}, {100 * board['confidence']:g} % interval", fontsize=9
    )
    return figure


def _draw_intervals(axis: Axes, comparisons: Mapping[str, Entry], rows: Sequence[str]) -> None:
    axis.axvline(0, color="black", linewidth=0.8)
    for place, key in enumerate(rows):
        if key in comparisons:
            one = comparisons[key]
            axis.plot([one["low"], one["high"]], [place, place], color=_COLOUR, linewidth=1.4)
            axis.plot(one["difference"], place, "o", color=_COLOUR, markersize=4)
    axis.margins(x=0.08, y=0.6 / len(rows))
    axis.locator_params(axis="x", nbins=4)
    plain_axis(axis)


def _bias(plots: list[BiasPoints], rows: list[str], name_of: _Names, legible: Callable[[str], str]) -> Figure:
    """Draw bias figures against mAP, a panel for each, with numbered points; the numbers are those of the rows."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(4 * len(plots) + 3, 3.6), layout=ConstrainedLayoutEngine(wspace=0.06))
    *axes, names = figure.subplots(1, len(plots) + 1, squeeze=False)[0]
    for axis, data in zip(axes, plots, strict=True):
        for key, (x, y) in data.points.items():
            axis.plot(x, y, "o", color=_COLOUR, markersize=11, markeredgecolor="white")
            number = str(rows.index(key) + 1)
            axis.annotate(number, (x, y), ha="center", va="center_baseline", color="white", fontsize=7)
        axis.set_ylabel(legible(metric_of(data.bias["metric"]).label_with_direction), fontsize=9)
        axis.set_xlabel(f"{legible(data.quality['label'])} mAP", fontsize=9)
        axis.margins(0.1)
        plain_axis(axis)
    names.set_axis_off()
    listed = "\n".join(f"{number}  {name_of(key)}" for number, key in enumerate(rows, 1))
    names.text(0, 1, listed, va="top", fontsize=8, transform=names.transAxes, linespacing=1.5)
    figure.suptitle(legible(plots[0].quality["group"]), fontsize=10)
    return figure
