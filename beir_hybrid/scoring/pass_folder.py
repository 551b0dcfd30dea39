"""What a long run has done so far, on disk, so that a killed one goes on where it was.

Files are safetensors: nothing that is loaded can run code, and each says in its header what run it belongs to.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from beir_hybrid.errors import BeirHybridError, first_line
from beir_hybrid.files import as_folder, atomic_path, home, make_folder, write_json
from beir_hybrid.folders import ProcessLock, locked
from beir_hybrid.scoring.matrices import is_sparse
from beir_hybrid.scoring.shards import Shard

logger = logging.getLogger("mteb.beir_hybrid")

FORMAT_VERSION = 2

RUNS = "runs"
"""Folder of the runs that several processes share."""

RUN_FILE = "run.json"
"""Name of the file that says what the run is."""

PLAN = "plan"
"""Name of the file that the scores of the relevant passages are in."""

_KEY = "beir_hybrid"
_FACTS = "facts"


class PassFolder:
    """The files of one unfinished run.

    ``<checkpoints or runs>/<model>/<revision>/<task>/<hash of what the run depends on>/``. A run that depends on
    anything else has another folder, so nothing of it is ever taken for this one's.

    Attributes:
        folder: The folder.
        key: All that the outcome depends on, as JSON; it stands in the header of each file.
    """

    def __init__(self, folder: Path, key: str, lock: ProcessLock | None = None) -> None:
        self.folder = folder
        self.key = key
        self._lock = lock

    @classmethod
    def of(cls, key: Mapping[str, Any], root: Path | None = None, number: int = 0, shard: Shard | None = None) -> Self:
        """Return the folder of a run, which need not be there.

        Args:
            key: All that the outcome depends on, as JSON: task, model and data with their revisions, chunk size and so
                on. ``model``, ``model_revision`` and ``task`` must be there.
            root: The folder above ``checkpoints`` and ``runs``; BEIR_HYBRID_HOME by default.
            number: Which of several runs with this key, from 0.
            shard: The shard that this process counts; None where no other process is at the run.
        """
        described = json.dumps({**key, "format_version": FORMAT_VERSION}, sort_keys=True, default=repr)
        names = [as_folder(str(key[name])) for name in ("model", "model_revision", "task")]
        digest = hashlib.sha256(described.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{digest}-{number}" if number else digest
        root = root or home()
        folder = root.joinpath("checkpoints" if shard is None else RUNS, *names, name)
        # The folder of a run that nobody shares is gone at its end, and a lock in it would be, too.
        lock = root / "locks" / f"{name}.lock" if shard is None else folder / f".{shard.part}.lock"
        return cls(folder, described, ProcessLock(lock))

    @classmethod
    def reserve(
        cls,
        key: Mapping[str, Any],
        is_current: Callable[[PassFolder], bool],
        root: Path | None = None,
        shard: Shard | None = None,
    ) -> Self:
        """Return the folder of a run that may go on, or else of a new one, and keep other processes off it.

        Args:
            key: As for ``of``.
            is_current: Whether files that are there were made by the model as it is now.
            root: As for ``of``.
            shard: As for ``of``; other processes may be at other shards.

        Raises:
            BeirHybridError: The folder cannot be written to, or another process is at this shard.
        """
        for number in itertools.count():
            run = cls.of(key, root, number, shard)
            if not run._acquire():
                if shard is not None:
                    raise BeirHybridError(f"another process is at shard {shard} of {run.folder}; stop one of the two")
                logger.info(f"Another process is at {run.folder}; this one keeps a checkpoint of its own.")
                continue
            try:
                if not run.folder.exists() or is_current(run):
                    return run
            except BaseException:
                run.release()  # the next run of this process goes on from it
                raise
            logger.warning(f"{run.folder} is left alone: the model has changed since it was written.")
            run.release()
        raise AssertionError("there are enough numbers")

    def _acquire(self) -> bool:
        return self._lock is None or self._lock.acquire()

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Keep other processes from planning the run while the block does; they wait."""
        with locked(self._path(PLAN)):
            yield

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Write what another process needs to know of the run, with its key, where nobody has.

        Raises:
            BeirHybridError: It cannot be written.
        """
        with self.planning():
            if not (self.folder / RUN_FILE).exists():
                write_json(self.folder / RUN_FILE, {"key": json.loads(self.key), **facts})

    def check_cut(self, shard: Shard) -> None:
        """Make sure that a shard is one of those that the run is cut into.

        Raises:
            BeirHybridError: There are counts of another cut, some of whose chunks would be counted twice.
        """
        for other in shards_in(self.folder):
            if other.count != shard.count:
                raise BeirHybridError(
                    f"{self.folder} has counts of shard {other}, and this is shard {shard}: a run is cut once; go on "
                    f"with shards i/{other.count}, or delete the folder"
                )

    def save(self, name: str, tensors: Mapping[str, torch.Tensor | NDArray], **facts: Any) -> None:
        """Write a file of tensors and facts; a killed process leaves the old file or the new one, never a part.

        Raises:
            BeirHybridError: It cannot be written.
        """
        make_folder(self.folder)
        # A process that was killed while it wrote has left its temporary file; nobody else writes this one.
        for leftover in self.folder.glob(f".{name}.*.tmp"):
            leftover.unlink(missing_ok=True)
        described = {_KEY: self.key, _FACTS: json.dumps(facts)}
        content = {key: torch.as_tensor(tensor).contiguous() for key, tensor in tensors.items()}
        with atomic_path(self._path(name)) as temporary:
            try:
                save_file(content, temporary, described)
            except SafetensorError as error:  # the disk is full
                raise BeirHybridError(f"cannot write {self._path(name)}: {error}") from error

    def load(self, name: str, only: str | None = None) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Return the tensors of a file, or only the one of a name, and its facts; None where none can be used.

        Raises:
            BeirHybridError: The file system does not give it; it may be whole, and another user's, and is left alone.
        """
        path = self._path(name)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                described = file.metadata() or {}
                if described.get(_KEY) != self.key:
                    return None
                names = [key for key in file.keys() if only in (None, key)]  # noqa: SIM118
                # Copied, since the file is replaced while the tensors are in use.
                return {key: file.get_tensor(key).clone() for key in names}, json.loads(described[_FACTS])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BeirHybridError(f"cannot read {path}: {first_line(error)}") from error
        except (SafetensorError, ValueError, KeyError) as error:
            logger.warning(f"Checkpoint {path} cannot be read ({first_line(error)}); what it held is done again.")
            path.unlink(missing_ok=True)
            return None

    def embeddings(self, name: str, encode: Callable[[], Any]) -> Any:
        """Return saved embeddings as the encoder gave them, on the CPU, or those it gives now, saving them."""
        embeddings = self.saved_embeddings(name)
        if embeddings is not None:
            return embeddings
        embeddings = encode()
        tensors, facts = _pack(embeddings)
        self.save(name, tensors, **facts)
        return embeddings

    def saved_embeddings(self, name: str) -> Any:
        """Return embeddings as the encoder gave them, on the CPU; None if they were not saved."""
        saved = self.load(name)
        return None if saved is None else _unpack(*saved)

    def load_arrays(self, name: str, only: str | None = None) -> tuple[dict[str, NDArray], dict[str, Any]] | None:
        """Like ``load``, of numpy arrays."""
        saved = self.load(name, only)
        return None if saved is None else ({key: tensor.numpy() for key, tensor in saved[0].items()}, saved[1])

    def remove(self) -> None:
        """Delete the files, and the folders that are empty then; nothing is left of a run that succeeded."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in self.folder.parents[:4]:
            try:
                folder.rmdir()
            except OSError:
                return  # another run's files are there

    def release(self) -> None:
        """Let other runs go on from the files, if there are any."""
        if self._lock is not None:
            self._lock.release()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


def shards_in(folder: Path) -> dict[Shard, Path]:
    """Return the files of counts in the folder of a run, by shard, in order."""
    files = {shard: path for path in folder.glob("counts-*.safetensors") if (shard := Shard.of_part(path.stem))}
    return dict(sorted(files.items(), key=lambda item: (item[0].count, item[0].number)))


def read_header(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the run depends on that a file belongs to, and the facts in it; the tensors are not read.

    Raises:
        SafetensorError, OSError, ValueError, KeyError: It is no whole file of a run.
    """
    with safe_open(path, framework="pt") as file:
        described = file.metadata() or {}
    key, facts = json.loads(described[_KEY]), json.loads(described[_FACTS])
    if not isinstance(key, dict) or not isinstance(facts, dict):
        raise ValueError("its header is malformed")
    return key, facts


def read_arrays(path: Path) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """Return the arrays and the facts of a file; errors are those of ``read_header``."""
    _, facts = read_header(path)
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118


def _pack(embeddings: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Take a matrix of embeddings apart: its tensors, and what it takes to make the same matrix again."""
    if not isinstance(embeddings, torch.Tensor):
        return {"dense": torch.from_numpy(np.array(embeddings))}, {"kind": "numpy"}
    tensor = embeddings.detach()
    facts = {"kind": "torch", "shape": list(tensor.shape)}
    if not is_sparse(tensor):
        return {"dense": tensor.cpu()}, facts
    tensor = tensor.coalesce()
    return {"indices": tensor.indices().cpu(), "values": tensor.values().cpu()}, facts


def _unpack(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> Any:
    """Make the matrix again, on the CPU: the run may have begun on another device."""
    tensor = tensors.get("dense")
    if tensor is None:
        parts = (tensors["indices"], tensors["values"], facts["shape"])
        tensor = torch.sparse_coo_tensor(*parts, check_invariants=True).coalesce()
    return tensor.numpy() if facts["kind"] == "numpy" else tensor
