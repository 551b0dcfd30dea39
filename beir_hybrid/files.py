"""Where files are kept, and how they are written so that a killed run leaves nothing half-written."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from beir_hybrid.errors import BeirHybridError


def home() -> Path:
    """Return the folder for caches and rank tables: BEIR_HYBRID_HOME, else the user's cache folder."""
    configured = os.environ.get("BEIR_HYBRID_HOME")
    if configured:
        return Path(configured).expanduser()
    import pooch

    return Path(pooch.os_cache("beir-hybrid"))


def make_folder(folder: Path) -> Path:
    """Create ``folder`` with its parents and return it.

    Raises:
        BeirHybridError: It cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BeirHybridError(
            f"cannot create the folder {folder}: {error.strerror or error}; "
            "set BEIR_HYBRID_HOME to a folder you can write to"
        ) from error
    return folder


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file says.

    Raises:
        BeirHybridError: It cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BeirHybridError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise BeirHybridError(f"{path} is not a TOML file: {error}") from error


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
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise BeirHybridError(f"cannot write {target}: {error.strerror or error}") from error
    temporary = Path(name)
    try:
        yield temporary
        _as_if_opened(temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise BeirHybridError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _as_if_opened(path: Path) -> None:
    """Give a file of mkstemp (mode 600) the mode that open() would have given it, so that others can read it."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)
