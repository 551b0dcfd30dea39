"""The alpha sweep as a plot: multilingual mAP and rank distance against the share of monolingual batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.metrics import MAP, RANK_DISTANCE
from beir_hybrid.plotting.heat_maps import plain_axis, save_figure
from beir_hybrid.plotting.lettering import lettering
from beir_hybrid.study.paper.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "alpha-sweep"
SUFFIXES = (".png", ".svg")

_PANELS = (MAP, RANK_DISTANCE)
_ENDS = {"X-Y": 0.0, "X-X": 1.0}
_COLOURS = ("#0b5a73", "#c25b1b", "#5b7f2b", "#7a3b8f", "#8a6d1d", "#3d3d3d")
_MARKERS = "osD^vP"


def write_sweep(summary: Summary, folder: Path) -> list[Path]:
    """Draw the alpha sweep into a folder as PNG and SVG, the same bytes for the same figures.

    Returns:
        The files; none if nothing was trained with several alphas.
    """
    lines = sweep_lines(summary)
    if not lines:
        return []
    files = [folder / f"{NAME}{suffix}" for suffix in SUFFIXES]
    with lettering(line["label"] for line in lines) as legible:
        figure = _draw([{**line, "label": legible(line["label"])} for line in lines])
        for file in files:
            save_figure(figure, file)
    return files


def sweep_lines(summary: Summary) -> list[dict[str, Any]]:
    """Return the lines of the plot: ``label``, and metric -> points (alpha, mean, deviation)."""
    lines = []
    swept: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in summary["systems"]:
        if row["system"] in _ENDS or row["system"] == f"hybrid-{row['alpha']}":
            swept.setdefault((row["experiment"], row["base"], row["start"]), []).append(row)
    tasks = {experiment["name"]: experiment["tasks"] for experiment in summary["study"]["experiments"]}
    several = {key: rows for key, rows in swept.items() if len({row["alpha"] for row in rows} - {None}) > 1}
    for (experiment, base, start), rows in several.items():
        for task in tasks[experiment]:
            label = f"{experiment} to {spec_of_task(task).name}, {base} from {start}"
            lines.append({"label": label, **{metric.name: _points(rows, task, metric.name) for metric in _PANELS}})
    return lines


def _points(rows: Sequence[dict[str, Any]], task: str, metric: str) -> list[tuple[float, float, float]]:
    points = []
    for row in rows:
        figure = row["figures"].get(f"{task}/multilingual/{metric}")
        if figure is not None:
            alpha = _ENDS.get(row["system"], row["alpha"])
            points.append((alpha, figure["mean"], figure["deviation"] or 0.0))
    return sorted(points)


def _draw(lines: Sequence[dict[str, Any]]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    axes = figure.subplots(1, len(_PANELS))
    for axis, metric in zip(axes, _PANELS, strict=True):
        for number, line in enumerate(lines):
            _draw_line(axis, line[metric.name], line["label"], number)
        about_languages = metric.about_languages
        axis.set_ylabel(metric.label_with_direction if about_languages else f"multilingual {metric.label}", fontsize=9)
        axis.set_xlabel("alpha, the share of monolingual batches (0 is X-Y, 1 is X-X)", fontsize=8)
        plain_axis(axis)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _draw_line(axis: Axes, points: Sequence[tuple[float, float, float]], label: str, number: int) -> None:
    alphas, means, deviations = zip(*points, strict=True) if points else ((), (), ())
    axis.errorbar(
        alphas,
        means,
        yerr=deviations,
        label=label,
        color=_COLOURS[number % len(_COLOURS)],
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=5,
        linewidth=1.3,
        capsize=2,
    )
