"""Passages that stay in their Parquet files until they are encoded: all ids are looked at once, and no text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beir_hybrid.corpora.own.entries import checked_columns
from beir_hybrid.corpora.own.faults import Faults
from beir_hybrid.corpora.parquet_texts import ParquetColumn, ParquetTable
from beir_hybrid.files import shown

if TYPE_CHECKING:
    import pyarrow as pa

LARGE = 64 << 20
"""Bytes of a Parquet file from which on its texts are not read into memory."""

_NO_ID = r"^\s*$|[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]"
"""What no id is: blank, or with a tab, a line break or another control character (in the words of RE2)."""


@dataclass(frozen=True)
class StoredPassages:
    """The passages of a language, in Parquet files.

    Attributes:
        ids: Their ids.
        texts: Their texts.
        titles: Their titles; None where there is no such column.
        rows: Id -> row of those that were asked for and are there.
    """

    ids: Sequence[str]
    texts: Sequence[str]
    titles: Sequence[str] | None
    rows: dict[str, int]


def stored_passages(
    table: ParquetTable, namespaced: Callable[[str], str], named: Iterable[str], faults: Faults
) -> StoredPassages | None:
    """Look through the ids of passages.

    Args:
        table: The files, with columns ``_id``, ``text`` and perhaps ``title``.
        namespaced: Gives a passage's id here by that in the file; an id of this form it leaves alone.
        named: Ids, as they are here, whose rows are asked for.
        faults: Is told what is wrong.

    Returns:
        The passages; None if they cannot be read.
    """
    with faults.caught():
        columns = checked_columns(table.place, table.schema, ("_id", "text"), ("title",))
        ids = ParquetColumn(table, "_id", namespaced)
        rows = _rows_of(table, ids, namespaced, set(named), faults)
        titles = ParquetColumn(table, "title", optional=True) if "title" in columns else None
        return StoredPassages(ids, ParquetColumn(table, "text"), titles, rows)
    return None


def _rows_of(
    table: ParquetTable, ids: ParquetColumn, namespaced: Callable[[str], str], named: set[str], faults: Faults
) -> dict[str, int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    in_files = {name.partition(":p:")[2] for name in named}  # where they do not begin with their language
    spelt = pa.array(sorted(named | in_files), pa.large_string())
    rows: dict[str, int] = {}
    for group in range(len(table.groups)):
        column, first = ids.group(group), table.rows_of(group)[0]
        for place in _true(pc.fill_null(pc.match_substring_regex(column, _NO_ID), True)):
            faults.add(f"{shown(table.place)}, row {first + place + 1}", _what_is_wrong(column[place].as_py()))
        if table.may_lack("text", group):
            for place in _true(table.read("text", group).is_null()):
                faults.add(f"{shown(table.place)}, row {first + place + 1}", "the field 'text' is missing")
        for place in _true(pc.is_in(column, value_set=spelt)):
            name = namespaced(column[place].as_py())
            if name in named:
                rows[name] = first + place
    if not len(table):
        faults.add(shown(table.place), "there is no passage")
    return rows


def _true(values: pa.ChunkedArray) -> list[int]:
    return np.flatnonzero(values.to_numpy()).tolist()


def _what_is_wrong(name: str | None) -> str:
    if name is None:
        return "the field '_id' is missing"
    quoted = f"{shown(repr(name), 80)}; an id holds no tab or line break" if name.strip() else "empty"
    return f"the field '_id' is {quoted}"
