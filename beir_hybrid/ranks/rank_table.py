"""The Parquet file of a rank table: read and checked, merged with what a later run evaluated, written under a lock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beir_hybrid.errors import RankTableError, first_line
from beir_hybrid.files import as_folder, atomic_path, check_regular, home
from beir_hybrid.folders import locked
from beir_hybrid.ranks import tops, validation
from beir_hybrid.ranks.model_state import SameState, same_state
from beir_hybrid.ranks.schema import FORMAT_VERSION, KEY, RANKS, SCHEMA, TableInfo, in_schema
from beir_hybrid.revisions import STATE
from beir_hybrid.subsets import MULTI

if TYPE_CHECKING:
    import pandas as pd

Pairs = Iterable[tuple[str, str]]
"""Pairs of question language and pool, a language or ``multi``."""

_METADATA_KEY = b"beir_hybrid"
_DIGITS = 8
_OF_POOL = ("rank_in_pool", "outranked_by_query_language", "top_languages")

_ROWS_AT_ONCE = 1 << 15
"""Rows that are put in order and written together, 12 MB: a copy of all would be the most that a run takes."""

# Ids repeat over long distances, in the same order for each question language: they compress best plain, on one page;
# ranks, byte by byte. The long texts that all rows of a query share want a dictionary that has room for all of them.
_COMPACT: dict[str, Any] = {
    "compression_level": 19,
    "use_dictionary": [name for name in SCHEMA.names if name not in (*KEY, *RANKS)],
    "column_encoding": dict.fromkeys(RANKS, "BYTE_STREAM_SPLIT"),
    "dictionary_pagesize_limit": 1 << 26,
    "data_page_size": 1 << 28,
    "write_batch_size": 1 << 20,
}


def default_path(task: str, model: str, revision: str, folder: Path | None = None) -> Path:
    """Return where a rank table belongs: ``ranks/<model>/<revision>/<task>.parquet``.

    Args:
        task: Name of the task.
        model: Name of the model; slashes and spaces are replaced as in MTEB's results folder.
        revision: Revision of the model.
        folder: The folder above ``ranks``, e.g. a prediction folder; BEIR_HYBRID_HOME by default.
    """
    return (folder or home()) / "ranks" / as_folder(model) / as_folder(revision) / f"{as_folder(task)}.parquet"


def rank_tables_below(folder: Path) -> list[Path]:
    """Find the rank tables below a folder, in the order of their names; a file is taken for itself.

    Other Parquet files, such as top passages and the fingerprints of training texts, are left out; what cannot be read
    is not.

    Raises:
        RankTableError: There is no such file or folder.
    """
    if not folder.is_dir():
        check_regular(folder, RankTableError, largest=None)
        return [folder]
    files = (path for path in folder.rglob("*.parquet") if path.is_file())
    return [path for path in sorted(files, key=Path.as_posix) if _may_be_rank_table(path)]


def _may_be_rank_table(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            schema = pq.read_schema(file)
    except (OSError, ValueError, pa.ArrowException):
        return not tops.is_tops_name(path)  # reading it says what is wrong
    if set(tops.SCHEMA.names) <= set(schema.names):
        return False
    if {"query_id", "passage_id", "rank_in_language", "rank_in_pool"} & set(schema.names):
        return True
    try:
        return "task" in json.loads((schema.metadata or {}).get(_METADATA_KEY, b"{}"))
    except (ValueError, TypeError, RecursionError):
        return False


# Reading


def read(path: Path) -> tuple[pa.Table, TableInfo]:
    """Read a rank table.

    Returns:
        The table in the columns of SCHEMA, behind them those of later versions; and what holds for all of it.

    Raises:
        RankTableError: The file is missing, truncated, or not a rank table, or what it says cannot be.
    """
    # Not pq.read_table, which would take folders named like "a=b" in the path for columns.
    with _reading(path), path.open("rb") as file:
        table = pq.ParquetFile(file).read()
    info = _info(path, table.schema.metadata)
    table = in_schema(path, table).replace_schema_metadata(None)
    validation.check(path, table, info)
    return table, info


def read_info(path: Path) -> TableInfo:
    """Read what holds for a whole rank table, and none of its rows.

    Raises:
        RankTableError: The file is missing, truncated, or not a rank table.
    """
    with _reading(path), path.open("rb") as file:
        return _info(path, pq.ParquetFile(file).schema_arrow.metadata)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise RankTableError(f"there is no rank table {path}") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RankTableError(f"{path} is truncated or not a Parquet file: {first_line(error)}") from error


def _info(path: Path, metadata: dict[bytes, bytes] | None) -> TableInfo:
    described = (metadata or {}).get(_METADATA_KEY)
    if described is None:
        raise RankTableError(f"{path} is not a rank table: the file says nothing about its task and model")
    try:
        facts = json.loads(described)
        version = facts["format_version"]
        if version == FORMAT_VERSION:
            return TableInfo.from_json(facts)
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise RankTableError(f"{path} is not a rank table: what it says of itself is malformed") from error
    raise RankTableError(f"{path} has format {version}; this version reads {FORMAT_VERSION}")


# What was evaluated


def ranked_in_pool(frame: pd.DataFrame, info: TableInfo | None = None) -> pd.Series:
    """Say of each row whether its query was ranked in the pool of all languages, which subsets do language by language.

    Args:
        frame: A rank table, or rows of one.
        info: What holds for the whole table; without it, a language was evaluated if anything is known of its queries.
    """
    languages = frame["query_language"]
    if info is not None and info.evaluated is not None:
        return languages.isin([language for language, pools in info.evaluated.items() if MULTI in pools])
    # A search that does not return a relevant passage leaves a null, too.
    known = frame["rank_in_pool"].notna() | frame["top_languages"].notna()
    return known.groupby(languages, sort=False).transform("any")


def evaluated_pairs(frame: pd.DataFrame, info: TableInfo | None = None) -> set[tuple[str, str]]:
    """Return the pairs of question language and pool that a rank table was evaluated on.

    Args:
        frame: Its rows.
        info: What holds for all of it; without it, the pairs are those in which a rank is known.
    """
    if info is not None and info.pairs is not None:
        return info.pairs
    ranked = frame.loc[frame["rank_in_language"].notna(), ["query_language", "passage_language"]]
    pairs = set(ranked.drop_duplicates().itertuples(index=False, name=None))
    return pairs | {(language, MULTI) for language in set(frame.loc[ranked_in_pool(frame), "query_language"])}


def merge(old: pa.Table, new: pa.Table, evaluated: Pairs | None = None) -> pa.Table:
    """Put two tables of the same run together: what ``new`` evaluated is taken from it, all else is kept.

    A run restricted to some languages, or to the subsets that were missing, thereby completes a table instead of
    replacing it. A passage that the new run did not return has no rank, whatever an earlier one found.

    Args:
        old: The table that is there.
        new: The newer table; its rows replace those of ``old`` as far as their pair was evaluated.
        evaluated: What ``new`` evaluated; by default, the pairs in which it knows a rank.
    """
    pairs = set(evaluated) if evaluated is not None else evaluated_pairs(new.to_pandas())
    keys, old_keys = (_joined(table, *KEY) for table in (new, old))
    before = old.take(pc.index_in(keys, value_set=old_keys))  # all null where the row is new
    in_language = _is_among(_joined(new, "query_language", "passage_language"), ["\0".join(pair) for pair in pairs])
    in_pool = _is_among(new["query_language"], [language for language, pool in pairs if pool == MULTI])
    columns = {}
    for name in dict.fromkeys([*new.column_names, *old.column_names]):
        if name == "rank_in_language":
            columns[name] = pc.if_else(in_language, new[name], before[name])
        elif name in _OF_POOL:
            columns[name] = pc.if_else(in_pool, new[name], before[name])
        elif name in new.column_names:
            columns[name] = pc.coalesce(new[name], before[name]) if name in old.column_names else new[name]
        else:
            columns[name] = before[name]
    kept = old.filter(pc.invert(pc.is_in(old_keys, value_set=keys)))
    return pa.concat_tables([pa.table(columns), kept], promote_options="default")


def _joined(table: pa.Table, *names: str) -> pa.Array:
    return pc.binary_join_element_wise(*(table[name].combine_chunks() for name in names), "\0")


def _is_among(values: Any, wanted: list[str]) -> Any:
    return pc.is_in(values, value_set=pa.array(wanted, pa.string()))


# Writing


def write(path: Path, table: pa.Table, info: TableInfo, compact: bool = False) -> None:
    """Write a rank table; a killed process leaves the old file or the new one, never a part.

    The rows are sorted by query and passage, so that equal tables are equal files, however they came about.

    Args:
        path: The file.
        table: Columns as in SCHEMA, in any order, and any others.
        info: What holds for the whole table.
        compact: Take thirty times as long for a file a third smaller, to be kept in a repository.

    Raises:
        RankTableError: Columns are missing or of another type.
        BeirHybridError: The file cannot be written.
    """
    schema = in_schema(path, table.slice(0, 0)).schema.with_metadata({_METADATA_KEY: info.to_json()})
    keys = pa.table({name: table[name].cast(pa.string()) for name in KEY})
    order = pc.sort_indices(keys, [(name, "ascending") for name in KEY])
    table = table.combine_chunks()
    step = max(1, len(table)) if compact else _ROWS_AT_ONCE
    settings: dict[str, Any] = _COMPACT if compact else {}
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd", **settings) as file:
        for start in range(0, max(1, len(table)), step):
            file.write_table(in_schema(path, table.take(order[start : start + step])).cast(schema))


def store(
    path: Path,
    table: pa.Table,
    info: TableInfo,
    evaluated: Pairs | None = None,
    same: SameState = same_state,
    top_passages: Iterable[tops.Tops] = (),
) -> Path:
    """Write a table, after merging it with the one of the same run that may be there.

    A table of another model, or of another state of the model, is left alone, whatever name and revision say: the new
    one then goes into a folder beside, whose name ends with a digest of the state. A table of another revision of the
    data is replaced. Other processes that write the same table wait.

    Args:
        path: Where the table belongs, as ``default_path`` says.
        table: The table.
        info: What holds for all of it.
        evaluated: The pairs of question language and pool that were evaluated, as for ``merge``.
        same: Compares the state of a table that is there with the state of the model now.
        top_passages: The top passages that the run has kept, in parts as ``tops.write`` takes them, which go beside
            the table; those of the same run that are there are completed likewise.

    Returns:
        Where the table is.

    Raises:
        BeirHybridError: It cannot be written.
    """
    pairs = set(evaluated) if evaluated is not None else evaluated_pairs(table.to_pandas())
    with locked(path.parent):
        path, info = _place(path, info, same)
        known = pairs
        if path.exists():
            try:
                old, old_info = read(path)
            except RankTableError:
                old_info = None  # what cannot be read has nothing worth keeping
            if old_info is not None and old_info.same_run(info, same):
                known = pairs | (old_info.pairs or evaluated_pairs(old.to_pandas()))
                table = merge(old, in_schema(path, table), pairs)
                info = replace(info, pool_sizes={**old_info.pool_sizes, **info.pool_sizes})
        pools: dict[str, list[str]] = {}
        for language, pool in sorted(known):
            pools.setdefault(language, []).append(pool)
        info = replace(info, evaluated=pools)
        tops.store(tops.tops_path(path), top_passages, info, pairs, same)
        with locked(path):  # which clears away what a killed process left of it
            write(path, table, info)
    return path


def _place(path: Path, info: TableInfo, same: SameState) -> tuple[Path, TableInfo]:
    """Choose the folder of a table: the usual one, or one beside it where that holds another model, state or cut."""
    if _fits_into(path, info, same):
        return path, info
    for folder in sorted(path.parent.parent.glob(f"{escape(path.parent.name)}{STATE}*")):
        if _fits_into(folder / path.name, info, same):
            return folder / path.name, replace(info, model_revision=info.label[1] + STATE + folder.name[-_DIGITS:])
    state = info.state.digest if info.state is not None else ""
    suffix = STATE + hashlib.sha256(f"{state} {info.cut} {info.label}".encode()).hexdigest()[:_DIGITS]
    folder = path.parent.with_name(path.parent.name + suffix)
    return folder / path.name, replace(info, model_revision=info.label[1] + suffix)


def _fits_into(path: Path, info: TableInfo, same: SameState) -> bool:
    """Whether a table may be written to a path: what lies there and beside it is of the same model in the same state.

    What lies beside is of other tasks, whose texts are others: there, only fingerprints can be compared.
    """
    for file in sorted(path.parent.glob("*.parquet")):
        try:
            other = read_info(file)
        except RankTableError:
            continue  # damaged, or not a rank table
        if file.name == path.name:
            unknown = other.state is info.state is None and other.label == info.label and not info.is_named
            newer_data = other.label == info.label and other.dataset_revision != info.dataset_revision
            if not (unknown or newer_data or other.same_run(info, same)):
                return False
        elif other.label == info.label:
            prints = [state.fingerprint if state is not None else None for state in (other.state, info.state)]
            if prints[0] != prints[1] or (prints == [None, None] and not info.is_named):
                return False
    return True
