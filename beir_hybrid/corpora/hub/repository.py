"""A data set of the hub: whether it can be had, from where, and what names the exact files."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from beir_hybrid.corpora.hub.copies import COPIES, copy_of, folder_named_by
from beir_hybrid.errors import DataError, one_line
from beir_hybrid.files import reading, shown
from beir_hybrid.quiet import silenced

# Seconds until the hub must answer: without a network the answer is an error, and an error must come at once. The
# hub's own client tries for half a minute.
CONNECT_TIMEOUT = 3


@dataclass(frozen=True)
class Repository:
    """A repository of the hub with a data set, or the user's own copy of it.

    Attributes:
        path: Its name, ``<owner>/<name>``.
        revision: The commit, branch or tag that is read; "" for the newest commit.
        variable: Environment variable of this one's own that names a copy, before BEIR_HYBRID_HUB; "" for none.
    """

    path: str
    revision: str
    variable: ClassVar[str] = ""

    @property
    def folder(self) -> Path | None:
        """The user's own copy, if there is one: that of its own variable, or the one named like the repository in it.

        Raises:
            DataError: BEIR_HYBRID_HUB names a folder that is not there.
        """
        root = folder_named_by(self.variable) if self.variable else None
        if root is None:
            return copy_of(self.path)
        inside = root / self.path.rpartition("/")[2]
        return inside if inside.is_dir() else root

    def configs(self) -> frozenset[str]:
        """Return the names of its configurations.

        Raises:
            DataError: It cannot be had.
        """
        folder = self.folder
        if folder is not None:
            return _configs_of(folder, self.check, fingerprint(files_of(folder, self.check)))
        from huggingface_hub import constants

        if not constants.HF_HUB_OFFLINE and not _answers(constants.ENDPOINT, int(time.monotonic() // 60)):
            raise DataError(f"{self.path}: {constants.ENDPOINT} does not answer; {self.ways_out}")
        from datasets import get_dataset_config_names

        try:
            return frozenset(get_dataset_config_names(self.path, self.revision or None))
        except Exception as error:  # of the hub's client
            what = "not on this machine" if constants.HF_HUB_OFFLINE else "cannot be read"
            raise DataError(f"{self.path}: {what} ({one_line(error)}); {self.ways_out}") from error

    def check_available(self) -> None:
        """Make sure that it can be had, quickly: from the user's own copy, or from the hub or its client's cache.

        Raises:
            DataError: It cannot.
        """
        from huggingface_hub import constants

        if self.folder is None and not constants.HF_HUB_OFFLINE:
            if not _answers(constants.ENDPOINT, int(time.monotonic() // 60)):
                raise DataError(f"{self.path}: {constants.ENDPOINT} does not answer; {self.ways_out}")
        else:
            self.configs()

    @property
    def exact_revision(self) -> str:
        """What names the exact files: the revision, or a hash of the user's own copy.

        Raises:
            DataError: The copy cannot be read.
        """
        folder = self.folder
        return self.revision if folder is None else f"local-{content_hash(folder, files_of(folder, self.check))}"

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Surround what the hub's client reads of it.

        The client keeps what it has prepared of a copy under the name of its folder and the patterns of its files,
        whatever is in them: another copy of that name, or the same one when it has changed, would be taken for it.
        Here the content decides. A copy is read without progress bars.

        Raises:
            DataError: The copy cannot be read.
        """
        if self.folder is None:
            yield
            return
        from datasets import config

        usual = config.HF_DATASETS_CACHE
        config.HF_DATASETS_CACHE = Path(usual) / "beir-hybrid-copies" / self.exact_revision
        try:
            with silenced("datasets"):
                yield
        finally:
            config.HF_DATASETS_CACHE = usual

    @property
    def check(self) -> str:
        """What a user looks at when a copy cannot be read."""
        return f"check {self.variable or COPIES}"

    @property
    def ways_out(self) -> str:
        """What a user can do where it cannot be had."""
        own = self.variable
        if self.folder is not None:
            if not own:
                return f"{COPIES} must hold copies of the hub's repositories, among them {self.path}"
            return f"{own} must name a copy of the hub's repository {self.path}, or several under their names"
        copy = f"{own} to a copy" if own else f"{COPIES} to a folder that holds, under its name, a copy"
        return (
            f"set {copy} of the hub's repository {self.path}, or HF_HUB_OFFLINE=1 to use what the hub's "
            "client has downloaded before, or try again where there is a network"
        )


@lru_cache(maxsize=1)
def _answers(address: str, minute: int) -> bool:
    """Whether the hub answers; asked once a minute."""
    import requests

    try:
        requests.head(address, timeout=CONNECT_TIMEOUT)
    except requests.RequestException:
        return False
    return True


def files_of(folder: Path, check: str) -> list[Path]:
    """Return the files of a copy; hidden ones, such as a repository's own, do not count.

    Raises:
        DataError: There is no such folder; ``check`` says what to look at.
    """
    if not folder.is_dir():
        raise DataError(f"{shown(folder)}: there is no such folder; {check}")
    found = (path for path in folder.rglob("*") if not any(p.startswith(".") for p in path.relative_to(folder).parts))
    return sorted(path for path in found if path.is_file())


def fingerprint(paths: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Tell quickly whether files are those of a moment ago."""
    return tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths)


def content_hash(folder: Path, paths: Sequence[Path]) -> str:
    """Return 16 hexadecimal digits of a hash of some files of a folder, their names included.

    Raises:
        DataError: A file cannot be read.
    """
    total = hashlib.sha256()
    for path in paths:
        with reading(path, DataError):
            digest = _file_hash(path, path.stat().st_size, path.stat().st_mtime_ns)
        total.update(f"{path.relative_to(folder).as_posix()} {digest}\n".encode())
    return total.hexdigest()[:16]


@lru_cache(maxsize=10_000)
def _file_hash(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file; computed again when its size or date has changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=32)
def _configs_of(folder: Path, check: str, files: tuple[tuple[str, int, int], ...]) -> frozenset[str]:
    """Names of the configurations that the hub's client finds in a folder."""
    from datasets import get_dataset_config_names

    try:
        return frozenset(get_dataset_config_names(str(folder)))
    except Exception as error:
        raise DataError(f"{shown(folder)}: cannot be read ({one_line(error)}); {check}") from error
