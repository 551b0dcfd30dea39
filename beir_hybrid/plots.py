"""Pictures of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg", ".pdf")


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
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    highest = max(float(matrix.max().max()) for matrix in maps.values())
    size = 1.6 + 0.42 * max(len(matrix.columns) for matrix in maps.values())
    figure = Figure(figsize=(size * len(maps) + 1, size + 0.4))  # not pyplot's, which a program may be using itself
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for axis, (title, matrix) in zip(axes, maps.items(), strict=True):
        image = _draw(axis, matrix, highest)
        axis.set_title(title, fontsize=9)
    figure.colorbar(image, ax=list(axes), label="mAP", shrink=0.8)
    suffix = path.suffix.lower()
    # Without dates and random names in it, the same figures give the same file.
    undated = {".png": None, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[suffix]
    with atomic_path(path) as temporary, rc_context({"svg.hashsalt": "beir-hybrid"}):
        figure.savefig(temporary, format=suffix[1:], dpi=150, bbox_inches="tight", metadata=undated)


def _draw(axis: Axes, matrix: pd.DataFrame, highest: float):
    image = axis.imshow(matrix.to_numpy(), cmap="viridis", vmin=0, vmax=highest)
    axis.set_xticks(range(len(matrix.columns)), matrix.columns)
    axis.set_yticks(range(len(matrix.index)), matrix.index)
    axis.set_xlabel("answer")
    axis.set_ylabel("question")
    for row, values in enumerate(matrix.to_numpy()):
        for column, value in enumerate(values):
            if not math.isnan(value):  # where no question has such an answer
                colour = "white" if value < 0.6 * highest else "black"
                axis.text(column, row, f"{value:.2f}".lstrip("0"), ha="center", va="center", color=colour, fontsize=7)
    return image
