"""Where files are kept, how they are read, and how one is written as a whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from beir_hybrid.errors import BeirHybridError, DataError, first_line

HOME_HINT = "set BEIR_HYBRID_HOME to a folder you can write to"

_UMASK = os.umask(0o022)  # read once: asking means setting it for a moment, for all threads
os.umask(_UMASK)


def home() -> Path:
    """Return the folder for caches and rank tables: BEIR_HYBRID_HOME, else the user's cache folder."""
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
        raise BeirHybridError(f"{asked_by}{shown(name)}: {reason(error)}") from error
    return path


def shown(name: object, most: int = 200) -> str:
    """Return a name from a file or a user for a message: one line, nothing a terminal obeys, not endlessly long."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(name))
    return text if len(text) <= most else f"{text[:most]}..."


def make_folder(folder: Path) -> Path:
    """Create ``folder`` with its parents and return it.

    Raises:
        BeirHybridError: It cannot be created; below `home`, the message says how to choose another one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        hint = HOME_HINT if folder.is_relative_to(home()) else ""
        raise BeirHybridError(_with_hint(f"cannot create the folder {shown(folder)}: {reason(error)}", hint)) from error
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
        raise BeirHybridError(_with_hint(f"cannot write to {shown(folder)}: {reason(error)}", hint)) from error


def _with_hint(problem: str, hint: str) -> str:
    return f"{problem}; {hint}" if hint else problem


def reason(error: BaseException) -> str:
    """Return what an error says in a few words: that of the file system without the path."""
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
    """Turn what the file system says while a file is read into one line, an error of the given kind."""
    try:
        yield
    except OSError as error:
        raise kind(f"cannot read {shown(path)}: {reason(error)}") from error


_LARGEST = 1 << 30


def check_regular(path: Path, kind: type[BeirHybridError] = BeirHybridError, largest: int | None = _LARGEST) -> None:
    """Make sure that a path is a regular file: a device or a pipe may have no end.

    Raises:
        BeirHybridError: Of the given kind: there is no such file, it is something else, or it has more than ``largest``
            bytes, from which on it is not read into memory; None for any.
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


def read_text(path: Path, kind: type[BeirHybridError] = BeirHybridError) -> str:
    """Return the text of a UTF-8 file, its ends of lines as they are, without the byte order mark some editors write.

    Raises:
        BeirHybridError: Of the given kind: it cannot be read, is no regular file or a huge one, or is not UTF-8.
    """
    check_regular(path, kind)
    try:
        with reading(path, kind):
            return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise kind(f"{shown(path)}: byte {error.start} is not UTF-8; restore the file") from error


def read_json(path: Path, kind: type[BeirHybridError] = BeirHybridError) -> Any:
    """Return what a JSON file says.

    Raises:
        BeirHybridError: Of the given kind: it cannot be read, is not whole JSON, or an object has a key twice.
    """
    return _parsed(path, lambda text: json.loads(text, object_pairs_hook=object_of), "a whole JSON file", kind)


def read_toml(path: Path, kind: type[BeirHybridError] = BeirHybridError) -> dict[str, Any]:
    """Return what a TOML file says.

    Raises:
        BeirHybridError: Of the given kind: it cannot be read, or is not TOML.
    """
    content: dict[str, Any] = _parsed(path, tomllib.loads, "a TOML file", kind)
    return content


def _parsed(path: Path, parse: Callable[[str], Any], what: str, kind: type[BeirHybridError]) -> Any:
    text = read_text(path, kind)
    try:
        return parse(text)
    except RecursionError as error:
        raise kind(f"{shown(path)} is nested too deeply to be read") from error
    except ValueError as error:
        raise kind(f"{shown(path)} is not {what}: {first_line(error)}") from error


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make the object of a JSON file, whose keys must differ (else ValueError): an ``object_pairs_hook`` of json."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {shown(repr(twice))} is there twice")
    return content


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file's bytes as hexadecimal digits."""
    check_regular(path, largest=None)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# Writing


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside ``target`` that replaces ``target`` only if the block succeeds.

    Raises:
        BeirHybridError: The folder, which is created, is read-only, or the disk is full.
    """
    make_folder(target.parent)
    with writing(target):
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        os.close(handle)
    temporary = Path(name)
    try:
        with writing(target, temporary):
            yield temporary
            temporary.chmod(0o666 & ~_UMASK)  # the mode that open() would have given it, so that others can read it
            os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(target: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn what the file system says while a file or folder is written into one line.

    With ``temporary``, where its content is written first, errors about any other file pass.
    """
    try:
        yield
    except OSError as error:
        unnamed = type(error) is OSError and error.errno is None  # numpy's, for a full disk
        if temporary is not None and not unnamed and not is_about(error, target, temporary):
            raise
        raise BeirHybridError(f"cannot write {shown(target)}: {reason(error)}") from error


def write_json(path: Path, content: object, indent: int = 2, ensure_ascii: bool = True) -> None:
    """Write a JSON file atomically; a lone surrogate, which UTF-8 cannot hold, becomes a question mark."""
    text = json.dumps(content, indent=indent, ensure_ascii=ensure_ascii) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", errors="replace"))


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


def exists(path: Path) -> bool:
    """Say whether there is a file or folder; no for names that none can have, and where nobody may look."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def check_exists(folder: Path) -> None:
    """Make sure that there is a file or folder.

    Raises:
        BeirHybridError: There is not.
    """
    if not exists(folder):
        raise BeirHybridError(f"there is no file or folder {shown(folder)}")


def files_below(folder: Path, pattern: str) -> Sequence[Path]:
    """Find files below a folder, in the order of their names on every file system; a file is taken for itself.

    Raises:
        BeirHybridError: There is no such folder, or it is a device or a pipe.
    """
    check_exists(folder)
    if folder.is_dir():
        return sorted((path for path in folder.rglob(pattern) if path.is_file()), key=Path.as_posix)
    check_regular(folder, DataError, largest=None)
    return [folder]


def relative_to(folder: Path, path: Path) -> str:
    """Name a file by its place below the folder that was searched, which is the same on every machine."""
    return shown(path.relative_to(folder).as_posix() if path != folder else path.name)
