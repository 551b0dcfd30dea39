"""Pictures of an evaluation."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.families import family_runs, in_family_order
from beir_hybrid.files import atomic_path
from beir_hybrid.plotting.lettering import lettering

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Without dates and versions in it, the same figures give the same file.
_METADATA: Mapping[str, Mapping[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FORMATS = tuple(_METADATA)

_MAPS_IN_A_ROW = 4
_MOST_NUMBERS = 40
"""Languages up to which the figure stands in each cell."""


def plot_one_target_maps(maps: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw one-target matrices as heat maps side by side, on one colour scale.

    Args:
        maps: Title -> question language (rows) x answer language (columns), as ``one_target_map`` gives it.
        path: A PNG, SVG or PDF file.

    Raises:
        BeirHybridError: The file is of another kind or cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise BeirHybridError(f"{path}: a plot is written as {', '.join(FORMATS)}; choose a name that ends so")
    with lettering(maps) as legible:
        save_figure(draw_one_target_maps([(legible(title), matrix) for title, matrix in maps.items()]), path)


def draw_one_target_maps(maps: Sequence[tuple[str, pd.DataFrame]]) -> Figure:
    """Draw titled one-target matrices as heat maps on one colour scale, four in a row; languages stand by family."""
    from matplotlib.figure import Figure

    values = [value for _, matrix in maps for value in matrix.to_numpy().flat if not math.isnan(value)]
    highest = float(max(values, default=1.0))
    in_a_row = min(len(maps), _MAPS_IN_A_ROW)
    rows = math.ceil(len(maps) / in_a_row)
    most = max(len(matrix.columns) for _, matrix in maps)
    size = 1.6 + (0.42 if most <= _MOST_NUMBERS else 0.14) * most
    # Not pyplot's figure, which a program may be using itself.
    figure = Figure(figsize=(size * in_a_row + 1, (size + 0.4) * rows), layout="compressed")
    axes = list(figure.subplots(rows, in_a_row, squeeze=False).flat)
    for axis, (title, matrix) in zip(axes, maps, strict=False):
        image = _draw(axis, matrix.loc[in_family_order(matrix.index), in_family_order(matrix.columns)], highest)
        axis.set_title(
            "\n".join(textwrap.fill(line, 12 + 6 * len(matrix.columns)) for line in title.split("\n")), fontsize=9
        )
    for axis in axes[len(maps) :]:
        axis.set_axis_off()
    figure.colorbar(image, ax=axes, label="mAP", shrink=0.8)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, the same bytes for the same figure.

    Raises:
        BeirHybridError: The file cannot be written.
    """
    from matplotlib import rc_context

    suffix = path.suffix.lower()
    with atomic_path(path) as temporary, rc_context({"svg.hashsalt": "beir-hybrid"}):
        figure.savefig(temporary, format=suffix[1:], dpi=150, metadata=dict(_METADATA[suffix]))
        if suffix == ".png":
            _use_palette(temporary)


def _use_palette(path: Path) -> None:
    """Write a PNG again with at most 256 colours, a third of the size; our figures have few."""
    from PIL import Image

    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, format="PNG", optimize=True)


def plain_axis(axis: Axes) -> None:
    """Draw an axis as a grid and small labels, without a frame."""
    axis.grid(color="#dcdeda", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(length=0, labelsize=8)


def _draw_families(axis: Axes, matrix: pd.DataFrame) -> None:
    """Draw lines between the families, and write their names above the columns."""
    for draw, languages in ((axis.axhline, matrix.index), (axis.axvline, matrix.columns)):
        for _, first, _ in family_runs(list(languages))[1:]:
            draw(first - 0.5, color="white", linewidth=1.6)
    runs = family_runs(list(matrix.columns))
    above = axis.secondary_xaxis("top")
    above.set_xticks([first + (number - 1) / 2 for _, first, number in runs], [family for family, _, _ in runs])
    above.tick_params(length=0, labelsize=6, labelrotation=35)
    for label in above.get_xticklabels():
        label.set(ha="left", rotation_mode="anchor")


def _draw(axis: Axes, matrix: pd.DataFrame, highest: float):
    image = axis.imshow(matrix.to_numpy(), cmap="viridis", vmin=0, vmax=highest)
    axis.set_xticks(range(len(matrix.columns)), matrix.columns)
    axis.set_yticks(range(len(matrix.index)), matrix.index)
    axis.set_xlabel("answer")
    axis.set_ylabel("question")
    _draw_families(axis, matrix)
    if len(matrix.columns) > _MOST_NUMBERS:
        axis.tick_params(labelsize=6)
        axis.tick_params(axis="x", labelrotation=90)
        return image
    for row, values in enumerate(matrix.to_numpy()):
        for column, value in enumerate(values):
            if not math.isnan(value):  # where too few questions have such an answer that was returned
                colour = "white" if value < 0.6 * highest else "black"
                shown = f"{value:.2f}".lstrip("0")
                text = axis.text(column, row, shown, ha="center", va="center", color=colour, fontsize=7)
                text.set_in_layout(False)  # it is inside; measuring hundreds of them takes long
    return image
