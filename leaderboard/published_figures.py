"""Figures from the literature, listed in a data file with their sources."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_toml

_TEXTS = ("label", "source", "url")
_KEYS = (*_TEXTS, "base", "batching", "values")


@dataclass(frozen=True)
class PublishedFigures:
    """What a paper reports of one model.

    Attributes:
        label: Name of the model.
        source: The paper.
        url: Where it is.
        values: Key of a column, ``<task>/<setting>/<metric>``, -> the figure.
        base: The base encoder.
        batching: How training batches were made.
    """

    label: str
    source: str
    url: str
    values: Mapping[str, float]
    base: str | None = None
    batching: str | None = None


def read_published_figures(path: Path) -> list[PublishedFigures]:
    """Read a file of ``[[figure]]`` entries.

    Raises:
        BeirHybridError: The file is missing or malformed; the message names the entry.
    """
    content = read_toml(path)
    entries = content.get("figure")
    if not isinstance(entries, list) or set(content) != {"figure"}:
        raise BeirHybridError(f"{path} holds something else than [[figure]] entries")
    return [_entry(f"{path}, [[figure]] {number}", entry) for number, entry in enumerate(entries, 1)]


def _entry(where: str, entry: Mapping[str, Any]) -> PublishedFigures:
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise BeirHybridError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    if not all(isinstance(entry.get(key), str) and entry[key] for key in _TEXTS):
        raise BeirHybridError(f"{where} needs a {', a '.join(_TEXTS)}: every figure has its source")
    values = entry.get("values")
    if not isinstance(values, dict) or not values or not all(map(_is_number, values.values())):
        raise BeirHybridError(f"{where} needs values: the key of a column and a number")
    return PublishedFigures(**entry)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
