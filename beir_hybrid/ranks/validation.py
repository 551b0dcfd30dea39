"""What holds for every rank table, checked once when a file is read: figures of a table that breaks it mean nothing.

The checks look at whole columns: 0.1 s for the 143,990 rows of XQuAD-R.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from beir_hybrid.errors import RankTableError, first_line
from beir_hybrid.files import shown
from beir_hybrid.ranks.schema import NEVER_NULL, TOP_LANGUAGES, decode_languages
from beir_hybrid.schemas import Language, Name, Open, Size, TaskName, checked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beir_hybrid.ranks.schema import TableInfo

_OF_A_QUERY = ("query_language", "question_id")


class _Facts(Open):
    """The metadata of a rank table."""

    task: TaskName
    dataset_revision: Name
    model: Name
    model_revision: Name
    pool_sizes: dict[Language, Size]
    cut: Annotated[int, Field(ge=0)] | None
    versions: dict[str, str]
    evaluated: dict[Language, list[Name]] | None = None


def check(path: Path, table: pa.Table, info: TableInfo) -> None:
    """Make sure that a table can be what it says it is.

    Args:
        path: Its file, for messages.
        table: Its rows, in the columns of ``schema.SCHEMA``.
        info: Its metadata.

    Raises:
        RankTableError: The metadata are of other types; a column that may not be null is; a row is there twice; a
            query has two languages or questions, a question two articles, a passage two languages; a language has no
            pool; or a rank or grade cannot be.
    """
    where = shown(path)
    facts = {name: getattr(info, name) for name in _Facts.model_fields}
    checked(_Facts, facts, f"{where}: what the rank table says of itself", RankTableError)
    try:
        table.validate(full=True)
    except pa.ArrowException as error:  # a text that is not UTF-8
        raise RankTableError(f"{where} is damaged: {first_line(error)}") from error
    for name in NEVER_NULL:
        if table[name].null_count:
            row = pc.index(pc.is_null(table[name]), True).as_py()
            raise RankTableError(f"{where}, row {row + 1}: {name} is missing")
    if len(table):
        _check_rows(_Rows(where, table, info))


def _check_rows(rows: _Rows) -> None:
    other = ~rows.encoded("task").equal_to(rows.info.task)
    rows.refuse(other, "task", lambda row: f"the table is of {rows.info.task}")
    queries, passages, questions = (rows.encoded(name) for name in ("query_id", "passage_id", "question_id"))
    pairs = queries.codes.astype(np.int64) * len(passages.values) + passages.codes
    first = np.unique(pairs, return_index=True)[1]
    again = np.ones(len(pairs), dtype=bool)
    again[first] = False
    rows.refuse(again, "passage_id", lambda row: "this passage of this query has another row")
    for name in _OF_A_QUERY:
        rows.refuse(queries.differing(rows.encoded(name)), name, lambda row: "other rows of its query have another")
    articles = questions.differing(rows.encoded("cluster_id"))
    rows.refuse(articles, "cluster_id", lambda row: "other rows of its question have another")
    languages = passages.differing(rows.encoded("passage_language"))
    rows.refuse(languages, "passage_language", lambda row: "other rows of its passage have another")
    _check_languages(rows)
    _check_ranks(rows)


def _check_languages(rows: _Rows) -> None:
    pools = rows.info.pool_sizes
    rows.refuse(~rows.encoded("passage_language").among(pools), "passage_language", lambda row: "it has no pool")
    unknown = ~rows.encoded("query_language").among(pools)
    # Questions can be in a language without a pool, but not in the pool of all languages.
    outside = unknown & rows.ranks("rank_in_pool")[1]
    rows.refuse(outside, "query_language", lambda row: "it has no pool")
    for language in set(rows.encoded("query_language").values):
        checked(_OneLanguage, {"query_language": language}, rows.where, RankTableError)
    tops = rows.encoded("top_languages")
    bad = {top for top in tops.values if not _is_of(top, pools)}
    words = f"not the languages of up to {TOP_LANGUAGES} passages, each of which has a pool"
    rows.refuse(tops.among(bad), "top_languages", lambda row: words)


class _OneLanguage(Open):
    query_language: Language


def _is_of(top: str, pools: dict[str, int]) -> bool:
    languages = decode_languages(top)
    return len(languages) <= TOP_LANGUAGES and set(languages) <= pools.keys()


def _check_ranks(rows: _Rows) -> None:
    pools = rows.info.pool_sizes
    in_language, known = rows.ranks("rank_in_language")
    in_pool, known_in_pool = rows.ranks("rank_in_pool")
    outranked, counted = rows.ranks("outranked_by_query_language")
    size = rows.encoded("passage_language").mapped(pools)
    own_size = rows.encoded("query_language").mapped(pools)
    total = sum(pools.values()) if all(pools.values()) else 0
    rows.refuse(known & (in_language < 1), "rank_in_language", lambda row: "ranks count from 1")
    rows.refuse(known_in_pool & (in_pool < 1), "rank_in_pool", lambda row: "ranks count from 1")
    rows.refuse(counted & (outranked < 0), "outranked_by_query_language", lambda row: "it is a number of passages")
    # Nobody counted the pools whose size is 0.
    rows.refuse(
        known & (size > 0) & (in_language > size), "rank_in_language", lambda row: f"its pool has {size[row]} passages"
    )
    if total:
        rows.refuse(
            known_in_pool & (in_pool > total), "rank_in_pool", lambda row: f"the pool of all has {total} passages"
        )
    if rows.info.cut is None:  # two searches may score a passage differently, one count does not
        both = known & known_in_pool
        rows.refuse(both & (in_pool < in_language), "rank_in_pool", lambda row: "it is better than rank_in_language")
    rows.refuse(
        counted & known_in_pool & (outranked >= in_pool),
        "outranked_by_query_language",
        lambda row: "as many passages as rank_in_pool or more",
    )
    rows.refuse(
        counted & (own_size > 0) & (outranked > own_size),
        "outranked_by_query_language",
        lambda row: f"that pool has {own_size[row]} passages",
    )
    grades = rows.table["grade"].to_numpy()
    rows.refuse(grades < 1, "grade", lambda row: "the passages of a rank table are relevant, their grades above 0")


@dataclass(frozen=True)
class _Encoded:
    """A column of texts as numbers; -1 stands for null.

    Attributes:
        values: The different texts.
        codes: The place of each row's text among them.
    """

    values: list[str]
    codes: NDArray[np.int32]

    def equal_to(self, value: str) -> NDArray[np.bool_]:
        return self.among({value})

    def among(self, known: Any) -> NDArray[np.bool_]:
        """Say of each row whether its text is among some."""
        return np.array([value in known for value in self.values] + [False], dtype=bool)[self.codes]

    def mapped(self, numbers: dict[str, int]) -> NDArray[np.int64]:
        """Return the number of each row's text; 0 if it has none."""
        return np.array([numbers.get(value, 0) for value in self.values] + [0], dtype=np.int64)[self.codes]

    def differing(self, other: _Encoded) -> NDArray[np.bool_]:
        """Say of each row whether its ``other`` text is not that of the first row with the same text in this column."""
        expected = np.empty(len(self.values), dtype=np.int32)
        expected[self.codes[::-1]] = other.codes[::-1]  # the last one written is the first row's
        return expected[self.codes] != other.codes


class _Rows:
    """The rows of a table, column by column, each encoded once."""

    def __init__(self, where: str, table: pa.Table, info: TableInfo) -> None:
        self.where, self.table, self.info = where, table, info
        self._encoded: dict[str, _Encoded] = {}

    def encoded(self, name: str) -> _Encoded:
        """Return a column of texts as numbers."""
        if name not in self._encoded:
            column = self.table[name].combine_chunks().dictionary_encode()
            codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            self._encoded[name] = _Encoded(column.dictionary.to_pylist(), codes)
        return self._encoded[name]

    def ranks(self, name: str) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return a column of integers, and where it is known."""
        column = self.table[name]
        return column.fill_null(0).to_numpy(), column.is_valid().to_numpy()

    def refuse(self, bad: NDArray[np.bool_], name: str, reason: Callable[[int], str]) -> None:
        """Refuse the table for the first row of which ``bad`` is true."""
        if bad.any():
            row = int(bad.argmax())
            value = shown(repr(self.table[name][row].as_py()), 80)
            raise RankTableError(f"{self.where}, row {row + 1}: {name} is {value}: {reason(row)}")
