"""Corrections of p values for the number of comparisons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from beir_hybrid.errors import BeirHybridError

Correction = Literal["holm", "benjamini-hochberg"]


def correct(p_values: Iterable[float], method: Correction = "holm") -> NDArray[np.float64]:
    """Adjust p values for all comparisons shown together.

    Args:
        p_values: One a comparison, m of them.
        method: ``holm`` bounds the probability of any false finding in the table (Holm 1979, A Simple Sequentially
            Rejective Multiple Test Procedure); ``benjamini-hochberg`` bounds the expected share of false ones among
            the findings (Benjamini and Hochberg 1995).

    Returns:
        Adjusted p values in the same order, shape (m,), to be compared with alpha.

    Raises:
        BeirHybridError: A p value is not between 0 and 1, or the method is unknown.
    """
    p = np.asarray(list(p_values), dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise BeirHybridError(f"{p[~((p >= 0) & (p <= 1))][0]} is not a p value: it must lie between 0 and 1")
    if method == "holm":
        order = np.argsort(p, kind="stable")
        steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
        adjusted = np.empty_like(p)
        adjusted[order] = steps
        return adjusted
    if method == "benjamini-hochberg":
        return np.asarray(false_discovery_control(p, method="bh")) if len(p) else p
    raise BeirHybridError(f"correction = {method!r}: choose one of holm, benjamini-hochberg")
