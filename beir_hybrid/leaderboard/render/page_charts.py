"""The scatter charts of the page, as places in an SVG that takes its colours from the style sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from beir_hybrid.leaderboard.render.board_views import BiasPoints

SCATTER_SIZE = (460, 300)
"""Width and height of a scatter chart, in units of its own."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 446, 12, 258
"""The frame of a scatter chart; the labels of the axes are outside."""


@dataclass(frozen=True)
class Scatter:
    """Where things go in a scatter chart.

    Attributes:
        x_ticks: (place, label) along the x axis.
        y_ticks: The same along the y axis.
        points: Row key -> (x, y).
    """

    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    points: dict[str, tuple[float, float]]
    width, height = SCATTER_SIZE
    left, right, top, bottom = _LEFT, _RIGHT, _TOP, _BOTTOM


def scatter_chart(data: BiasPoints) -> Scatter:
    """Place the points and ticks of a bias figure against mAP."""
    x_axis = _Axis.around([x for x, _ in data.points.values()], _LEFT, _RIGHT)
    y_axis = _Axis.around([y for _, y in data.points.values()], _BOTTOM, _TOP)
    points = {key: (x_axis.place(x), y_axis.place(y)) for key, (x, y) in data.points.items()}
    return Scatter(x_axis.ticks(), y_axis.ticks(), points)


@dataclass(frozen=True)
class _Axis:
    """A linear axis from ``first`` to ``last``, drawn from ``start`` to ``end``, with a tick every ``step``."""

    first: float
    last: float
    step: float
    start: float
    end: float

    @classmethod
    def around(cls, values: list[float], start: float, end: float) -> _Axis:
        """Make an axis with about five round ticks and some room around the values."""
        lowest, highest = min(values), max(values)
        span = max(highest - lowest, abs(highest) / 100, 1e-6)  # what is all but equal is shown as equal
        magnitude = 10 ** math.floor(math.log10(span / 4))
        step = next(magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor >= span / 4)
        first = math.floor((lowest - span / 20) / step) * step
        last = math.ceil((highest + span / 20) / step) * step
        return cls(first, last, step, start, end)

    def place(self, value: float) -> float:
        return round(self.start + (value - self.first) / (self.last - self.first) * (self.end - self.start), 1)

    def ticks(self) -> list[tuple[float, str]]:
        decimals = max(0, -math.floor(math.log10(self.step)))
        values = [self.first + n * self.step for n in range(round((self.last - self.first) / self.step) + 1)]
        return [(self.place(value), f"{value:.{decimals}f}") for value in values]
