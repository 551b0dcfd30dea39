"""What a leaderboard shows: the file ``leaderboard.toml``, or the options of the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_toml

NO_BASE = "-"
"""Base encoder of rows for which none is named."""

UNITS = ("question", "article", "query")
CORRECTIONS = ("holm", "benjamini-hochberg")


_BOARD_KEYS: Mapping[str, type] = {
    "title": str,
    "alpha": float,
    "confidence": float,
    "unit": str,
    "correction": str,
    "flips": int,
    "resamples": int,
    "seed": int,
    "published_figures": str,
    "ask_mteb": bool,
    "common_questions": bool,
    "baselines": list,
}
_MODEL_KEYS: Mapping[str, type] = {
    "key": str,
    "label": str,
    "models": list,
    "base": str,
    "batching": str,
    "baseline": str,
    "seen": list,
}
_IN_WORDS = {str: "a text", int: "a whole number", float: "a number", list: "a list of texts", bool: "true or false"}


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
    unit: str = "question"
    correction: str = "holm"
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
                raise BeirHybridError(f"{name} = {value}: write a number between 0 and 1")
        for name, least in (("flips", 100), ("resamples", 100), ("seed", 0)):
            if getattr(self, name) < least:
                raise BeirHybridError(f"{name} = {getattr(self, name)}: write a whole number from {least}")
        for name, known in (("unit", UNITS), ("correction", CORRECTIONS)):
            if getattr(self, name) not in known:
                raise BeirHybridError(f"{name} = {getattr(self, name)!r}: choose one of {', '.join(known)}")

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
                raise BeirHybridError(f"{key} is neither the table [board] nor one of the tables [[model]]")
        board = dict(content.get("board", {}))
        _check_keys("[board]", board, _BOARD_KEYS)
        if "published_figures" in board:
            board["published_figures"] = path.parent / board["published_figures"]
        if "baselines" in board:
            board["baselines"] = tuple(board["baselines"])
        return Settings(**board, models=_entries(content.get("model", [])))
    except BeirHybridError as error:
        raise BeirHybridError(f"{path}: {error}") from error


def _entries(tables: Sequence[Any]) -> tuple[ModelEntry, ...]:
    entries: list[ModelEntry] = []
    for number, table in enumerate(tables, 1):
        where = f"[[model]] {number}"
        _check_keys(where, table, _MODEL_KEYS)
        if not table.get("label") or not table.get("models"):
            raise BeirHybridError(f"{where} needs a label and models, a list of model names")
        facts = {**table, "models": tuple(table["models"])}
        if "seen" in table:
            facts["seen"] = frozenset(table["seen"])
        facts["key"] = table.get("key") or unique_key(table["label"], [entry.key for entry in entries])
        if facts["key"] != slug(facts["key"]):
            raise BeirHybridError(f"{where}: the key {facts['key']!r} may hold letters, digits, '-', '_' and '.' only")
        if facts["key"] in {entry.key for entry in entries}:
            raise BeirHybridError(f"{where}: the key {facts['key']!r} is there twice")
        entries.append(ModelEntry(**facts))
    return tuple(entries)


def _check_keys(where: str, table: Any, known: Mapping[str, type]) -> None:
    if not isinstance(table, dict):
        raise BeirHybridError(f"{where} is not a table of keys and values")
    for key, value in table.items():
        if key not in known:
            raise BeirHybridError(f"{where}: unknown key {key!r}; known are {', '.join(known)}")
        if not _is_a(value, known[key]):
            raise BeirHybridError(f"{where}: {key} is {value!r}, not {_IN_WORDS[known[key]]}")


def _is_a(value: Any, wanted: type) -> bool:
    if isinstance(value, bool):  # which Python counts among the whole numbers
        return wanted is bool
    if wanted is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, int | float if wanted is float else wanted)


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
