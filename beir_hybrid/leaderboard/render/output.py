"""The folder that a leaderboard is written to: whole, or as it was before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import sha256_of, shown
from beir_hybrid.folders import replaced_folder
from beir_hybrid.leaderboard.inputs.reports import copy_reports, reports_beside

SUMS = "SHA256SUMS"
"""Names and checksums of the files of a leaderboard, as ``sha256sum --check`` reads them; tells our folders from
others."""


def replace_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a new folder, and put it in the place of ``target``; reports that lie there stay.

    A process that is killed leaves the old files or the new ones, and a second one waits for the first.

    Args:
        target: The folder; it may hold a leaderboard that was written before, but nothing else.
        write: Writes the files into the folder it is given.

    Raises:
        BeirHybridError: The folder holds files of somebody else, or cannot be written.
    """
    with replaced_folder(target) as new:
        check_replaceable(target)
        copy_reports(target, new)
        fill(new, write)


def fill(folder: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a folder that holds nothing but reports, and add the checksums that mark a leaderboard."""
    write(folder)
    lines = [f"{digest}  {name}\n" for name, digest in sorted(_digests(folder).items())]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8", newline="\n")


def differences(one: Path, other: Path) -> list[str]:
    """Return the names of the files that two folders do not share byte for byte, in order."""
    return sorted({name for name, _ in _digests(one).items() ^ _digests(other).items()})


def _digests(folder: Path) -> dict[str, str]:
    """Name of each file of a leaderboard -> its SHA-256."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    reports = reports_beside(folder)
    return {name: sha256_of(path) for name, path in files.items() if name not in reports}


def check_replaceable(target: Path) -> None:
    """Make sure that a folder is not there, is empty, or holds a leaderboard, reports, and nothing else.

    Raises:
        BeirHybridError: It holds files of somebody else.
    """
    if target.exists() and not target.is_dir():
        raise BeirHybridError(f"cannot write {shown(target)}: it is a file; name another folder with --out")
    try:
        lines = (target / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    ours = {SUMS, *(line[66:] for line in lines), *reports_beside(target)}
    names = (path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    foreign = min((name for name in names if name not in ours), default=None)
    if foreign is not None:
        raise BeirHybridError(
            f"{shown(target)} holds {shown(foreign)}, which is not part of a leaderboard; "
            "name another folder with --out"
        )
