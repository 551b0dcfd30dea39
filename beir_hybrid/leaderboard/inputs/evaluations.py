"""The rank tables that a leaderboard is made from, found below folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from beir_hybrid.errors import RankTableError
from beir_hybrid.files import check_exists, relative_to, sha256_of
from beir_hybrid.mteb.results import Source

if TYPE_CHECKING:
    import pyarrow as pa

    from beir_hybrid.ranks.schema import TableInfo


@dataclass(frozen=True)
class RankSource(Source):
    """A rank table: of the file, all but the rows, which are read when they are used.

    Attributes:
        info: What the file says of itself.
        read: Reads the rows.
        metric: The metric that the task is scored by, where the source says so (predictions of other MTEB tasks).
        modified: When the file was last written, in seconds.
    """

    info: TableInfo
    read: Callable[[], pa.Table] = field(repr=False, compare=False)
    metric: str | None = None
    modified: float = 0.0

    @classmethod
    def of(
        cls, path: Path, folder: Path, info: TableInfo, read: Callable[[], pa.Table], metric: str | None = None
    ) -> RankSource:
        """Describe the rank table in, or made from, a file below a folder."""
        names = info.task, info.model, info.model_revision, info.dataset_revision
        return cls(relative_to(folder, path), sha256_of(path), *names, info, read, metric, path.stat().st_mtime)


def find_rank_tables(folder: Path, left_out: list[str] | None = None) -> list[RankSource]:
    """Find the rank tables below a folder; other Parquet files are passed over.

    Args:
        folder: For instance ``ranks``; a Parquet file is taken for itself.
        left_out: If given, a table that cannot be read, or of other data than a newer one of its task, is left out,
            and a line that says so is added here.

    Raises:
        RankTableError: A file cannot be read.
        BeirHybridError: There is no such folder.
    """
    from beir_hybrid.ranks import rank_table
    from beir_hybrid.ranks.rank_table import rank_tables_below

    check_exists(folder)
    sources = []
    for path in rank_tables_below(folder):
        try:
            _, info = rank_table.read(path)
            sources.append(RankSource.of(path, folder, info, partial(_rows, path)))
        except RankTableError as error:
            if left_out is None:
                raise
            left_out.append(f"Left out: {error}.")
    return sources if left_out is None else _of_newest_data(sources, left_out)


def _rows(path: Path) -> pa.Table:
    from beir_hybrid.ranks import rank_table

    return rank_table.read(path)[0]


def _of_newest_data(sources: Sequence[RankSource], left_out: list[str]) -> list[RankSource]:
    """Keep the tables made from the data that the newest table of their task was made from."""
    newest = {source.task: source for source in sorted(sources, key=lambda source: source.modified)}
    kept = []
    for source in sources:
        other = newest[source.task]
        if source.data_revision == other.data_revision:
            kept.append(source)
        else:
            left_out.append(
                f"Left out: {source.file} was made from revision {source.data_revision[:12]} of {source.task}'s data, "
                f"the newer {other.file} from {other.data_revision[:12]}; evaluate the model again."
            )
    return kept


def check_same_data(sources: Iterable[Source]) -> None:
    """Make sure that all sources of a task were made from the same data.

    Raises:
        RankTableError: Two revisions of the data were found.
    """
    first: dict[str, Source] = {}
    for source in sources:
        other = first.setdefault(source.task, source)
        if other.data_revision != source.data_revision:
            raise RankTableError(
                f"{source.file} was made from revision {source.data_revision} of {source.task}'s data, {other.file} "
                f"from {other.data_revision}; evaluate both on the same data, or leave one out"
            )
