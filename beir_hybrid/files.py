"""Where files are kept, how they are read, and how they are written so that no process, killed or beside us, loses any.

One helper for each: reading a file, writing one atomically, replacing a folder, excluding other processes, and turning
a name into that of a folder.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import logging
import os
import re
import shutil
import stat
import sys
import tempfile
import tomllib
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.errors import BeirHybridError, first_line

if TYPE_CHECKING:
    from filelock import FileLock

logger = logging.getLogger("mteb.beir_hybrid")

HOME_HINT = "set BEIR_HYBRID_HOME to a folder you can write to"

_UMASK = os.umask(0o022)  # read once: asking means setting it for a moment, for all threads
os.umask(_UMASK)


def home() -> Path:
    """Return the folder for caches and rank tables: BEIR_HYBRID_HOME, else the user's cache folder.

    Raises:
        BeirHybridError: It names the home of nobody, or no path at all.
    """
    configured = os.environ.get("BEIR_HYBRID_HOME")
    if configured:
        try:
            return user_path(configured, "BEIR_HYBRID_HOME=")
        except BeirHybridError as error:
            raise BeirHybridError(f"{error}; {HOME_HINT}") from error
    import pooch

    return Path(pooch.os_cache("beir-hybrid"))


def user_path(name: str | Path, asked_by: str = "") -> Path:
    """Return the path that a user wrote, ``~`` and ``~user`` expanded.

    Args:
        name: The path.
        asked_by: What stands before the path in messages, such as ``--out ``.

    Raises:
        BeirHybridError: The user's home is not known, or no file can have such a name.
    """
    try:
        path = Path(name).expanduser()
        str(path).encode("utf-8")  # a name in no encoding ends what other libraries write, after hours of work
        os.stat(path)
    except FileNotFoundError:
        pass
    except RuntimeError as error:  # of expanduser
        raise BeirHybridError(f"{asked_by}{shown(name)}: there is no such home folder") from error
    except (OSError, ValueError) as error:  # too long, a null byte, not UTF-8, a loop of links, not allowed to look
        raise BeirHybridError(f"{asked_by}{shown(name)}: {_reason(error)}") from error
    return path


def shown(name: object, most: int = 200) -> str:
    """Return a name from a file or a user for a message: one line, nothing a terminal obeys, not endlessly long."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(name))
    return text if len(text) <= most else f"{text[:most]}..."


def make_folder(folder: Path, hint: str = HOME_HINT) -> Path:
    """Create ``folder`` with its parents and return it.

    Args:
        folder: The folder.
        hint: What to do where it cannot be created.

    Raises:
        BeirHybridError: It cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise BeirHybridError(
            f"cannot create the folder {shown(folder)}: {_reason(error)}{'; ' if hint else ''}{hint}"
        ) from error
    return folder


def check_writable(folder: Path, hint: str = HOME_HINT) -> None:
    """Make sure that files can be written to a folder, before hours of work end in an error; nothing is left there.

    Args:
        folder: The folder; where it does not exist, the one that it would be created in is tried.
        hint: What to do where nothing can be written.

    Raises:
        BeirHybridError: It is a file, read-only, or on a full disk.
    """
    try:
        target = Path(os.path.realpath(folder))
        place = next(path for path in (target, *target.parents) if os.path.lexists(path))
        if not place.is_dir():
            what = "is a file" if place.is_file() else "is not a folder"
            raise NotADirectoryError(errno.ENOTDIR, f"{shown(place)} {what}")
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(4096))
    except (OSError, ValueError) as error:
        raise BeirHybridError(
            f"cannot write to {shown(folder)}: {_reason(error)}{'; ' if hint else ''}{hint}"
        ) from error


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or first_line(error)


_DISK_ERRORS = {errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}


def is_about(error: OSError, *places: Path) -> bool:
    """Whether an error of the file system is about some files or folders, what is below them, or a full disk.

    Errors of the network are of the same class, and a tracker's or a download's are not about what we write.
    """
    if isinstance(error, ConnectionError | TimeoutError):
        return False
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes | Path)]
    if not names:
        return error.errno in _DISK_ERRORS
    paths = [Path(name) for name in names]
    return any(place == path or place in path.parents for place in places for path in paths)


# Reading


@contextmanager
def reading(path: Path, kind: type[BeirHybridError] = BeirHybridError) -> Iterator[None]:
    """Turn what the file system says while a file is read into one line.

    Args:
        path: The file.
        kind: The error to raise.

    Raises:
        BeirHybridError: Of that kind: the file cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise kind(f"cannot read {shown(path)}: {_reason(error)}") from error


def read_text(path: Path, kind: type[BeirHybridError] = BeirHybridError) -> str:
    """Return the text of a UTF-8 file, without the byte order mark that some editors write.

    Ends of lines stay as they are.

    Raises:
        BeirHybridError: Of the given kind: it cannot be read, is no regular file or a huge one, or is not UTF-8.
    """
    check_regular(path, kind)
    try:
        with reading(path, kind):
            return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise kind(f"{shown(path)}: byte {error.start} is not UTF-8; restore the file") from error


_LARGEST = 1 << 30


def check_regular(path: Path, kind: type[BeirHybridError] = BeirHybridError, largest: int | None = _LARGEST) -> None:
    """Make sure that a path is a regular file: a device or a pipe may have no end.

    Args:
        path: The file.
        kind: The error to raise.
        largest: Bytes from which on a file is not read into memory; None for any.

    Raises:
        BeirHybridError: Of that kind: there is no such file, it is something else, or it is larger.
    """
    try:
        with reading(path, kind):
            facts = path.stat()
    except ValueError as error:  # a null byte in the name
        raise kind(f"cannot read {shown(path)}: {first_line(error)}") from error
    if not stat.S_ISREG(facts.st_mode):
        what = "it is a folder" if stat.S_ISDIR(facts.st_mode) else "it is no regular file"
        raise kind(f"cannot read {shown(path)}: {what}")
    if largest is not None and facts.st_size > largest:
        raise kind(f"cannot read {shown(path)}: it has {facts.st_size:,} bytes; up to {largest:,} are read")


def read_json(path: Path, kind: type[BeirHybridError] = BeirHybridError) -> Any:
    """Return what a JSON file says.

    Raises:
        BeirHybridError: Of the given kind: it cannot be read, is not whole JSON, or an object has a key twice.
    """
    text = read_text(path, kind)
    try:
        return json.loads(text, object_pairs_hook=object_of)
    except RecursionError as error:
        raise kind(f"{shown(path)} is nested too deeply to be read") from error
    except ValueError as error:
        raise kind(f"{shown(path)} is not a whole JSON file: {first_line(error)}") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file's bytes as hexadecimal digits."""
    check_regular(path, largest=None)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make the object of a JSON file, whose keys must differ: an ``object_pairs_hook`` of the module json.

    Raises:
        ValueError: A key is there twice.
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {shown(repr(twice))} is there twice")
    return content


def read_toml(path: Path, kind: type[BeirHybridError] = BeirHybridError) -> dict[str, Any]:
    """Return what a TOML file says.

    Raises:
        BeirHybridError: Of the given kind: it cannot be read, or is not TOML.
    """
    text = read_text(path, kind)
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise kind(f"{shown(path)} is nested too deeply to be read") from error
    except ValueError as error:
        raise kind(f"{shown(path)} is not a TOML file: {first_line(error)}") from error


# Writing


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside ``target`` that replaces ``target`` only if the block succeeds.

    Args:
        target: The file to write; its folder is created.

    Yields:
        The path to write to.

    Raises:
        BeirHybridError: The folder is read-only or the disk is full.
    """
    make_folder(target.parent)
    with _writing(target):
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        os.close(handle)
    temporary = Path(name)
    try:
        with _writing(target, temporary):
            yield temporary
            temporary.chmod(0o666 & ~_UMASK)  # the mode that open() would have given it, so that others can read it
            os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def _writing(target: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn what the file system says of a file that is written, and of no other, into one line."""
    try:
        yield
    except OSError as error:
        unnamed = type(error) is OSError and error.errno is None  # numpy's, for a full disk
        if temporary is not None and not unnamed and not is_about(error, target, temporary):
            raise
        raise BeirHybridError(f"cannot write {shown(target)}: {_reason(error)}") from error


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
    make_folder(target.parent, hint="")
    file = target.with_name(f".{target.name}.lock")
    with _writing(target):
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
    """A lock that one process holds, without waiting, until it lets go or dies.

    Args:
        file: The file of the lock; its folder is created.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock: FileLock | None = None

    def acquire(self) -> bool:
        """Take the lock; return whether it is this process's now.

        Raises:
            BeirHybridError: The file cannot be written.
        """
        from filelock import Timeout

        make_folder(self._file.parent)
        with _writing(self._file):
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
    with locked(target), temporary_folder(target) as new, _writing(target, new):
        yield new
        put_in_place(new, target)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Make a new folder beside ``target`` for `put_in_place`, and delete it after the block if it is still there.

    Raises:
        BeirHybridError: It cannot be made.
    """
    new = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    with _writing(target):
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
    if target.exists() and exchange(new, target):
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


# Names

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST = 100


def as_folder(name: str) -> str:
    r"""Turn the name or revision of a model, or any other name, into the name of one folder or file.

    Slashes and spaces are replaced as in MTEB's results folder. A name that some system would not take, or would take
    for a path (``..``, ``C:\models``, ``NUL``, a thousand letters), keeps its harmless letters, and a digest of the
    whole name follows, so that different names stay different.
    """
    usual = name.replace("/", "__").replace(" ", "_")
    safe = re.sub(r"[^\w.+=@,-]", "_", usual)[:_LONGEST]
    while len(os.fsencode(safe)) > 2 * _LONGEST:
        safe = safe[:-1]
    safe = safe.lstrip(".").rstrip(".")
    if safe == usual and safe and not _RESERVED.fullmatch(safe):
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{'_' if _RESERVED.fullmatch(safe) else ''}{safe or '_'}-{digest}"
