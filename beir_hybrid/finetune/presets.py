"""Named sets of settings for `beir-hybrid train`, and the settings where nothing else is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULTS: dict[str, Any] = {
    "languages": None,
    "batching": "hybrid",
    "alpha": 0.5,
    "tau": 1.0,
    "temperature": 0.05,
    "warmup": 0.1,
    "seed": 0,
    "precision": "fp32",
    "mini_batch_size": None,
    "gather": False,
    "max_length": None,
}
"""For every way of tuning."""

DEFAULTS_OF_TUNE: dict[str, dict[str, Any]] = {
    "full": {"learning_rate": 2e-5, "batch_size": 32, "steps": 1000},
    "head": {"learning_rate": 2e-4, "batch_size": 64, "steps": 1500},
}
"""For one way of tuning."""

PRESETS: dict[str, dict[str, Any]] = {
    # arXiv 2408.10536 fine-tunes XLM-R and LaBSE contrastively on batches of which half are monolingual. The other
    # numbers are choices of this project, see docs/training.md.
    "paper": {
        "tune": "full",
        "batching": "hybrid",
        "alpha": 0.5,
        "batch_size": 64,
        "epochs": 3.0,
        "learning_rate": 2e-5,
        "max_length": 256,
    },
    # A small encoder on two cores, in minutes rather than hours.
    "laptop": {"tune": "full", "batch_size": 16, "steps": 300, "learning_rate": 2e-5, "max_length": 128},
    "laptop-head": {"tune": "head", "batch_size": 64, "steps": 1500},
}
"""What ``--preset`` chooses from."""


def settings(preset: str | None, explicit: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings: what is given explicitly, else what the preset says, else the default.

    Args:
        preset: A key of `PRESETS`, or None.
        explicit: Setting -> value; None where nothing is given.
    """
    given = {name: value for name, value in explicit.items() if value is not None}
    chosen = {**(PRESETS[preset] if preset else {}), **given}
    # The length of a run is one setting with two names: whoever says one means the other to be forgotten.
    length = next((source for source in (given, chosen) if {"steps", "epochs"} & source.keys()), None)
    chosen.setdefault("tune", "full")
    merged = {**DEFAULTS, **DEFAULTS_OF_TUNE.get(chosen["tune"], {}), **chosen}
    if length is not None:
        merged.update({"steps": length.get("steps"), "epochs": length.get("epochs")})
    return {"epochs": None, **merged}
