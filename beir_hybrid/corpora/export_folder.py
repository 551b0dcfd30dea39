"""Folders that exports write: whole or not there at all, and never in the place of somebody else's files."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from beir_hybrid.errors import BeirHybridError

MARKER = ".beir-hybrid.json"
"""The file that tells a folder of ours from others."""

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Contents:
    """What an exported folder holds; stored in it as MARKER.

    Attributes:
        data_set: Name of the data set.
        revision: Commit or content hash of its texts.
        licence: Its licence, if known.
        subsets: The exported pairs of question language and pool, such as ``en-de`` and ``en-multi``.
        format_version: Version of the layout.
    """

    data_set: str
    revision: str
    licence: str | None
    subsets: Sequence[str]
    format_version: int = FORMAT_VERSION

    def same_texts(self, other: Contents) -> bool:
        """Whether the files of two exports can stand beside each other."""
        ours, theirs = ((contents.data_set, contents.revision, contents.format_version) for contents in (self, other))
        return ours == theirs

    def write(self, folder: Path) -> None:
        """Mark a folder as ours."""
        (folder / MARKER).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Contents | None:
        """Read what a folder says of itself; None if it is not ours."""
        try:
            contents = cls(**json.loads((folder / MARKER).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        subsets = contents.subsets
        well_formed = isinstance(subsets, list) and all(isinstance(subset, str) for subset in subsets)
        return contents if well_formed else None


@contextmanager
def export_folder(target: Path, contents: Contents, force: bool = False) -> Iterator[Path]:
    """Give a new folder beside ``target`` to write to, and put it in the place of ``target`` if the block succeeds.

    A folder of ours with the same texts is completed file by file, and what else lies in it stays. Any other folder
    that is not empty is left alone, or, with ``force``, replaced as a whole.

    Args:
        target: The folder to export to.
        contents: What is exported.
        force: Replace a folder that is not ours, or of another revision.

    Yields:
        The folder to write to.

    Raises:
        BeirHybridError: The target must not be replaced or cannot be written.
    """
    try:
        target = target.resolve()  # a link is followed, and not replaced
        old = _check(target, contents, force)
        new = _beside(target, "tmp")
        new.mkdir(parents=True)
        try:
            yield new
            if old is None:
                contents.write(new)
                _replace(target, new)
            else:
                subsets = list(dict.fromkeys([*old.subsets, *contents.subsets]))
                _complete(target, new)
                Contents(contents.data_set, contents.revision, contents.licence, subsets).write(new)
                os.replace(new / MARKER, target / MARKER)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise BeirHybridError(f"cannot write {target}: {error.strerror or error}") from error


def _check(target: Path, contents: Contents, force: bool) -> Contents | None:
    """Return what the export that is to be completed holds, None if there is none.

    Raises:
        BeirHybridError: Something else is in the way.
    """
    not_a_folder = next((path for path in (target, *target.parents) if path.exists() and not path.is_dir()), None)
    if not_a_folder is not None:
        raise BeirHybridError(f"cannot write {target}: {not_a_folder} is a file; name another folder")
    if not target.is_dir() or not any(target.iterdir()):
        return None
    old = Contents.read(target)
    if old is not None and old.same_texts(contents):
        return old
    if force:
        return None
    if old is None:
        what = f"is not an export of BEIR-Hybrid (it has no valid {MARKER})"
    else:
        what = f"holds {old.data_set} {old.revision[:20]}, not {contents.data_set} {contents.revision[:20]}"
    raise BeirHybridError(f"{target} exists and {what}; name another folder, or replace this one with --force")


def _beside(target: Path, kind: str) -> Path:
    # Hidden, so that what a killed export leaves behind is not taken for an export.
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.{kind}")


def _replace(target: Path, new: Path) -> None:
    """Rename ``new`` to ``target``; what was there is deleted once that has succeeded."""
    old = None
    if target.exists():
        old = _beside(target, "old")
        os.rename(target, old)
    try:
        os.rename(new, target)
    except OSError:
        if old is not None:
            with suppress(OSError):
                os.rename(old, target)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _complete(target: Path, new: Path) -> None:
    """Move the files of ``new`` to their places below ``target``, each in one step."""
    for path in sorted(new.rglob("*")):
        place = target / path.relative_to(new)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            os.replace(path, place)
