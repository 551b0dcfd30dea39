"""The folder that a leaderboard is written to: whole, or as it was before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import shown
from beir_hybrid.folders import replaced_folder

SUMS = "SHA256SUMS"
"""Names and checksums of the files of a leaderboard, as ``sha256sum --check`` reads them; tells our folders from
others."""


def replace_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a new folder, and put it in the place of ``target``.

    A process that is killed leaves the old files or the new ones, and a second one waits for the first.

    Args:
        target: The folder; it may hold a leaderboard that was written before, but nothing else.
        write: Writes the files into the folder it is given.

    Raises:
        BeirHybridError: The folder holds files of somebody else, or cannot be written.
    """
    with replaced_folder(target) as new:
        check_replaceable(target)
        fill(new, write)


def fill(folder: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill an empty folder, and add the checksums that mark it as a leaderboard's."""
    write(folder)
    (folder / SUMS).write_text(_sums(folder), encoding="utf-8", newline="\n")


def differences(one: Path, other: Path) -> list[str]:
    """Return the names of the files that two folders do not share byte for byte, in order."""
    names = _files(one) | _files(other)
    return sorted(name for name in names if _content(one / name) != _content(other / name))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _sums(folder: Path) -> str:
    names = sorted(_files(folder))
    return "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)


def check_replaceable(target: Path) -> None:
    """Make sure that a folder is not there, is empty, or holds a leaderboard and nothing else.

    Raises:
        BeirHybridError: It holds files of somebody else.
    """
    if target.exists() and not target.is_dir():
        raise BeirHybridError(f"cannot write {shown(target)}: it is a file; name another folder with --out")
    if not target.is_dir():
        return
    try:
        lines = (target / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    foreign = sorted(_files(target) - {SUMS} - {line[66:] for line in lines})
    if foreign:
        raise BeirHybridError(
            f"{shown(target)} holds {shown(foreign[0])}, which is not part of a leaderboard; "
            "name another folder with --out"
        )
