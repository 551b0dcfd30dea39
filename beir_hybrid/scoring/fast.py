"""Whether scores are counted by compiled code: on the CPU, where numba is installed, and where there are many of them.

What is counted, and every figure, is the same; torch's way is the reference, and that of a GPU. The environment
variable BEIR_HYBRID_COMPILED decides: ``0`` is torch's way, ``1`` the compiled one from the first score on.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    import torch

VARIABLE = "BEIR_HYBRID_COMPILED"

WORTH_LOADING = 10_000_000
"""Scores that torch counts in the time in which compiled code is loaded, half a second."""

_seen = [0]


def compiled_for(scores: torch.Tensor) -> ModuleType | None:
    """Return the module ``scoring.compiled`` if it is to count these scores, None if torch is."""
    wanted = os.environ.get(VARIABLE)
    if wanted == "0" or scores.device.type != "cpu":
        return None
    _seen[0] += scores.numel()
    return _compiled() if wanted == "1" or _seen[0] >= WORTH_LOADING else None


@cache
def _compiled() -> ModuleType | None:
    try:
        return import_module("beir_hybrid.scoring.compiled")
    except Exception:  # numba is missing, does not go with this numpy, or cannot read what it has kept
        return None
