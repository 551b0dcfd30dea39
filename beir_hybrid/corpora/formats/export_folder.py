"""Folders that exports write: whole or not there at all, and never in the place of somebody else's files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, shown
from beir_hybrid.folders import replaced_folder

MARKER = ".beir-hybrid.json"
"""The file that tells a folder of ours from others."""

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Contents:
    """What an exported folder holds; stored in it as MARKER.

    Attributes:
        data_set: Name of the data set.
        revision: Commit or content hash of its texts.
        licence: Its licence, if known.
        subsets: The exported pairs of question language and pool, such as ``en-de`` and ``en-multi``.
        languages: Languages of a corpus, in a row; "" where subsets of others can be added.
        files: What the files are: ``jsonl``, ``parquet`` or ``trec``.
        format_version: Version of the layout.
    """

    data_set: str
    revision: str
    licence: str | None
    subsets: Sequence[str]
    languages: str = ""
    files: str = ""
    format_version: int = FORMAT_VERSION

    def same_texts(self, other: Contents) -> bool:
        """Whether the files of two exports can stand beside each other."""
        ours, theirs = (replace(contents, licence=None, subsets=()) for contents in (self, other))
        return ours == theirs

    def __str__(self) -> str:
        languages = f" in {self.languages}" if self.languages else ""
        return shown(f"{self.data_set} {self.revision[:20]}{languages} ({self.files or 'of an older version'})")

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
        return contents if well_formed and isinstance(contents.revision, str) else None


@contextmanager
def export_folder(target: Path, contents: Contents, force: bool = False) -> Iterator[Path]:
    """Give a new folder to write to, and put it in the place of ``target`` if the block succeeds.

    A folder of ours with the same texts is refreshed: what else it holds goes into the new one, too. Any other folder
    that is not empty is left alone, or, with ``force``, replaced. A process that is killed leaves the old folder or
    the new one, and a second one waits for the first.

    Args:
        target: The folder to export to.
        contents: What is exported.
        force: Replace a folder that is not ours, or of another revision, other languages or another format.

    Yields:
        The folder to write to.

    Raises:
        BeirHybridError: The target must not be replaced or cannot be written.
    """
    _check(target, contents, force)  # before another process is waited for
    with replaced_folder(target) as new:
        old = _check(target, contents, force)
        yield new
        if old is None:
            contents.write(new)
        else:
            replace(contents, subsets=list(dict.fromkeys([*old.subsets, *contents.subsets]))).write(new)
            _keep(target, new)


def _check(target: Path, contents: Contents, force: bool) -> Contents | None:
    """Return what the export that is to be completed holds, None if there is none.

    Raises:
        BeirHybridError: Something else is in the way.
    """
    not_a_folder = next((path for path in (target, *target.parents) if path.exists() and not path.is_dir()), None)
    if not_a_folder is not None:
        raise BeirHybridError(f"cannot write {shown(target)}: {shown(not_a_folder)} is a file; name another folder")
    check_writable(target, hint="name another folder with --out")
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
        what = f"holds {old}, not {contents}"
    raise BeirHybridError(f"{target} exists and {what}; name another folder, or replace this one with --force")


def _keep(old: Path, new: Path) -> None:
    """Put what ``new`` lacks of ``old`` into it, under a second name where the file system knows hard links."""

    def refuse(error: OSError) -> None:  # what cannot be read would be lost
        raise error

    for folder, folders, files in os.walk(old, onerror=refuse):
        place = new / Path(folder).relative_to(old)
        place.mkdir(exist_ok=True)
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in [*files, *links]:
            if not os.path.lexists(place / name):
                give_name(Path(folder, name), place / name)


def give_name(file: Path, name: Path) -> None:
    """Give a file another name, by a copy where there are no hard links."""
    try:
        os.link(file, name, follow_symlinks=False)
    except (OSError, NotImplementedError):  # no hard links here, or not of symbolic ones
        shutil.copy2(file, name, follow_symlinks=False)
