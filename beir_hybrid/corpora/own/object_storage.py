"""Corpora in object storage: what is small is copied to this machine, passages stay where they are."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

from beir_hybrid.corpora.own.description import Description, read_description
from beir_hybrid.corpora.own.faults import Faults
from beir_hybrid.corpora.own.layout import IN_FOLDER, places_of
from beir_hybrid.corpora.parquet_texts import SUFFIX, file_system, is_address, joined
from beir_hybrid.corpora.spec import CORPUS_FILE
from beir_hybrid.errors import DataError, one_line
from beir_hybrid.files import atomic_path, home, make_folder, shown

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

_AT_ONCE = 1 << 20
"""Bytes copied at once."""


def copied(address: str) -> tuple[Path, dict[str, str]]:
    """Copy a corpus in object storage to this machine, but for its passages.

    Only files are looked for that a corpus has, by their names, so that no name there becomes a path here.

    Args:
        address: The folder of the corpus, such as ``s3://bucket/help-centre``.

    Returns:
        The folder of the copy, and language -> address of its passages.

    Raises:
        DataError: It cannot be read, or its passages are not Parquet.
    """
    files, root = file_system(address)
    root = root.rstrip("/")
    try:
        there = _listed(files, root)
        if CORPUS_FILE not in there:
            raise DataError(
                f"{shown(joined(address, CORPUS_FILE))}: the file is missing, or nobody may read it from here"
            )
        content = hashlib.sha256(repr([address, *sorted((k, i.size, i.mtime_ns) for k, i in there.items())]).encode())
        folder = make_folder(home() / "object-storage" / content.hexdigest()[:16])
        _copy(files, there[CORPUS_FILE], folder / CORPUS_FILE)
        description = read_description(folder, Faults())
        assert description is not None, "the first fault is raised"
        passages = _passages(address, description, there)
        for language in description.languages:
            for place in (place for kind in IN_FOLDER for place in places_of(language, kind)):
                if place in there and joined(address, place) != passages.get(language):
                    _copy(files, there[place], folder / place)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {shown(address)}: {one_line(error)}") from error
    return folder, passages


def _listed(files: FileSystem, root: str) -> dict[str, FileInfo]:
    """Return the files of a folder, and of the folders in it, by their place in the folder."""
    from pyarrow import fs

    found = files.get_file_info(fs.FileSelector(root, allow_not_found=True, recursive=True))
    return {info.path[len(root) + 1 :]: info for info in found if info.type == fs.FileType.File}


def _passages(address: str, description: Description, there: Container[str]) -> dict[str, str]:
    """Return language -> address of its passages, of those that are Parquet."""
    languages, place = description.languages, description.passages
    if place:
        place = place if is_address(place) else joined(address, place)
        return {language: place.replace("{language}", language) for language in languages}
    stored = {x: [p for p in places_of(x, "corpus") if p in there and p.endswith(SUFFIX)] for x in languages}
    return {language: joined(address, places[0]) for language, places in stored.items() if places}


def _copy(files: FileSystem, source: FileInfo, target: Path) -> None:
    """Copy a file, unless that has been done."""
    if target.exists():
        return
    make_folder(target.parent)
    with (
        atomic_path(target) as temporary,
        files.open_input_stream(source.path) as stream,
        temporary.open("wb") as file,
    ):
        shutil.copyfileobj(stream, file, _AT_ONCE)
