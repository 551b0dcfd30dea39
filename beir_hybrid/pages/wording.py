"""Figures, metrics and addresses as pages write them."""

from __future__ import annotations

import math
import re
from urllib.parse import urlsplit

from beir_hybrid.metrics import find_metric

MISSING = "\u2013"
MINUS = "\u2212"


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


def short(value: float | None, show_sign: bool = False) -> str:
    """Write a figure for a cell of a heat map: two decimals, without the zero before the point."""
    return re.sub(r"(?<!\d)0\.", ".", signed(value, 2) if show_sign else number(value, 2))


def p_value(value: float | None) -> str:
    """Write a p value to four decimals; smaller ones as ``<0.0001``."""
    return "<0.0001" if value is not None and value < 0.0001 else number(value, 4)


def metric_name(metric: str) -> str:
    """Write the name of a metric as readers know it: ``ndcg_at_10`` is nDCG@10, ``rank_distance`` rank distance."""
    known = find_metric(metric)
    return known.label if known else metric.replace("_", " ")


def web_address(url: str | None) -> str | None:
    """Return an http(s) address as it is and None for anything else, such as ``javascript:`` or half an address."""
    try:
        parts = urlsplit(url or "")
    except ValueError:  # brackets of which one is missing, as in http://[x
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None
