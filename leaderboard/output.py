"""The folder that a leaderboard is written to: whole, or as it was before."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import make_folder

SUMS = "SHA256SUMS"
"""Names and checksums of the files of a leaderboard, as ``sha256sum --check`` reads them; tells our folders from
others."""


def replace_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a new folder, and put it in the place of ``target``.

    A process that is killed leaves the old files or the new ones: on Linux and macOS the two folders change places in
    one step, elsewhere in two renames.

    Args:
        target: The folder; it may hold a leaderboard that was written before, but nothing else.
        write: Writes the files into the folder it is given.

    Raises:
        BeirHybridError: The folder holds files of somebody else, or cannot be written.
    """
    target = target.resolve()  # a link is followed, and not replaced
    check_replaceable(target)
    new = target.with_name(f".{target.name}.new")
    make_folder(target.parent)
    try:
        shutil.rmtree(new, ignore_errors=True)  # what a killed run left behind
        new.mkdir()
        try:
            write(new)
            (new / SUMS).write_text(_sums(new), encoding="utf-8", newline="\n")
            _put_in_place(new, target)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise BeirHybridError(f"cannot write {target}: {error.strerror or error}") from error


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
        raise BeirHybridError(f"cannot write {target}: it is a file; name another folder with --out")
    if not target.is_dir():
        return
    try:
        lines = (target / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    foreign = sorted(_files(target) - {SUMS} - {line[66:] for line in lines})
    if foreign:
        raise BeirHybridError(
            f"{target} holds {foreign[0]}, which is not part of a leaderboard; name another folder with --out"
        )


def _put_in_place(new: Path, target: Path) -> None:
    """Make ``new`` the ``target``; what was there is then at ``new``."""
    if not target.exists():
        os.rename(new, target)
    elif not _exchange(new, target):
        old = target.with_name(f".{target.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        os.rename(target, old)
        os.rename(new, target)
        os.rename(old, new)


_HERE = -100
"""AT_FDCWD: paths are relative to the working folder."""

_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS."""


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where the system or the file system cannot."""
    first, second = os.fsencode(one), os.fsencode(other)
    try:
        libc = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return bool(libc.renamex_np(first, second, _EXCHANGE) == 0)
        return bool(libc.renameat2(_HERE, first, _HERE, second, _EXCHANGE) == 0)
    except (AttributeError, OSError, TypeError):  # Windows, or a C library without these functions
        return False
