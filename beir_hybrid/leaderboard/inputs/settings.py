"""What a leaderboard shows: the file ``leaderboard.toml``, or the options of the command line."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_toml, shown
from beir_hybrid.leaderboard.stats.corrections import Correction
from beir_hybrid.schemas import Known, Label, checked

NO_BASE = "-"
"""Base encoder of rows for which none is named."""

Unit = Literal["question", "article", "query"]
UNITS = get_args(Unit)
CORRECTIONS = get_args(Correction)

_MOST_DRAWS = 1_000_000
"""Sign flips and resamples beyond which nothing is gained but waiting."""


class _Board(Known):
    """The table [board]; what is not there has the default of ``Settings``."""

    title: Label = ""
    alpha: float = 0
    confidence: float = 0
    unit: str = ""
    correction: str = ""
    flips: int = 0
    resamples: int = 0
    seed: int = 0
    published_figures: str = ""
    ask_mteb: bool = True
    common_questions: bool = False
    baselines: list[str] = Field(default_factory=list)


class _Model(Known):
    """A table [[model]]."""

    key: Label = ""
    label: Label = ""
    models: list[str] = Field(default_factory=list)
    base: Label = ""
    batching: Label = ""
    baseline: Label = ""
    seen: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class ModelEntry:
    """A row of the leaderboard.

    Attributes:
        key: Name of the row in the board; letters, digits, ``-``, ``_`` and ``.``.
        label: What is shown.
        models: Names of models, or patterns such as ``me/hybrid-seed*``; ``name@revision`` means one revision. All
            that they match are training seeds of one recipe.
        base: The base encoder, by which rows are grouped.
        batching: How training batches were made: ``X-X``, ``X-Y``, ``hybrid``; None if that does not apply.
        baseline: Label as a baseline, e.g. ``X-X``; the rows of the same base are compared with it.
        seen: Tasks whose data the model was trained on; None if manifests and model metadata are to say so.
    """

    key: str
    label: str
    models: tuple[str, ...]
    base: str = NO_BASE
    batching: str | None = None
    baseline: str | None = None
    seen: frozenset[str] | None = None


@dataclass(frozen=True)
class Settings:
    """What a leaderboard shows, and how its figures are tested.

    Attributes:
        title: Heading.
        alpha: Level of significance of the corrected p values.
        confidence: Level of the intervals.
        unit: What is independent of one another: ``question``, ``article`` or ``query``.
        correction: ``holm`` or ``benjamini-hochberg``.
        flips: Sign flips of the randomization test.
        resamples: Resamples of the bootstrap.
        seed: Seed of both.
        published_figures: The data file of figures from the literature; None for none.
        ask_mteb: Whether to ask mteb what a model was trained on, where neither ``seen`` nor a manifest says so.
        models: The rows in their order; empty: every model that is found.
        baselines: Models, keys or labels of further rows to compare every row with.
        common_questions: Whether models that saw different questions are compared on the common ones.
    """

    title: str = "Leaderboard"
    alpha: float = 0.05
    confidence: float = 0.95
    unit: Unit = "question"
    correction: Correction = "holm"
    flips: int = 100_000
    resamples: int = 10_000
    seed: int = 0
    published_figures: Path | None = None
    ask_mteb: bool = True
    models: tuple[ModelEntry, ...] = ()
    baselines: tuple[str, ...] = ()
    common_questions: bool = False

    def __post_init__(self) -> None:
        """Refuse values that nothing could be tested with."""
        for name in ("alpha", "confidence"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 < value < 1):
                raise BeirHybridError(f"{name} = {value:g}: write a number between 0 and 1")
        for name, least, most in (("flips", 100, _MOST_DRAWS), ("resamples", 100, _MOST_DRAWS), ("seed", 0, 2**63 - 1)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise BeirHybridError(f"{name} = {reprlib.repr(value)}: write a whole number from {least} to {most:,}")
        for name, known in (("unit", UNITS), ("correction", CORRECTIONS)):
            if getattr(self, name) not in known:
                raise BeirHybridError(f"{name} = {reprlib.repr(getattr(self, name))}: choose one of {', '.join(known)}")

    def with_options(self, baselines: Iterable[str], common_questions: bool) -> Settings:
        """Return the settings with what a command line adds.

        Args:
            baselines: More baselines.
            common_questions: Whether models are compared on the common questions, whatever the settings say.
        """
        return replace(
            self,
            baselines=(*self.baselines, *baselines),
            common_questions=self.common_questions or common_questions,
        )


def read_settings(path: Path) -> Settings:
    """Read a ``leaderboard.toml``.

    Raises:
        BeirHybridError: The file is missing or malformed; the message names the entry.
    """
    content = read_toml(path)
    try:
        for key, value in content.items():
            if key not in ("board", "model") or not isinstance(value, dict if key == "board" else list):
                raise BeirHybridError(f"{shown(key)} is neither the table [board] nor one of the tables [[model]]")
        board = checked(_Board, content.get("board", {}), "[board]", BeirHybridError).model_dump(exclude_unset=True)
        if "published_figures" in board:
            board["published_figures"] = path.parent / board["published_figures"]
        if "baselines" in board:
            board["baselines"] = tuple(board["baselines"])
        return Settings(**board, models=_entries(content.get("model", [])))
    except BeirHybridError as error:
        raise BeirHybridError(f"{shown(path)}: {error}") from error


def _entries(tables: Sequence[Any]) -> tuple[ModelEntry, ...]:
    entries: list[ModelEntry] = []
    for number, table in enumerate(tables, 1):
        where = f"[[model]] {number}"
        facts = checked(_Model, table, where, BeirHybridError).model_dump(exclude_unset=True)
        if not facts.get("label") or not facts.get("models"):
            raise BeirHybridError(f"{where} needs a label and models, a list of model names")
        facts["models"] = tuple(facts["models"])
        if "seen" in facts:
            facts["seen"] = frozenset(facts["seen"])
        facts["key"] = facts.get("key") or unique_key(facts["label"], [entry.key for entry in entries])
        if facts["key"] != slug(facts["key"]):
            raise BeirHybridError(
                f"{where}: the key {shown(repr(facts['key']))} may hold letters, digits, '-', '_' and '.' only"
            )
        if facts["key"] in {entry.key for entry in entries}:
            raise BeirHybridError(f"{where}: the key {facts['key']!r} is there twice")
        entries.append(ModelEntry(**facts))
    return tuple(entries)


def slug(text: str) -> str:
    """Return a text as a key: letters, digits, ``-``, ``_`` and ``.`` only, and never empty."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text.replace("/", "__")).strip("-") or "row"


def unique_key(text: str, taken: Iterable[str]) -> str:
    """Return the slug of a text, with a number behind it where it is taken."""
    key, number, others = slug(text), 1, set(taken)
    while key in others:
        number += 1
        key = f"{slug(text)}-{number}"
    return key
