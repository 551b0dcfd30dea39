"""The small charts of pages: cells of heat maps and intervals, which take their colours from the style sheet."""

from __future__ import annotations

from markupsafe import Markup

HEAT_LEVELS = 11
"""Steps of the colour scale: the classes h0 to h10 of the style sheet, and w1 to w10 below zero."""


def heat_level(value: float, highest: float) -> int:
    """Return the step of the colour scale from 0 to ``highest`` that a value falls on."""
    return round((HEAT_LEVELS - 1) * min(1.0, max(0.0, value / highest))) if highest > 0 else 0


def heat_class(value: float, highest: float) -> str:
    """Return the class of a cell: ``h`` and its step, ``w`` and the step of the other side for a value below zero."""
    level = heat_level(abs(value), highest)
    return f"{'w' if value < 0 and level else 'h'}{level}"


def interval_chart(low: float, value: float, high: float, start: float, end: float) -> Markup:
    """Draw a value and its interval on a line.

    Args:
        low: Lower end of the interval.
        value: The value.
        high: Upper end of the interval.
        start: What the left end of the line stands for; the same for all charts that are compared.
        end: What the right end stands for; where it is ``-start``, the style sheet's line in the middle is at zero.
    """
    width = end - start
    low, value, high = (3 + 94 * ((one - start) / width if width else 0.5) for one in (low, value, high))
    # The style sheet has the heights and the line at zero: a page holds hundreds of these.
    return Markup(
        '<svg class="interval" aria-hidden="true"><rect x="{:.1f}%" width="{:.1f}%"/><circle cx="{:.1f}%"/></svg>'
    ).format(low, high - low, value)
