"""All that the weights of a training run follow from, besides the base and the texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, get_args

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.finetune.presets import PRESETS, settings
from beir_hybrid.training.pairs import Batching

Tune = Literal["full", "head"]
Precision = Literal["fp32", "bf16", "fp16"]


class TrainingError(BeirHybridError):
    """A training run cannot start, go on or be saved."""


@dataclass(frozen=True)
class Recipe:
    """The settings of a training run.

    Attributes:
        data: Sources of pairs, as `beir_hybrid.training.pairs.read_source` takes them.
        languages: ISO 639-1 codes; None for all languages of the sources.
        batching: Which pairs batches are made of: x-x and x-y, only x-x, only x-y.
        alpha: Share of monolingual batches; 1 or 0 where batches are of one kind.
        tau: Language pairs are drawn in proportion to their size to this power.
        tune: All weights, or a linear head on the frozen base.
        steps: Number of optimiser steps; None if ``epochs`` is given.
        epochs: Number of passes over the data; None if ``steps`` is given.
        batch_size: Pairs in a batch, on each device.
        learning_rate: Peak learning rate of AdamW; it rises during warm-up and falls linearly to zero.
        temperature: What similarities are divided by in the loss.
        warmup: Number of warm-up steps, or below 1 their share of all steps.
        seed: Seed of all random choices.
        precision: Number format of the forward pass.
        mini_batch_size: Pairs embedded at once, with gradient caching; None for no gradient caching.
        gather: Whether the other devices' answers count as wrong answers, too.
        max_length: Tokens after which texts are cut; None for the base's own limit.

    Raises:
        TrainingError: A setting is unknown, out of range or in the way of another.
    """

    data: tuple[str, ...]
    languages: tuple[str, ...] | None
    batching: Batching
    alpha: float
    tau: float
    tune: Tune
    steps: int | None
    epochs: float | None
    batch_size: int
    learning_rate: float
    temperature: float
    warmup: float
    seed: int
    precision: Precision
    mini_batch_size: int | None
    gather: bool
    max_length: int | None

    def __post_init__(self) -> None:
        for name, kind in (("batching", Batching), ("tune", Tune), ("precision", Precision)):
            if getattr(self, name) not in get_args(kind):
                raise TrainingError(f"--{name} {getattr(self, name)}: choose from {', '.join(get_args(kind))}")
        if not self.data:
            raise TrainingError("--data is missing: name at least one source, e.g. --data mlqa-r")
        if (self.steps is None) == (self.epochs is None):
            raise TrainingError("give --steps or --epochs, not both")
        for name in ("steps", "epochs", "batch_size", "learning_rate", "temperature", "mini_batch_size", "max_length"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise TrainingError(f"{_option(name)} {value}: it must be greater than 0")
        for name, most in (("alpha", 1.0), ("tau", math.inf), ("warmup", math.inf), ("seed", 2**32 - 1)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                range_ = f"from 0 to {most:g}" if most < math.inf else "0 or greater"
                raise TrainingError(f"{_option(name)} {value}: it must be {range_}")
        if self.tune == "head" and self.mini_batch_size is not None:
            raise TrainingError("--gradient-cache is for --tune full: a head needs no memory for large batches")

    def facts(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def make_recipe(preset: str | None = None, **explicit: Any) -> Recipe:
    """Make a recipe of a preset and of explicit settings, which win.

    Args:
        preset: ``paper``, ``laptop``, ``laptop-head``, or None.
        **explicit: Attributes of `Recipe`; None where nothing is said.

    Raises:
        TrainingError: There is no such preset, or a setting is unknown or wrong.
    """
    if preset is not None and preset not in PRESETS:
        raise TrainingError(f"--preset {preset}: choose from {', '.join(PRESETS)}")
    names = [field.name for field in fields(Recipe)]
    for name in explicit:
        if name not in names:
            raise TrainingError(f"unknown setting {name!r}: {_nearest(name, names)}")
    chosen = _with_alpha(settings(preset, explicit), explicit)
    attributes: dict[str, Any] = {name: chosen.get(name) for name in names}
    return Recipe(**attributes)


def _nearest(name: str, names: Sequence[str]) -> str:
    nearest = get_close_matches(name, names, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"choose from {', '.join(names)}"


def _with_alpha(chosen: dict[str, Any], explicit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with the alpha that the batching asks for."""
    fixed = {"monolingual": 1.0, "cross-lingual": 0.0}.get(chosen["batching"])
    if fixed is None:
        return chosen
    if explicit.get("alpha") not in (None, fixed):
        raise TrainingError(f"--alpha {explicit['alpha']} is for --batching hybrid; {chosen['batching']} has no mix")
    return {**chosen, "alpha": fixed}


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
