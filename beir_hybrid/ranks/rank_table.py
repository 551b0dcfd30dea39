"""The rank table: one row for each (query, relevant passage), all that an evaluation has to keep.

Metrics, language bias, significance tests, tables and plots are computed from it. Stored as Parquet; facts that hold
for the whole table (model, revisions, languages, pool sizes) stand in the file's metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beir_hybrid.errors import RankTableError, first_line
from beir_hybrid.files import as_folder, atomic_path, home
from beir_hybrid.folders import locked
from beir_hybrid.ranks import validation as rank_table_checks
from beir_hybrid.scoring.identity import ModelState, same_state
from beir_hybrid.subsets import MULTI

if TYPE_CHECKING:
    import pandas as pd

FORMAT_VERSION = 1
"""Grows when readers of before would read a table wrongly; nullable columns and facts that are new leave it alone."""

NO_NAME = "no_model_name/available"
"""What mteb calls a model that has no name."""

NO_REVISION = "no_revision_available"
"""What mteb calls the revision of a model that has none."""

SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("query_id", pa.string()),
        ("question_id", pa.string()),
        ("query_language", pa.string()),
        ("passage_id", pa.string()),
        ("passage_language", pa.string()),
        ("rank_in_language", pa.int32()),
        ("rank_in_pool", pa.int32()),
        ("outranked_by_query_language", pa.int32()),
        ("cluster_id", pa.string()),
        ("grade", pa.int16()),
        ("top_languages", pa.string()),
    ]
)
"""Columns. Ranks count from 1 and are null where they are unknown: the pool was not evaluated as a whole, or a
search did not return the passage. ``grade`` is the judgment's. ``top_languages`` holds the languages of the query's
best 100 passages in the pool of all languages, best first, two letters each (``enendeen...``), null where the pool was
not evaluated as a whole or they are not kept; it is the same in all rows of a query."""

_KEY = ["query_id", "passage_id"]
_INTEGERS = ["rank_in_language", "rank_in_pool", "outranked_by_query_language", "grade"]
_METADATA_KEY = b"beir_hybrid"
_RANKS = ["rank_in_language", "rank_in_pool", "outranked_by_query_language"]
_MAY_LACK = {"top_languages"}
"""Columns that tables of before, or of other programs, may lack: they are null then."""

_NO_DICTIONARY = {"query_id", "passage_id", *_RANKS}
# Ids repeat over long distances, in the same order for each question language: they compress best plain, on one page;
# ranks, byte by byte. The long texts that all rows of a query share want a dictionary that has room for all of them.
_COMPACT: dict[str, Any] = {
    "compression_level": 19,
    "use_dictionary": [name for name in SCHEMA.names if name not in _NO_DICTIONARY],
    "column_encoding": dict.fromkeys(_RANKS, "BYTE_STREAM_SPLIT"),
    "dictionary_pagesize_limit": 1 << 26,
    "data_page_size": 1 << 28,
    "write_batch_size": 1 << 20,
}


@dataclass(frozen=True)
class TableInfo:
    """What holds for a whole rank table.

    Attributes:
        task: Name of the MTEB task.
        dataset_revision: Commit or content hash of the data.
        model: Name of the model: a label.
        model_revision: Revision of the model, a label too; MTEB's experiment follows behind a slash.
        pool_sizes: Language -> passages in its pool.
        cut: Results that a search returned for each query; None where every passage was ranked.
        format_version: Version of this layout.
        versions: Versions of the packages that made the table.
        state: What tells the model, as it was, from any other; None where nothing is known of it.
        evaluated: Question language -> pools, languages or ``multi``, that it was evaluated on, whether or not anything
            was returned there; None in tables of before, where a known rank tells it.
    """

    task: str
    dataset_revision: str
    model: str
    model_revision: str
    pool_sizes: dict[str, int]
    cut: int | None = None
    format_version: int = FORMAT_VERSION
    versions: dict[str, str] = field(default_factory=dict)
    state: ModelState | None = None
    evaluated: dict[str, list[str]] | None = None

    @property
    def is_named(self) -> bool:
        """Whether name and revision name a model at all, instead of saying that there is no name."""
        return is_named(self.model, self.model_revision)

    @property
    def label(self) -> tuple[str, str]:
        """Name and revision as the model says them, without what tells its states apart."""
        return self.model, self.model_revision.partition(STATE)[0]

    def same_run(self, other: TableInfo, same: SameState = same_state) -> bool:
        """Whether two tables hold ranks of the same model on the same data, so that they can be put together.

        Args:
            other: What holds for the other table, which is newer.
            same: Compares the states of the models.
        """
        ours = (self.task, self.dataset_revision, self.label, self.cut, self.format_version)
        theirs = (other.task, other.dataset_revision, other.label, other.cut, other.format_version)
        if self.state is None and other.state is None:
            return ours == theirs and self.is_named
        return ours == theirs and same(self.state, other.state)

    def to_json(self) -> str:
        """Return the facts as they stand in the file."""
        facts = asdict(replace(self, state=None))
        facts["state"] = self.state.to_json() if self.state is not None else None
        for name in ("state", "evaluated"):
            if facts[name] is None:
                del facts[name]
        return json.dumps(facts, sort_keys=True)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> TableInfo:
        """Return the facts that ``to_json`` wrote; those that this version does not know are left out.

        Raises:
            TypeError: One is missing.
            ValueError: The state is malformed.
        """
        known = {entry.name: facts[entry.name] for entry in fields(cls) if entry.name in facts}
        if known.get("state") is not None:
            known["state"] = ModelState.from_json(known["state"])
        return cls(**known)


def is_named(model: str | None, revision: str | None) -> bool:
    """Whether name and revision name a model at all, instead of saying that it has none."""
    return bool(model and revision) and model != NO_NAME and not str(revision).startswith(NO_REVISION)


SameState = Callable[[ModelState | None, ModelState | None], bool]
"""Says of the state that a table was made with, and that of the model now, whether they are the same."""


_DIGITS = 8
STATE = "+state-"
"""Stands between the revision and the digest of the state, where several states of a model bear one revision."""


def default_path(task: str, model: str, revision: str, folder: Path | None = None) -> Path:
    """Return where a rank table belongs: ``ranks/<model>/<revision>/<task>.parquet``.

    Args:
        task: Name of the task.
        model: Name of the model; slashes and spaces are replaced as in MTEB's results folder.
        revision: Revision of the model.
        folder: The folder above ``ranks``, e.g. a prediction folder; BEIR_HYBRID_HOME by default.
    """
    return (folder or home()) / "ranks" / as_folder(model) / as_folder(revision) / f"{as_folder(task)}.parquet"


def write(path: Path, table: pa.Table, info: TableInfo, compact: bool = False) -> None:
    """Write a rank table; a killed process leaves the old file or the new one, never a part.

    The rows are sorted by query and passage, so that equal tables are equal files, however they came about.

    Args:
        path: The file.
        table: Columns as in SCHEMA, in any order.
        info: What holds for the whole table.
        compact: Take thirty times as long for a file a third smaller, to be kept in a repository.

    Raises:
        RankTableError: Columns are missing or of another type.
        BeirHybridError: The file cannot be written.
    """
    table = _in_schema(path, table).sort_by([(name, "ascending") for name in _KEY])
    described = table.replace_schema_metadata({_METADATA_KEY: info.to_json()})
    with atomic_path(path) as temporary:
        pq.write_table(described, temporary, compression="zstd", **(_COMPACT if compact else {}))


def read(path: Path) -> tuple[pa.Table, TableInfo]:
    """Read a rank table.

    Returns:
        The table in the columns of SCHEMA, and what holds for all of it.

    Raises:
        RankTableError: The file is missing, truncated, or not a rank table.
    """
    # Not pq.read_table, which would take folders named like "a=b" in the path for columns.
    with _reading(path), path.open("rb") as file:
        table = pq.ParquetFile(file).read()
    info = _info(path, (table.schema.metadata or {}).get(_METADATA_KEY))
    table = _in_schema(path, table).replace_schema_metadata(None)
    rank_table_checks.check(path, table, info)
    return table, info


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise RankTableError(f"there is no rank table {path}") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RankTableError(f"{path} is truncated or not a Parquet file: {first_line(error)}") from error


def read_info(path: Path) -> TableInfo:
    """Read what holds for a whole rank table, and none of its rows.

    Raises:
        RankTableError: The file is missing, truncated, or not a rank table.
    """
    with _reading(path), path.open("rb") as file:
        metadata = pq.ParquetFile(file).schema_arrow.metadata
    return _info(path, (metadata or {}).get(_METADATA_KEY))


def _info(path: Path, described: bytes | None) -> TableInfo:
    if described is None:
        raise RankTableError(f"{path} is not a rank table: the file says nothing about its task and model")
    try:
        facts = json.loads(described)
        if facts["format_version"] != FORMAT_VERSION:
            raise RankTableError(f"{path} has format {facts['format_version']}; this version reads {FORMAT_VERSION}")
        return TableInfo.from_json(facts)
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise RankTableError(f"{path} is not a rank table: what it says of itself is malformed") from error


def _in_schema(path: Path, table: pa.Table) -> pa.Table:
    for name in SCHEMA.names:
        if name not in table.column_names:
            if name not in _MAY_LACK:
                raise RankTableError(f"{path} is not a rank table: it lacks the column {name}")
            table = table.append_column(name, pa.nulls(len(table), SCHEMA.field(name).type))
    try:
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (KeyError, pa.ArrowException) as error:  # a column is there twice, or of another type
        raise RankTableError(f"{path} is not a rank table: {first_line(error)}") from error


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


Evaluated = Iterable[tuple[str, str]]
"""Pairs of question language and pool, a language or ``multi``, that a run evaluated."""

_OF_POOL = ["rank_in_pool", "outranked_by_query_language", "top_languages"]


def merge(old: pa.Table, new: pa.Table, evaluated: Evaluated | None = None) -> pa.Table:
    """Put two tables of the same run together: what ``new`` evaluated is taken from it, all else is kept.

    A run restricted to some languages, or to the subsets that were missing, thereby completes a table instead of
    replacing it. A passage that the new run did not return has no rank, whatever an earlier one found.

    Args:
        old: The table that is there.
        new: The newer table; its rows replace those of ``old`` as far as their pair was evaluated.
        evaluated: What ``new`` evaluated; by default, the pairs in which it knows a rank.
    """
    import pandas as pd

    nullable = {pa.int32(): pd.Int32Dtype(), pa.int16(): pd.Int32Dtype()}
    before, after = (table.to_pandas(types_mapper=nullable.get).set_index(_KEY) for table in (old, new))
    pairs = set(evaluated) if evaluated is not None else evaluated_pairs(after)
    merged = after.combine_first(before)
    pair_of_row = zip(merged["query_language"], merged["passage_language"], strict=True)
    is_new = merged.index.isin(after.index)
    in_language = is_new & np.fromiter((pair in pairs for pair in pair_of_row), dtype=bool, count=len(merged))
    in_pool = is_new & merged["query_language"].isin([query for query, pool in pairs if pool == MULTI])
    fresh, kept = after.reindex(merged.index), before.reindex(merged.index)
    merged["rank_in_language"] = fresh["rank_in_language"].where(in_language, kept["rank_in_language"])
    for name in _OF_POOL:
        merged[name] = fresh[name].where(in_pool, kept[name])
    merged[_INTEGERS] = merged[_INTEGERS].astype("Int32")
    return pa.Table.from_pandas(merged.reset_index(), preserve_index=False).select(SCHEMA.names).cast(SCHEMA)


def evaluated_pairs(frame: pd.DataFrame, info: TableInfo | None = None) -> set[tuple[str, str]]:
    """Return the pairs of question language and pool that a rank table was evaluated on.

    Args:
        frame: Its rows.
        info: What holds for all of it; without it, the pairs are those in which a rank is known.
    """
    told = None if info is None else _pairs_of(info)
    if told is not None:
        return told
    ranked = frame.loc[frame["rank_in_language"].notna(), ["query_language", "passage_language"]]
    pairs = set(ranked.drop_duplicates().itertuples(index=False, name=None))
    return pairs | {(language, MULTI) for language in set(frame.loc[ranked_in_pool(frame), "query_language"])}


def _pairs_of(info: TableInfo) -> set[tuple[str, str]] | None:
    """Return the pairs that a table says it was evaluated on; None if it does not say it."""
    if info.evaluated is None:
        return None
    return {(language, pool) for language, pools in info.evaluated.items() for pool in pools}


def _by_language(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return pairs of question language and pool as question language -> pools, in the order of their names."""
    pools: dict[str, list[str]] = {}
    for language, pool in sorted(set(pairs)):
        pools.setdefault(language, []).append(pool)
    return pools


def store(
    path: Path,
    table: pa.Table,
    info: TableInfo,
    evaluated: Evaluated | None = None,
    same: SameState = same_state,
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
                known = pairs | (_pairs_of(old_info) or evaluated_pairs(old.to_pandas()))
                table = merge(old, table, pairs)
                info = replace(info, pool_sizes={**old_info.pool_sizes, **info.pool_sizes})
        with locked(path):  # which clears away what a killed process left of it
            write(path, table, replace(info, evaluated=_by_language(known)))
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


def build(task: str, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Make a table of column chunks.

    Args:
        task: Name of the task.
        rows: Chunks of columns, column name -> values, without ``task``.
    """
    columns: dict[str, list[pa.Array]] = {name: [] for name in SCHEMA.names if name != "task"}
    for chunk in rows:
        for name, values in columns.items():
            column = chunk[name]
            values.append(column if isinstance(column, pa.Array) else pa.array(column, SCHEMA.field(name).type))
    arrays = {
        name: pa.concat_arrays(chunks) if chunks else pa.array([], SCHEMA.field(name).type)
        for name, chunks in columns.items()
    }
    length = len(arrays["query_id"])
    arrays["task"] = pa.repeat(task, length)
    return pa.table({name: arrays[name] for name in SCHEMA.names}, schema=SCHEMA)
