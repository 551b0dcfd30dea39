"""The user's own copies of repositories of the hub, read in its place."""

from __future__ import annotations

import os
import re
from pathlib import Path

from beir_hybrid.errors import BeirHybridError, DataError
from beir_hybrid.files import shown, user_path

COPIES = "BEIR_HYBRID_HUB"
"""Names the folder of copies; each has the name of its repository, ``<owner>/<name>``."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def copy_of(repository: str) -> Path | None:
    """Return the user's own copy of a repository of the hub.

    Args:
        repository: Its name, ``<owner>/<name>``; a path, or any other text, is no repository and has no copy.

    Returns:
        Its folder in the one that BEIR_HYBRID_HUB names; None where the variable is not set or has no such copy.

    Raises:
        DataError: BEIR_HYBRID_HUB names a folder that is not there.
    """
    root = folder_named_by(COPIES)
    if root is None or not _REPOSITORY.fullmatch(repository):
        return None
    if not root.is_dir():
        raise DataError(
            f"{COPIES}={shown(root)}: there is no such folder; it holds copies of repositories of the hub under their "
            f"names, such as {repository}"
        )
    folder = root / repository
    return folder if folder.is_dir() else None


def folder_named_by(variable: str, configured: Path | str | None = None) -> Path | None:
    """Return the folder that is given or that an environment variable names; None for neither. It need not exist.

    Raises:
        DataError: It names the home of nobody, or no path at all.
    """
    name = configured or os.environ.get(variable)
    try:
        return user_path(name, f"{variable}=") if name else None
    except BeirHybridError as error:
        raise DataError(str(error)) from error
