"""What a leaderboard shows: the file ``leaderboard.toml``, or the options of the command line."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import ConfigDict, Field, SkipValidation, model_validator

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_toml, shown
from beir_hybrid.leaderboard.stats.corrections import Correction
from beir_hybrid.metrics import ONE_TARGET, find_metric
from beir_hybrid.mteb.results import MAIN_SCORE
from beir_hybrid.schemas import Known, Label, checked

NO_BASE = "-"
"""Base encoder of rows for which none is named."""

Unit = Literal["article", "question", "query"]
UNITS = get_args(Unit)
CORRECTIONS = get_args(Correction)

_MOST_DRAWS = 1_000_000
"""Sign flips and resamples beyond which nothing is gained but waiting."""


Texts = Annotated[tuple[str, ...], Field(strict=False)]  # a list in TOML


class ModelEntry(Known):
    """A row of the leaderboard, a table [[model]].

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

    model_config = ConfigDict(frozen=True)

    key: Label = ""
    label: Label = ""
    models: Texts = ()
    base: Label = NO_BASE
    batching: Label | None = None
    baseline: Label | None = None
    seen: Annotated[frozenset[str], Field(strict=False)] | None = None


class Board(Known):
    """How the figures of a leaderboard are tested, and what else the table [board] says.

    Attributes:
        title: Heading.
        alpha: Level of significance of the corrected p values.
        confidence: Level of the intervals.
        unit: What is independent of one another: ``article``, ``question`` or ``query``.
        correction: ``holm`` or ``benjamini-hochberg``.
        flips: Sign flips of the randomization test.
        resamples: Resamples of the bootstrap.
        seed: Seed of both.
        published_figures: The data file of figures from the literature; None for none.
        ask_mteb: Whether to ask mteb what a model was trained on, where neither ``seen`` nor a manifest says so.
        baselines: Models, keys or labels of further rows to compare every row with.
        common_questions: Whether models that saw different questions are compared on the common ones.
        margins: Metric -> the difference that does not matter; models are tested for equivalence where there is one.

    Raises:
        BeirHybridError: Nothing could be tested with a value.
    """

    model_config = ConfigDict(frozen=True)

    title: Label = "Leaderboard"
    alpha: float = 0.05
    confidence: float = 0.95
    unit: SkipValidation[Unit] = "article"
    correction: SkipValidation[Correction] = "holm"
    flips: int = 100_000
    resamples: int = 10_000
    seed: int = 0
    published_figures: Annotated[Path, Field(strict=False)] | None = None
    ask_mteb: bool = True
    baselines: Texts = ()
    common_questions: bool = False
    margins: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_tested(self) -> Self:
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
        for metric, margin in self.margins.items():
            check_margin(metric, margin)
        return self


def check_margin(metric: str, margin: float) -> None:
    """Refuse a margin that nothing could be tested with.

    Raises:
        BeirHybridError: There is no such metric, or the margin is not a number above 0.
    """
    where = f"the margin of {shown(reprlib.repr(metric))}"
    if find_metric(metric) is None and metric not in (MAIN_SCORE, ONE_TARGET.name):
        raise BeirHybridError(f"{where}: there is no such metric; write one such as map, ndcg_at_10 or rank_distance")
    if not (math.isfinite(margin) and margin > 0):
        raise BeirHybridError(f"{where} is {margin:g}: write a number above 0, or none at all for no equivalence test")


class Settings(Board):
    """What a leaderboard shows, and how its figures are tested.

    Attributes:
        models: The rows in their order; empty: every model that is found.
    """

    models: tuple[ModelEntry, ...] = ()

    def with_options(
        self,
        baselines: Iterable[str],
        common_questions: bool,
        unit: str | None = None,
        margins: Mapping[str, float] | None = None,
    ) -> Settings:
        """Return the settings with what a command line adds.

        Args:
            baselines: More baselines.
            common_questions: Whether models are compared on the common questions, whatever the settings say.
            unit: Another unit.
            margins: More margins, or others.

        Raises:
            BeirHybridError: There is no such unit, or nothing can be tested with a margin.
        """
        added: dict[str, Any] = {
            "baselines": (*self.baselines, *baselines),
            "common_questions": self.common_questions or common_questions,
            "unit": self.unit if unit is None else unit,
            "margins": {**self.margins, **(margins or {})},
        }
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **added})


def read_settings(path: Path) -> Settings:
    """Read a ``leaderboard.toml``.

    Args:
        path: The file.

    Returns:
        Its settings, those that it does not say by default.

    Raises:
        BeirHybridError: The file is missing or malformed; the message names the entry.
    """
    content = read_toml(path)
    try:
        for key, value in content.items():
            if key not in ("board", "model") or not isinstance(value, dict if key == "board" else list):
                raise BeirHybridError(f"{shown(key)} is neither the table [board] nor one of the tables [[model]]")
        board = checked(Board, content.get("board", {}), "[board]", BeirHybridError)
        facts = {name: getattr(board, name) for name in board.model_fields_set}
        if board.published_figures is not None:
            facts["published_figures"] = path.parent / board.published_figures
        return Settings(**facts, models=_entries(content.get("model", [])))
    except BeirHybridError as error:
        raise BeirHybridError(f"{shown(path)}: {error}") from error


def _entries(tables: Sequence[object]) -> tuple[ModelEntry, ...]:
    entries: dict[str, ModelEntry] = {}
    for number, table in enumerate(tables, 1):
        where = f"[[model]] {number}"
        entry = checked(ModelEntry, table, where, BeirHybridError)
        if not entry.label or not entry.models:
            raise BeirHybridError(f"{where} needs a label and models, a list of model names")
        key = entry.key or unique_key(entry.label, entries)
        if key != slug(key):
            raise BeirHybridError(
                f"{where}: the key {shown(repr(key))} may hold letters, digits, '-', '_' and '.' only"
            )
        if key in entries:
            raise BeirHybridError(f"{where}: the key {key!r} is there twice")
        entries[key] = entry.model_copy(update={"key": key})
    return tuple(entries.values())


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
