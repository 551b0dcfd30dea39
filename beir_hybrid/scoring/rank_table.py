"""The rank table: one row for each (query, relevant passage), all that an evaluation has to keep.

Metrics, language bias, significance tests, tables and plots are computed from it. Stored as Parquet; facts that hold
for the whole table (model, revisions, languages, pool sizes) stand in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from beir_hybrid.errors import RankTableError, first_line
from beir_hybrid.files import atomic_path, home
from beir_hybrid.scoring import rank_table_checks

if TYPE_CHECKING:
    import pandas as pd

FORMAT_VERSION = 1

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
        model: Name of the model.
        model_revision: Revision of the model.
        pool_sizes: Language -> passages in its pool.
        cut: Results that a search returned for each query; None where every passage was ranked.
        format_version: Version of this layout.
        versions: Versions of the packages that made the table.
    """

    task: str
    dataset_revision: str
    model: str
    model_revision: str
    pool_sizes: dict[str, int]
    cut: int | None = None
    format_version: int = FORMAT_VERSION
    versions: dict[str, str] = field(default_factory=dict)

    def same_run(self, other: TableInfo) -> bool:
        """Whether two tables hold ranks of the same model on the same data, so that they can be put together."""
        ours = (self.task, self.dataset_revision, self.model, self.model_revision, self.cut, self.format_version)
        return ours == (
            other.task, other.dataset_revision, other.model, other.model_revision, other.cut, other.format_version,
        )  # fmt: skip


def default_path(task: str, model: str, revision: str, folder: Path | None = None) -> Path:
    """Return where a rank table belongs: ``ranks/<model>/<revision>/<task>.parquet``.

    Args:
        task: Name of the task.
        model: Name of the model; slashes and spaces are replaced as in MTEB's results folder.
        revision: Revision of the model.
        folder: The folder above ``ranks``, e.g. a prediction folder; BEIR_HYBRID_HOME by default.
    """
    return (folder or home()) / "ranks" / _as_folder(model) / _as_folder(revision) / f"{task}.parquet"


def _as_folder(name: str) -> str:
    return name.replace("/", "__").replace(" ", "_")


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
    described = table.replace_schema_metadata({_METADATA_KEY: json.dumps(asdict(info), sort_keys=True)})
    with atomic_path(path) as temporary:
        pq.write_table(described, temporary, compression="zstd", **(_COMPACT if compact else {}))


def read(path: Path) -> tuple[pa.Table, TableInfo]:
    """Read a rank table.

    Returns:
        The table in the columns of SCHEMA, and what holds for all of it.

    Raises:
        RankTableError: The file is missing, truncated, or not a rank table.
    """
    try:
        # Not pq.read_table, which would take folders named like "a=b" in the path for columns.
        with path.open("rb") as file:
            table = pq.ParquetFile(file).read()
    except FileNotFoundError as error:
        raise RankTableError(f"there is no rank table {path}") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RankTableError(f"{path} is truncated or not a Parquet file: {first_line(error)}") from error
    info = _info(path, (table.schema.metadata or {}).get(_METADATA_KEY))
    table = _in_schema(path, table).replace_schema_metadata(None)
    rank_table_checks.check(path, table, info)
    return table, info


def _info(path: Path, described: bytes | None) -> TableInfo:
    if described is None:
        raise RankTableError(f"{path} is not a rank table: the file says nothing about its task and model")
    try:
        facts = json.loads(described)
        if facts["format_version"] != FORMAT_VERSION:
            raise RankTableError(f"{path} has format {facts['format_version']}; this version reads {FORMAT_VERSION}")
        return TableInfo(**facts)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RankTableError(f"{path} is not a rank table: what it says of itself is malformed") from error


def _in_schema(path: Path, table: pa.Table) -> pa.Table:
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise RankTableError(f"{path} is not a rank table: it lacks the column {missing[0]}")
    try:
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (KeyError, pa.ArrowException) as error:  # a column is there twice, or of another type
        raise RankTableError(f"{path} is not a rank table: {first_line(error)}") from error


def ranked_in_pool(frame: pd.DataFrame) -> pd.Series:
    """Say of each row whether its query was ranked in the pool of all languages, which subsets do language by language.

    A search that does not return a relevant passage leaves a null, too: a language was evaluated if anything is known.

    Args:
        frame: A rank table, or rows of one.
    """
    known = frame["rank_in_pool"].notna() | frame["top_languages"].notna()
    return known.groupby(frame["query_language"], sort=False).transform("any")


def merge(old: pa.Table, new: pa.Table) -> pa.Table:
    """Put two tables of the same run together: known ranks of ``new`` win, those only ``old`` knows are kept.

    A run restricted to some languages, or to the subsets that were missing, thereby completes a table instead of
    replacing it.
    """
    import pandas as pd

    nullable = {pa.int32(): pd.Int32Dtype(), pa.int16(): pd.Int32Dtype()}
    frames = [table.to_pandas(types_mapper=nullable.get).set_index(_KEY) for table in (old, new)]
    merged = frames[1].combine_first(frames[0])
    merged[_INTEGERS] = merged[_INTEGERS].astype("Int32")
    return pa.Table.from_pandas(merged.reset_index(), preserve_index=False).select(SCHEMA.names).cast(SCHEMA)


def store(path: Path, table: pa.Table, info: TableInfo) -> None:
    """Write a table, after merging it with the one of the same run that may be there."""
    if path.exists():
        try:
            old, old_info = read(path)
        except RankTableError:
            old_info = None  # what cannot be read has nothing worth keeping
        if old_info is not None and old_info.same_run(info):
            table = merge(old, table)
            info = TableInfo(**{**asdict(info), "pool_sizes": {**old_info.pool_sizes, **info.pool_sizes}})
    write(path, table, info)


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
