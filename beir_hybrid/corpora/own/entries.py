"""The entries of a corpus's files, one by one: lines of JSON Lines and of tab-separated values, rows of Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from beir_hybrid.corpora.own.faults import Faults
from beir_hybrid.errors import DataError, first_line
from beir_hybrid.files import check_regular, object_of, reading, shown

if TYPE_CHECKING:
    import pyarrow as pa

_AT_ONCE = 10_000
"""Rows of Parquet that are made Python's at once."""


class Entry(NamedTuple):
    """An entry of a file.

    Attributes:
        path: The file.
        number: Its line, or its row in Parquet, from 1.
        values: Those of the columns asked for, None where there is none; no values for a line that could not be read,
            and for the rest of a file that could not.
    """

    path: Path
    number: int
    values: Sequence[Any]

    @property
    def where(self) -> str:
        """File and line, for messages."""
        unit = "row" if self.path.suffix == ".parquet" else "line"
        return f"{shown(self.path)}, {unit} {self.number}"


Reader = Callable[[Path, Sequence[str], Sequence[str], Faults], Iterator[Entry]]


def entries(path: Path, needed: Sequence[str], optional: Sequence[str], faults: Faults) -> Iterator[Entry]:
    """Yield the entries of a file; its form follows from the end of its name.

    Args:
        path: JSON Lines, a table of tab-separated values that begins with the names of its columns, or Parquet.
        needed: Columns that must be there; a table of tab-separated values has exactly these.
        optional: Columns that may be there.
        faults: Is told what cannot be read: single lines, or the whole file.
    """
    with faults.caught():
        check_regular(path, DataError, largest=None)
        if path.stat().st_size == 0:
            raise DataError(f"{shown(path)}: the file is empty")
        yield from _READERS[path.suffix](path, needed, optional, faults)
        return
    yield Entry(path, 0, ())


def _json_lines(path: Path, needed: Sequence[str], optional: Sequence[str], faults: Faults) -> Iterator[Entry]:
    columns = (*needed, *optional)
    for number, line in _lines(path, faults):
        if line is not None and not line.strip():
            continue
        try:
            content = {} if line is None else _DECODE(line)
        except RecursionError:
            what = "is nested too deeply to be read"
        except json.JSONDecodeError as error:  # a file of one line for it, a column for us
            what = f"is not JSON: {error.msg}, at column {error.colno}"
        except ValueError as error:
            what = f"is not JSON: {first_line(error)}"
        else:
            if isinstance(content, dict):
                yield Entry(path, number, () if line is None else [content.get(column) for column in columns])
                continue
            what = "is not a JSON object {" + ", ".join(f'"{column}": ...' for column in needed) + "}"
        lost = Entry(path, number, ())
        faults.add(lost.where, what)
        yield lost


_DECODE = json.JSONDecoder(object_pairs_hook=object_of).decode


def _tab_separated(path: Path, needed: Sequence[str], _: Sequence[str], faults: Faults) -> Iterator[Entry]:
    rows = csv.reader((line or "" for _, line in _lines(path, faults)), delimiter="\t")
    heading = "<tab>".join(needed)
    try:
        first = next(rows, [])
        if first != list(needed):
            found = "<tab>".join(first)
            raise DataError(f"{shown(path)}, line 1: the heading must be {heading}, not {shown(repr(found), 80)}")
        for row in rows:
            if not row:
                continue
            if len(row) == len(needed):
                yield Entry(path, rows.line_num, row)
            else:
                what = f"{len(row)} columns, not {len(needed)} ({heading})"
                faults.add(Entry(path, rows.line_num, row).where, what)
    except csv.Error as error:
        raise DataError(f"{shown(path)}, line {rows.line_num}: is not tab-separated ({error})") from error


def _lines(path: Path, faults: Faults) -> Iterator[tuple[int, str | None]]:
    """Yield the lines of a UTF-8 file, without the byte order mark some editors write; None for another line."""
    with reading(path, DataError), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                faults.add(Entry(path, number, ()).where, f"byte {error.start} is not UTF-8")
                yield number, None


def _parquet(path: Path, needed: Sequence[str], optional: Sequence[str], faults: Faults) -> Iterator[Entry]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with reading(path, DataError), pq.ParquetFile(path) as file:
            columns = checked_columns(path, file.schema_arrow, needed, optional)
            number = 0
            for batch in file.iter_batches(_AT_ONCE, columns=columns):
                values = [
                    batch.column(column).to_pylist() if column in columns else [None] * batch.num_rows
                    for column in (*needed, *optional)
                ]
                for row in zip(*values, strict=True):
                    number += 1
                    yield Entry(path, number, row)
    except pa.ArrowException as error:
        raise DataError(f"{shown(path)}: is not a whole Parquet file ({first_line(error)})") from error


def checked_columns(path: Path | str, schema: pa.Schema, needed: Sequence[str], optional: Sequence[str]) -> list[str]:
    """Return the columns of Parquet that are there, after a look at their types: texts, but grades are numbers.

    Raises:
        DataError: A needed one is missing, or one has another type.
    """
    import pyarrow.types as kinds

    missing = [column for column in needed if column not in schema.names]
    if missing:
        there = shown(", ".join(schema.names)) or "none"
        raise DataError(f"{shown(path)}: the column {missing[0]!r} is missing; there are {there}")
    columns = [column for column in (*needed, *optional) if column in schema.names]
    for column in columns:
        kind = schema.field(column).type
        kind = kind.value_type if kinds.is_dictionary(kind) else kind
        is_text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)
        fits = kinds.is_integer(kind) or kinds.is_floating(kind) if column == SCORE else is_text
        if not fits and not (kinds.is_null(kind) and column in optional):
            what = "whole numbers" if column == SCORE else "texts"
            raise DataError(f"{shown(path)}: the column {column!r} is of the type {kind}, not of {what}")
    return columns


SCORE = "score"
"""The column that holds no text but a grade."""

_READERS: dict[str, Reader] = {".jsonl": _json_lines, ".tsv": _tab_separated, ".parquet": _parquet}
