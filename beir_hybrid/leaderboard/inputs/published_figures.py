"""Figures from the literature, listed in a data file with their sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_toml, shown
from beir_hybrid.mteb.results import LARGEST_SCORE
from beir_hybrid.schemas import Known, Label, checked


class PublishedFigures(Known):
    """What a paper reports of one model, a table [[figure]].

    Attributes:
        label: Name of the model.
        source: The paper.
        url: Where it is.
        values: Key of a column, ``<task>/<setting>/<metric>``, -> the figure.
        base: The base encoder.
        batching: How training batches were made.
    """

    label: Label
    source: Label
    url: Label
    values: dict[Label, Annotated[float, Field(ge=-LARGEST_SCORE, le=LARGEST_SCORE, allow_inf_nan=False)]]
    base: Label | None = None
    batching: Label | None = None


def read_published_figures(path: Path) -> list[PublishedFigures]:
    """Read a file of ``[[figure]]`` entries.

    Raises:
        BeirHybridError: The file is missing or malformed; the message names the entry.
    """
    content = read_toml(path)
    entries = content.get("figure")
    if not isinstance(entries, list) or set(content) != {"figure"}:
        raise BeirHybridError(f"{shown(path)} holds something else than [[figure]] entries")
    return [_entry(f"{shown(path)}, [[figure]] {number}", entry) for number, entry in enumerate(entries, 1)]


def _entry(where: str, entry: object) -> PublishedFigures:
    figure = checked(PublishedFigures, entry, where, BeirHybridError)
    if not (figure.label and figure.source and figure.url and figure.values):
        raise BeirHybridError(f"{where} needs a label, a source, a url and values: every figure has its source")
    return figure
