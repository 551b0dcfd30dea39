"""Texts in Parquet files, on disk or in object storage: read a row group at a time, by whoever needs them.

Of each file the footer is read first, which says how many rows there are and where. The rest stays where it is until
rows are asked for, so that many processes read a large pool between them, each its own part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from beir_hybrid.corpora.text_columns import StoredTexts
from beir_hybrid.errors import DataError, one_line
from beir_hybrid.files import shown

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from numpy.typing import NDArray
    from pyarrow.fs import FileInfo, FileSystem

SUFFIX = ".parquet"

_TAIL = 8
"""Bytes behind the footer of a file."""


class _Part(NamedTuple):
    """A file as it was found: its footer, and a hash of the footer's bytes."""

    info: FileInfo
    footer: pq.FileMetaData
    digest: str


class ParquetTable:
    """The rows of one or several Parquet files, in the order of their names.

    Args:
        place: A file, or a folder whose files are parts of one table: a path, or an address such as
            ``s3://bucket/wiki/de/``.

    Raises:
        DataError: There is nothing there, or it cannot be read, or the files have different columns.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place)
        self._files, path = file_system(place)
        self._parts: list[_Part] = []
        with self._reading():
            infos = _parquet_files(self._files, path)
        if not infos:
            raise DataError(f"{shown(self.place)}: there is no Parquet file")
        for info in infos:
            self._parts.append(self._part(info))
            if not self._parts[-1].footer.schema.to_arrow_schema().equals(self.schema):
                raise DataError(f"{self._where(info)}: has other columns than {infos[0].base_name}")

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._parts[0].footer.schema.to_arrow_schema()

    @property
    def identity(self) -> str:
        """A hash of what tells the content without reading it: names, sizes, dates and footers of the files."""
        facts = [(info.base_name, info.size, info.mtime_ns, digest) for info, _, digest in self._parts]
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    @cached_property
    def groups(self) -> list[tuple[int, int]]:
        """The row groups: number of the file, and of the group in it."""
        return [
            (number, group) for number, part in enumerate(self._parts) for group in range(part.footer.num_row_groups)
        ]

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """Row that each row group begins with, and the number of all rows."""
        sizes = [self._parts[number].footer.row_group(group).num_rows for number, group in self.groups]
        return np.cumsum([0, *sizes])

    def rows_of(self, group: int) -> tuple[int, int]:
        """Return the first row of a row group, and the one behind its last."""
        return int(self._starts[group]), int(self._starts[group + 1])

    def groups_with(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the row group of each row."""
        return np.searchsorted(self._starts, rows, side="right") - 1

    def may_lack(self, name: str, group: int) -> bool:
        """Whether texts are missing in a row group, as far as its footer says it."""
        number, inside = self.groups[group]
        columns = self._parts[number].footer.row_group(inside)
        facts = columns.column(self.schema.names.index(name)).statistics
        return facts is not None and facts.has_null_count and facts.null_count > 0

    def read(self, name: str, group: int) -> pa.ChunkedArray:
        """Read one column of a row group.

        Raises:
            DataError: The file cannot be read any more, is another one than before, or lacks a text.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        number, inside = self.groups[group]
        info, footer, _ = self._parts[number]
        with self._reading(info), self._files.open_input_file(info.path) as source:
            if source.size() != info.size:
                raise DataError(f"{self._where(info)}: has changed since it was opened")
            column = pq.ParquetFile(source, metadata=footer).read_row_group(inside, columns=[name]).column(name)
        return column.cast(pa.large_string())  # a dictionary, for one

    def _part(self, info: FileInfo) -> _Part:
        import pyarrow.parquet as pq

        with self._reading(info), self._files.open_input_file(info.path) as file:
            footer = pq.read_metadata(file)
            file.seek(max(0, info.size - _TAIL - footer.serialized_size))
            return _Part(info, footer, hashlib.sha256(file.read()).hexdigest())

    def _where(self, info: FileInfo) -> str:
        return shown(self.place if len(self._parts) <= 1 else f"{self.place} {info.base_name}")

    @contextmanager
    def _reading(self, info: FileInfo | None = None) -> Iterator[None]:
        """Turn what the file system or Arrow says into one line."""
        import pyarrow as pa

        where = shown(self.place) if info is None else self._where(info)
        try:
            yield
        except pa.ArrowInvalid as error:
            raise DataError(f"{where}: is not a whole Parquet file ({one_line(error)})") from error
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"cannot read {where}: {one_line(error)}") from error


class ParquetColumn(StoredTexts):
    """The texts of one column of Parquet files; the row group that was read last stays in memory.

    Args:
        table: The files.
        name: Name of the column.
        change: What becomes of each text.
        optional: Whether a missing text is empty, and no fault.
    """

    def __init__(
        self, table: ParquetTable, name: str, change: Callable[[str], str] = str, optional: bool = False
    ) -> None:
        self._table = table
        self._name = name
        self._change = change
        self._optional = optional
        self._last: tuple[int, pa.ChunkedArray] | None = None

    def __len__(self) -> int:
        return len(self._table)

    def take(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the texts of some rows; each row group that holds some of them is read once."""
        texts = np.empty(len(rows), dtype=object)
        groups = self._table.groups_with(rows)
        for group in np.unique(groups):
            here = groups == group
            texts[here] = self._texts(int(group), rows[here])
        return texts.tolist()

    def group(self, number: int) -> pa.ChunkedArray:
        """Return the column of a row group as it is in the file."""
        if self._last is None or self._last[0] != number:
            self._last = None  # two of them need not be in memory
            self._last = number, self._table.read(self._name, number)
        return self._last[1]

    def _texts(self, group: int, rows: NDArray[np.int64]) -> list[str]:
        import pyarrow as pa

        first, _ = self._table.rows_of(group)
        try:
            texts = self.group(group).take(pa.array(rows - first)).to_pylist()
        except ValueError as error:  # of the decoder
            raise DataError(f"{shown(self._table.place)}: the column {self._name!r} is not UTF-8") from error
        if self._optional:
            texts = [text or "" for text in texts]
        elif None in texts:
            row = rows[texts.index(None)] + 1
            raise DataError(f"{shown(self._table.place)}, row {row}: the field {self._name!r} is missing")
        return [self._change(text) for text in texts]


def file_system(place: str | Path) -> tuple[FileSystem, str]:
    """Return the file system of a path or an address, and the path in it.

    Raises:
        DataError: It is an address of no known kind, or holds a password.
    """
    import pyarrow as pa
    from pyarrow import fs

    if isinstance(place, Path) or not is_address(place):
        return fs.LocalFileSystem(), str(place)
    scheme, _, rest = place.partition("://")
    if "@" in rest.partition("/")[0]:
        what = "an address with a password would be written to results; name credentials in the environment"
        raise DataError(f"{scheme}://...: {what}, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    try:
        files, path = fs.FileSystem.from_uri(place)
    except (pa.ArrowException, OSError, ValueError) as error:
        what = "pyarrow, which reads s3://, gs://, abfs://, hdfs:// and file://, says"
        raise DataError(f"{shown(place)}: cannot be read; {what}: {one_line(error)}") from error
    return files, path


def is_address(place: str) -> bool:
    """Whether a text is the address of something in a file system that is none of this machine's, or file://."""
    return "://" in place


def joined(address: str, place: str) -> str:
    """Return the address of a file or folder in a folder; what follows a question mark stays at the end."""
    folder, mark, options = address.partition("?")
    return f"{folder.rstrip('/')}/{place}{mark}{options}"


def _parquet_files(files: FileSystem, path: str) -> Sequence[FileInfo]:
    """Return the file itself, or the Parquet files of a folder in the order of their names."""
    from pyarrow import fs

    [info] = files.get_file_info([path.rstrip("/")])
    if info.type == fs.FileType.File:
        return [info]
    found = files.get_file_info(fs.FileSelector(info.path, allow_not_found=True))
    parts = [part for part in found if part.type == fs.FileType.File and part.base_name.endswith(SUFFIX)]
    return sorted(parts, key=lambda part: part.base_name)
