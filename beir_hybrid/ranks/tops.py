"""The top passages of each query in each pool, in a file beside the rank table: what outranked the right answers."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from beir_hybrid.errors import BeirHybridError, RankTableError, first_line
from beir_hybrid.files import atomic_path, check_regular, shown
from beir_hybrid.folders import locked
from beir_hybrid.ranks.model_state import SameState, same_state
from beir_hybrid.ranks.schema import TableInfo
from beir_hybrid.schemas import Language, Open, checked
from beir_hybrid.subsets import MULTI

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("mteb.beir_hybrid")

SUFFIX = ".tops.parquet"

_TEXT = pa.dictionary(pa.int32(), pa.string())  # a text stands in many rows

SCHEMA = pa.schema(
    [
        ("query_id", _TEXT),
        ("query_language", _TEXT),
        ("pool", _TEXT),
        ("place", pa.int32()),
        ("passage_id", _TEXT),
        ("passage_language", _TEXT),
        ("score", pa.float32()),
    ]
)
"""Columns: a row a passage among the best k of a query in a pool, a language or ``multi``. Places count from 1,
by falling score; equal scores rank as trec_eval ranks them, the larger passage id first. Passages that are no
candidates for a query are not there."""

_METADATA_KEY = b"beir_hybrid_tops"

# Hardly any score repeats; their bytes do.
_ENCODING: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": [name for name in SCHEMA.names if name != "score"],
    "column_encoding": {"score": "BYTE_STREAM_SPLIT"},
}

Outranking = dict[str, dict[str, int]]
"""Question language -> language -> passages of it that outrank a right answer, summed over all pairs."""


@dataclass(frozen=True)
class Tops:
    """The top passages of some queries.

    Attributes:
        table: Rows in the columns of SCHEMA; those of a query in a pool follow each other, best first.
        k: Passages of a query that are kept in each pool; fewer where it has fewer candidates.
        outranking: Question language -> language -> passages of that language that outrank a right answer in the pool
            of all languages, summed over all (query, right answer) whose rank there is known. A passage counts once
            for each right answer that it outranks, right answers among them. Of question languages that were asked in
            that pool only.
    """

    table: pa.Table
    k: int
    outranking: Outranking

    def rows(self, pool: str | None = None, query_ids: Collection[str] | None = None) -> pa.Table:
        """Return the rows of one pool, or of some queries, or of some queries in one pool."""
        wanted = {"pool": None if pool is None else {pool}, "query_id": query_ids}
        masks = [_Encoded.of(self.table[name]).among(values) for name, values in wanted.items() if values is not None]
        return self.table.filter(pa.array(np.logical_and.reduce(masks))) if masks else self.table


class _Facts(Open):
    """The metadata of a file, beside those of the rank table."""

    k: Annotated[int, Field(ge=1)]
    outranking: dict[Language, dict[Language, Annotated[int, Field(ge=0)]]]


def is_tops_name(path: Path) -> bool:
    """Whether a file is named as top passages are."""
    return path.name.endswith(SUFFIX)


def tops_path(rank_table: Path) -> Path:
    """Return the place of the top passages of a rank table: ``<task>.tops.parquet`` beside it."""
    return rank_table.with_name(rank_table.name.removesuffix(".parquet") + SUFFIX)


def check_k(k: object) -> None:
    """Refuse a number of passages to keep that is none; None keeps nothing.

    Raises:
        BeirHybridError: It is not a whole number above 0.
    """
    if k is not None and not (isinstance(k, int) and 0 < k < 1 << 31):
        raise BeirHybridError(f"keep top {shown(k)}: write a whole number above 0, such as 10")


# Putting together


def merge(parts: Sequence[Tops]) -> Tops:
    """Put together the top passages of the same queries among disjoint passages, such as shards of a corpus.

    Args:
        parts: One or more; what was counted adds up, and of each query in each pool the best are kept: as many as each
            part has.

    Returns:
        What one pass over all the passages would have kept, ordered by query and pool.
    """
    k = min(part.k for part in parts)
    outranking: Outranking = {}
    for part in parts:
        for language, counts in part.outranking.items():
            total = outranking.setdefault(language, {})
            for other, count in counts.items():
                total[other] = total.get(other, 0) + count
    return Tops(_best(pa.concat_tables([part.table for part in parts]), k), k, outranking)


def _left(old: Tops, k: int, pairs: set[tuple[str, str]]) -> Tops | None:
    """Return what is left of a run's older top passages beside newer ones; None if it is nothing.

    Args:
        old: What is there. Where fewer passages of a query were kept than now, nothing is left, for then it is unknown
            which are the others.
        k: Passages of a query that are kept now.
        pairs: The pairs of question language and pool that were evaluated anew.
    """
    if old.k < k:
        logger.info(f"{old.k} top passages of each query were kept before; of those, none is kept beside {k}.")
        return None
    in_pool = {language for language, pool in pairs if pool == MULTI}
    outranking = {language: counts for language, counts in old.outranking.items() if language not in in_pool}
    table = _without(old.table.filter(pc.less_equal(old.table["place"], k)), pairs)
    return Tops(table, k, outranking) if len(table) or outranking else None


def _without(table: pa.Table, pairs: set[tuple[str, str]]) -> pa.Table:
    """Leave out the rows of some pairs of question language and pool."""
    asked, pools = (_Encoded.of(table[name]) for name in ("query_language", "pool"))
    replaced = np.array([[(x, y) in pairs for y in pools.values] for x in asked.values], dtype=bool)
    replaced = replaced.reshape(len(asked.values), len(pools.values))
    return table.filter(pa.array(~replaced[asked.codes, pools.codes]))


def _best(table: pa.Table, k: int) -> pa.Table:
    """Rank the passages of each query in each pool anew, and keep the best k, ordered by query, pool and place."""
    table = table.unify_dictionaries().combine_chunks()
    queries, pools, passages = (_Encoded.of(table[name]).ordered() for name in ("query_id", "pool", "passage_id"))
    order = np.lexsort((-passages, -table["score"].to_numpy(), pools, queries))
    queries, pools = queries[order], pools[order]
    rows = np.arange(len(order))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (queries[1:] != queries[:-1]) | (pools[1:] != pools[:-1])
    places = rows - np.maximum.accumulate(np.where(first, rows, 0)) + 1 if len(rows) else rows
    kept = places <= k
    ranked = table.take(pa.array(order[kept]))
    return ranked.set_column(SCHEMA.get_field_index("place"), SCHEMA.field("place"), pa.array(places[kept], pa.int32()))


@dataclass(frozen=True)
class _Encoded:
    """A column of texts: the number of each row's text among the different ones."""

    codes: NDArray[np.int32]
    values: list[str]

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> _Encoded:
        array = column.unify_dictionaries().combine_chunks()
        return cls(array.indices.to_numpy(zero_copy_only=False), array.dictionary.to_pylist())

    def among(self, wanted: Collection[str]) -> NDArray[np.bool_]:
        """Say of each row whether its text is among some."""
        return np.array([value in wanted for value in self.values], dtype=bool)[self.codes]

    def ordered(self) -> NDArray[np.int64]:
        """Return the place of each row's text among the sorted texts."""
        places = np.empty(len(self.values), dtype=np.int64)
        places[pc.sort_indices(pa.array(self.values, pa.string())).to_numpy()] = np.arange(len(self.values))
        return places[self.codes]


# Files


def read(path: Path, info: TableInfo, same: SameState = same_state) -> Tops | None:
    """Read the top passages that were kept with a rank table.

    Args:
        path: The file, as ``tops_path`` says.
        info: What holds for the rank table.
        same: Compares the state of the model that the file is of with that of the rank table.

    Returns:
        None where there are none, or those of another model, another state of it, or other data.

    Raises:
        RankTableError: The file is damaged, or what it says cannot be.
    """
    if not path.exists():
        return None
    described, kept = _facts(path)
    if not _same_run(kept, info, same):
        logger.warning(f"{shown(path)} is of another state of the model, or of other data; it is not read.")
        return None
    with _opened(path) as parquet:
        table = parquet.read(SCHEMA.names).cast(SCHEMA).replace_schema_metadata(None)
        table.validate(full=True)
    facts = checked(_Facts, described, f"{shown(path)}: what the top passages say of themselves", RankTableError)
    _check(path, table, facts.k, info)
    return Tops(table, facts.k, facts.outranking)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    check_regular(path, RankTableError, largest=None)
    try:
        with path.open("rb") as file:
            yield pq.ParquetFile(file, read_dictionary=[field.name for field in SCHEMA if field.type == _TEXT])
    except (KeyError, TypeError, RecursionError) as error:
        raise RankTableError(f"{shown(path)} holds no top passages: what it says of itself is malformed") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RankTableError(f"{shown(path)} is damaged: {first_line(error)}; evaluate the model again") from error


def _facts(path: Path) -> tuple[dict[str, Any], TableInfo]:
    """Return what a file says of itself, and of its rank table."""
    with _opened(path) as parquet:
        described = json.loads((parquet.metadata.metadata or {})[_METADATA_KEY])
        return described, TableInfo.from_json(described["table"])


def _same_run(kept: TableInfo, info: TableInfo, same: SameState) -> bool:
    # Of two samples of embeddings, either may be of more languages.
    return kept.same_run(info, same) or info.same_run(kept)


def _check(path: Path, table: pa.Table, k: int, info: TableInfo) -> None:
    for name in SCHEMA.names:
        if table[name].null_count:
            raise RankTableError(f"{shown(path)}: {name} is missing in some row")
    known = {"query_language": None, "passage_language": {*info.pool_sizes}, "pool": {*info.pool_sizes, MULTI}}
    for name, values in known.items():
        other = {*_Encoded.of(table[name]).values} - values if values is not None else ()
        if other:
            raise RankTableError(f"{shown(path)}: {name} is {shown(repr(min(other)), 80)}: it has no pool")
    if len(table):
        places = pc.min_max(table["place"]).as_py()
        if places["min"] < 1 or places["max"] > k:
            raise RankTableError(f"{shown(path)}: places are between 1 and {k}")
        if pc.any(pc.is_nan(table["score"])).as_py():
            raise RankTableError(f"{shown(path)}: a score is not a number")


def write(path: Path, parts: Iterable[Tops], info: TableInfo) -> None:
    """Write top passages; a killed process leaves the old file or the new one, never a part.

    Args:
        path: The file, as ``tops_path`` says.
        parts: One or more, of the same k and of different queries or pools; one is in memory at a time, best that of a
            question language.
        info: What holds for the rank table.

    Raises:
        BeirHybridError: The file cannot be written.
    """
    k, outranking = 0, Outranking()
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, **_ENCODING) as writer:
        for part in parts:
            assert k in (0, part.k), "parts of different k"
            k = part.k
            outranking |= part.outranking
            writer.write_table(part.table.unify_dictionaries())
        facts = {"table": json.loads(info.to_json()), "k": k, "outranking": outranking}
        writer.add_key_value_metadata({_METADATA_KEY.decode(): json.dumps(facts, sort_keys=True)})


def store(
    path: Path,
    parts: Iterable[Tops],
    info: TableInfo,
    evaluated: Iterable[tuple[str, str]],
    same: SameState = same_state,
) -> None:
    """Write top passages, after putting them together with those of the same run that may be there.

    Args:
        path: The file, as ``tops_path`` says.
        parts: As for ``write``; without any, those of the same run that are there stay.
        info: What holds for the rank table.
        evaluated: The pairs of question language and pool that were evaluated.
        same: Compares the state of what is there with the state of the model now.

    Raises:
        BeirHybridError: The file cannot be written.
    """
    parts = iter(parts)
    first = next(parts, None)
    if first is None:
        if path.exists():
            with locked(path), suppress(RankTableError):
                _keep(path, info, same)
        return
    with locked(path):
        try:
            old = read(path, info, same)
        except RankTableError:
            old = None  # what cannot be read has nothing worth keeping
        left = _left(old, first.k, set(evaluated)) if old is not None else None
        write(path, chain([] if left is None else [left], [first], parts), info)


def _keep(path: Path, info: TableInfo, same: SameState) -> None:
    """Let top passages of the same run be known as that also where its state is now told by other texts."""
    _, kept = _facts(path)
    if not _same_run(kept, info, same_state) and _same_run(kept, info, same):
        old = read(path, info, same)
        if old is not None:
            write(path, [old], info)
