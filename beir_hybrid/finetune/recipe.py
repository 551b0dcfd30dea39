"""All that the weights of a training run follow from, besides the base and the texts: each setting is declared once.

The command line has an option for each field of `Recipe`, and a study takes the settings from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from beir_hybrid.errors import BeirHybridError, did_you_mean
from beir_hybrid.training.batching import Batching, Pairing
from beir_hybrid.training.negatives import Negatives

Tune = Literal["full", "head"]
Precision = Literal["fp32", "bf16", "fp16"]

IDENTITY = "identity"
"""The start that is no map: a linear layer starts as what changes nothing."""


class TrainingError(BeirHybridError):
    """A training run cannot start, go on or be saved."""


def _setting(
    text: str,
    kind: type | None = None,
    *,
    option: Sequence[str] = (),
    choices: Any = None,
    above_0: bool = False,
    most: float = -1,
) -> dict[str, Any]:
    """Describe a setting: its help, its type where the default does not show it, and what it may be.

    ``option`` is that of the command line, where it is not the name; ``choices`` is a Literal; numbers are ``above_0``,
    or from 0, to ``most``.
    """
    rule = {"choices": choices and get_args(choices), "above_0": above_0, "most": most}
    return {"help": text, "kind": kind, "option": option, **rule}


@dataclass(frozen=True)
class Recipe:
    """The settings of a training run, which are those of `beir-hybrid train`.

    Attributes:
        data: Sources of pairs, as `beir_hybrid.training.pairs.read_source` takes them.
        languages: Languages of the pairs; None for all languages of the sources.

    The others are described where they stand. One that is None is not set; of ``steps`` and ``epochs`` one is.

    Raises:
        TrainingError: A setting is out of range or in the way of another.
    """

    data: tuple[str, ...]
    languages: tuple[str, ...] | None = None
    batching: Batching = field(
        default="hybrid",
        metadata=_setting("hybrid, monolingual, cross-lingual, or mixed: rows of any pair.", choices=Batching),
    )
    alpha: float | None = field(default=0.5, metadata=_setting("Share of monolingual batches, with hybrid.", most=1))
    pairing: Pairing = field(
        default="mixed",
        metadata=_setting("Language pairs of a cross-lingual batch: mixed, or one pair.", choices=Pairing),
    )
    tau: float = field(default=1.0, metadata=_setting("Draw language pairs by size to this power.", most=math.inf))
    mine: int | None = field(
        default=None, metadata=_setting("Find this many hard negatives for each question.", int, above_0=True)
    )
    negatives: Negatives = field(
        default="answer",
        metadata=_setting("Language of hard negatives: answer, question, both or none.", choices=Negatives),
    )
    tune: Tune = field(
        default="full", metadata=_setting("full, or head: a linear head on the frozen base.", choices=Tune)
    )
    start: str = field(
        default=IDENTITY,
        metadata=_setting("What a linear layer starts as: identity, projection, leace, or a model of `debias`."),
    )
    freeze_start: bool = field(
        default=False, metadata=_setting("Leave the start as it is, behind the base that is trained.")
    )
    interpolation: float = field(
        default=1.0,
        metadata=_setting("Share of the way from the start to the trained head.", above_0=True, most=1),
    )
    steps: int | None = field(default=None, metadata=_setting("Length of the training in steps.", int, above_0=True))
    epochs: float | None = field(
        default=None, metadata=_setting("Length of the training in passes over the data.", float, above_0=True)
    )
    batch_size: int = field(default=32, metadata=_setting("Pairs in a batch, on each device.", above_0=True))
    learning_rate: float = field(default=2e-5, metadata=_setting("Peak learning rate.", above_0=True))
    temperature: float = field(default=0.05, metadata=_setting("Temperature of the contrastive loss.", above_0=True))
    weight_decay: float = field(default=0.0, metadata=_setting("Weight decay of AdamW.", most=math.inf))
    warmup: float = field(default=0.1, metadata=_setting("Warm-up steps; below 1 their share.", most=math.inf))
    seed: int = field(default=0, metadata=_setting("Seed of all random choices.", most=2**32 - 1))
    precision: Precision = field(default="fp32", metadata=_setting("fp32, bf16 or fp16.", choices=Precision))
    mini_batch_size: int | None = field(
        default=None, metadata=_setting("Pairs at once, with --gradient-cache.", int, above_0=True)
    )
    gather: bool = field(default=False, metadata=_setting("Wrong answers from all devices."))
    max_length: int | None = field(
        default=None, metadata=_setting("Tokens after which texts are cut.", int, above_0=True)
    )

    def __post_init__(self) -> None:
        if not self.data:
            raise TrainingError("--data is missing: name at least one source, e.g. --data mlqa-r")
        for setting in fields(self):
            problem = _problem(getattr(self, setting.name), setting.metadata)
            if problem is not None:
                raise TrainingError(f"--{setting.name.replace('_', '-')} {getattr(self, setting.name)}: {problem}")
        if self.mine is not None and self.negatives == "none":
            raise TrainingError(f"--mine {self.mine} finds hard negatives, and --negatives none leaves them out")
        if self.mine == 1 and self.negatives == "both":
            raise TrainingError("--negatives both: one hard negative has one language; give --mine 2 or more")
        if (self.steps is None) == (self.epochs is None):
            raise TrainingError("give --steps or --epochs, not both")
        if self.alpha is None and self.batching == "hybrid":
            raise TrainingError("--batching hybrid needs --alpha, the share of monolingual batches")
        if self.batching in _FIXED_ALPHA and self.alpha != _FIXED_ALPHA[self.batching]:
            raise TrainingError(f"--alpha {self.alpha} is for --batching hybrid, not for {self.batching}")
        if self.batching in ("monolingual", "mixed") and self.pairing != "mixed":
            raise TrainingError(f"--pairing {self.pairing} is for cross-lingual batches; {self.batching} has none")
        if self.tune == "head" and self.mini_batch_size is not None:
            raise TrainingError("--gradient-cache is for --tune full: a head needs no memory for large batches")
        if self.tune == "full" and self.interpolation != 1:
            raise TrainingError(
                f"--interpolation {self.interpolation:g} is for --tune head: it is between two matrices"
            )
        if self.freeze_start and (self.tune == "head" or self.start == IDENTITY):
            why = "the start is what a head trains" if self.tune == "head" else "name a --start, such as projection"
            raise TrainingError(f"--freeze-start is for --tune full from a start: {why}")

    def facts(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class RunOptions:
    """What does not change the weights. Steps below 1 are shares of all steps; None for no checkpoints."""

    evaluate: str | None = field(
        default=None, metadata=_setting("Corpus to evaluate on, e.g. xquad-r.", str, option=["--eval"])
    )
    eval_steps: float = field(default=0.2, metadata=_setting("Steps between evaluations; below 1 their share."))
    eval_questions: int | None = field(default=None, metadata=_setting("Evaluate with this many questions.", int))
    save_steps: float | None = field(default=0.1, metadata=_setting("Steps between checkpoints; below 1 their share."))
    report_to: str = field(default="", metadata=_setting("Trackers, e.g. tensorboard,wandb."))
    quiet: bool = field(
        default=False, metadata=_setting("No progress bar, no log and no summary.", option=["--quiet", "-q"])
    )


def _problem(value: Any, rule: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a setting, if anything."""
    if value is None or not rule:
        return None
    if rule["choices"]:
        return None if value in rule["choices"] else f"choose from {', '.join(rule['choices'])}"
    most = rule["most"]
    if rule["above_0"]:
        bound = f" and at most {most:g}" if most >= 0 else ""
        right = 0 < value < math.inf and (value <= most or not bound)
        return None if right else f"it must be greater than 0{bound}"
    if most < 0 or 0 <= value <= most:
        return None
    return "it must be " + (f"from 0 to {most:g}" if most < math.inf else "0 or greater")


OF_TUNE: Mapping[str, Mapping[str, Any]] = {
    "full": {"steps": 1000},
    "head": {"learning_rate": 2e-4, "batch_size": 64, "steps": 1500},
}
"""Way of tuning -> its defaults, where they are not those of `Recipe`."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # What arXiv 2408.10536 states; it leaves length, maximum length, temperature, warm-up and schedule open, which are
    # choices of this project, see docs/training.md. Its triplets are those of the data.
    "paper": {
        "tune": "full",
        "batching": "hybrid",
        "alpha": 0.5,
        "tau": 0.0,
        "batch_size": 100,
        "learning_rate": 3e-5,
        "weight_decay": 1e-2,
        "epochs": 3.0,
        "max_length": 256,
    },
    # A small encoder on two cores, in minutes rather than hours.
    "laptop": {"tune": "full", "batch_size": 16, "steps": 300, "learning_rate": 2e-5, "max_length": 128},
    "laptop-head": {"tune": "head", "batch_size": 64, "steps": 1500},
}
"""What ``--preset`` chooses from."""

_FIXED_ALPHA: Mapping[str, float | None] = {"monolingual": 1.0, "cross-lingual": 0.0, "mixed": None}
"""Batching -> its alpha, where there is no choice; a mixed batch is of neither kind."""


def make_recipe(preset: str | None = None, **explicit: Any) -> Recipe:
    """Make a recipe: what is given explicitly, else what the preset says, else the default of the way of tuning.

    Args:
        preset: A key of `PRESETS`, or None.
        **explicit: Attributes of `Recipe`; None where nothing is said.

    Raises:
        TrainingError: There is no such preset, or a setting is unknown or wrong.
    """
    if preset is not None and preset not in PRESETS:
        raise TrainingError(f"--preset {preset}: choose from {', '.join(PRESETS)}")
    names = [setting.name for setting in fields(Recipe)]
    for name in explicit:
        if name not in names:
            raise TrainingError(f"unknown setting {name!r}: {_nearest(name, names)}")
    given = {name: value for name, value in explicit.items() if value is not None}
    of_preset = PRESETS[preset] if preset else {}
    tune = {"tune": "full", **of_preset, **given}["tune"]
    settings: dict[str, Any] = {"data": ()}
    for layer in (OF_TUNE.get(tune, {}), of_preset, given):
        if {"steps", "epochs"} & layer.keys():  # two names of one setting, the length: the later word counts
            settings |= {"steps": None, "epochs": None}
        settings |= layer
    batching = settings.get("batching", "hybrid")
    if batching in _FIXED_ALPHA and "alpha" not in given:
        settings["alpha"] = _FIXED_ALPHA[batching]
    return Recipe(**settings)


def _nearest(name: str, names: Sequence[str]) -> str:
    return did_you_mean(name, names) or f"choose from {', '.join(names)}"
