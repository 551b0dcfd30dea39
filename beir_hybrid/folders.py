"""Files and folders that several processes write: locks, and folders that are replaced as a whole.

Whatever is killed and when, the old folder or the new one is there, and who writes next clears away what was left.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import make_folder, shown, writing

if TYPE_CHECKING:
    from filelock import FileLock

logger = logging.getLogger("mteb.beir_hybrid")


@contextmanager
def locked(target: Path, wait: bool = True) -> Iterator[None]:
    """Keep other processes from writing a file or a folder while the block runs.

    The lock is the file ``.<name>.lock`` beside the target; the system releases it when a process dies. What a process
    that was killed while it wrote has left behind is cleared away first: a folder that was being replaced is put back.

    Args:
        target: The file or folder, or a link to it; its parent is created.
        wait: Wait for another process; if not, that is an error.

    Raises:
        BeirHybridError: The parent is read-only, or another process is at work there and ``wait`` is False.
    """
    from filelock import Timeout

    target = Path(os.path.realpath(target))
    if not target.name:
        raise BeirHybridError(f"{target} cannot be written as a whole; name a folder in it")
    make_folder(target.parent)
    file = target.with_name(f".{target.name}.lock")
    with writing(target):
        try:
            lock = _acquire(file, timeout=1 if wait else 0)
        except Timeout:  # an OSError, too
            if not wait:
                raise BeirHybridError(f"another process is writing {shown(target)}; wait for it, or stop it") from None
            logger.warning(f"Another process is writing {shown(target)}; waiting for it.")
            lock = _acquire(file, timeout=-1)
    try:
        _clear_leftovers(target)
        yield
    finally:
        if _is_of(lock, file):
            with suppress(OSError):  # Windows deletes no open file, and filelock does it there
                file.unlink()
        lock.release()


def _acquire(file: Path, timeout: float) -> FileLock:
    """Acquire a lock whose file is deleted when it is released: another process may have waited for a deleted one."""
    from filelock import FileLock

    while True:
        lock = FileLock(file)
        lock.acquire(timeout=timeout)
        if _is_of(lock, file) is not False:
            return lock
        lock.release()


def _is_of(lock: FileLock, file: Path) -> bool | None:
    """Whether a lock that is held is that of the file which is there now; None where filelock does not tell."""
    descriptor = getattr(getattr(lock, "_context", None), "lock_file_fd", None)
    if descriptor is None or sys.platform == "win32":
        return None
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(file))
    except FileNotFoundError:
        return False


class ProcessLock:
    """A lock, of a file whose folder is created, that one process holds, without waiting, until it lets go or dies."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock: FileLock | None = None

    def acquire(self) -> bool:
        """Take the lock; return whether it is this process's now."""
        from filelock import Timeout

        make_folder(self._file.parent)
        with writing(self._file):
            try:
                self._lock = _acquire(self._file, timeout=0)
            except Timeout:  # an OSError, too
                return False
        return True

    def release(self) -> None:
        """Let go, if the lock was taken."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _clear_leftovers(target: Path) -> None:
    """Put back what a killed process had moved away, and delete what it had not finished."""
    recover_folder(target)
    shutil.rmtree(_previous(target), ignore_errors=True)
    unfinished = re.compile(rf"\.{re.escape(target.name)}\.[^.]{{8}}\.tmp")  # not that of a target "<name>.<more>"
    for leftover in [path for path in target.parent.iterdir() if unfinished.fullmatch(path.name)]:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Give a new folder beside ``target`` that takes its place if the block succeeds, and keep others from writing it.

    At every moment the old folder or the new one is there: the two change places in one step, on Linux and macOS. On
    other systems it takes two renames, and a process that is killed between them is made good by the next one that
    writes, or looks by ``recover_folder``.

    Args:
        target: The folder; a link is followed, and not replaced. Whether its content may go is for the caller to
            check, inside the block.

    Yields:
        The folder to write to.

    Raises:
        BeirHybridError: It cannot be written.
    """
    target = Path(os.path.realpath(target))
    with locked(target), temporary_folder(target) as new, writing(target, new):
        yield new
        put_in_place(new, target)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Make a new folder beside ``target`` for `put_in_place`; it is deleted after the block if it is still there."""
    new = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    with writing(target):
        new.mkdir()
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def put_in_place(new: Path, target: Path) -> None:
    """Make the folder ``new`` the ``target``, and delete what was there. The caller holds the lock of ``target``.

    Raises:
        OSError: It could not be done; what was there is there.
    """
    if target.exists():
        if not target.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file", str(target))
        shutil.copymode(target, new)
        if exchange(new, target):
            shutil.rmtree(new, ignore_errors=True)
            return
    previous = _previous(target)
    shutil.rmtree(previous, ignore_errors=True)
    if target.exists():
        os.rename(target, previous)
    try:
        os.rename(new, target)
    finally:
        recover_folder(target)
    shutil.rmtree(previous, ignore_errors=True)


def recover_folder(target: Path) -> None:
    """Put a folder back whose replacement was cut short between two renames."""
    if not target.exists():
        with suppress(OSError):  # there is none, or another process did
            os.rename(_previous(target), target)


_HERE = -100
"""AT_FDCWD: paths are relative to the working folder."""

_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS."""


def exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where the system or the file system cannot."""
    first, second = os.fsencode(one), os.fsencode(other)
    try:
        libc = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return bool(libc.renamex_np(first, second, _EXCHANGE) == 0)
        return bool(libc.renameat2(_HERE, first, _HERE, second, _EXCHANGE) == 0)
    except (AttributeError, OSError, TypeError):
        return False
