"""What a long run has done so far, on disk, so that a killed one goes on where it was.

Files are safetensors: nothing that is loaded can run code, and each says in its header what run it belongs to.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from beir_hybrid.errors import BeirHybridError, first_line
from beir_hybrid.files import as_folder, atomic_path, home, make_folder
from beir_hybrid.folders import ProcessLock
from beir_hybrid.scoring.matrices import is_sparse, on_device

logger = logging.getLogger("mteb.beir_hybrid")

FORMAT_VERSION = 1

_KEY = "beir_hybrid"
_FACTS = "facts"


class Checkpoint:
    """The files of one unfinished run: ``checkpoints/<model>/<revision>/<task>/<hash of what the run depends on>/``.

    A run that depends on anything else has another folder, so nothing of it is ever taken for this one's.

    Args:
        key: All that the outcome depends on, as JSON: task, model and data with their revisions, chunk size and so
            on. ``model``, ``model_revision`` and ``task`` must be there.
        folder: The folder above ``checkpoints``; BEIR_HYBRID_HOME by default.
        number: Which of several runs with this key, from 0.
    """

    def __init__(self, key: Mapping[str, Any], folder: Path | None = None, number: int = 0) -> None:
        self._key = json.dumps({**key, "format_version": FORMAT_VERSION}, sort_keys=True, default=repr)
        names = [as_folder(str(key[name])) for name in ("model", "model_revision", "task")]
        digest = hashlib.sha256(self._key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{digest}-{number}" if number else digest
        root = folder or home()
        self.folder = root.joinpath("checkpoints", *names, name)
        self._lock = ProcessLock(root / "locks" / f"{name}.lock")

    @classmethod
    def reserve(
        cls, key: Mapping[str, Any], is_current: Callable[[Checkpoint], bool], folder: Path | None = None
    ) -> Self:
        """Return the checkpoint of a run that may go on, or else of a new one, and keep other processes off it.

        Args:
            key: As for the class.
            is_current: Whether files that are there were made by the model as it is now.
            folder: As for the class.

        Raises:
            BeirHybridError: The folder cannot be written to.
        """
        for number in itertools.count():
            checkpoint = cls(key, folder, number)
            if not checkpoint._lock.acquire():
                logger.info(f"Another process is at {checkpoint.folder}; this one keeps a checkpoint of its own.")
                continue
            try:
                if not checkpoint.folder.exists() or is_current(checkpoint):
                    return checkpoint
            except BaseException:
                checkpoint.release()  # the next run of this process goes on from it
                raise
            logger.warning(f"{checkpoint.folder} is left alone: the model has changed since it was written.")
            checkpoint.release()
        raise AssertionError("there are enough numbers")

    def save(self, name: str, tensors: Mapping[str, torch.Tensor | NDArray], **facts: Any) -> None:
        """Write a file of tensors and facts; a killed process leaves the old file or the new one, never a part.

        Raises:
            BeirHybridError: It cannot be written.
        """
        make_folder(self.folder)
        # A process that was killed while it wrote has left its temporary file; nobody else writes to this folder.
        for leftover in self.folder.glob(f".{name}.*.tmp"):
            leftover.unlink(missing_ok=True)
        described = {_KEY: self._key, _FACTS: json.dumps(facts)}
        content = {key: torch.as_tensor(tensor).contiguous() for key, tensor in tensors.items()}
        with atomic_path(self._path(name)) as temporary:
            try:
                save_file(content, temporary, described)
            except SafetensorError as error:  # the disk is full
                raise BeirHybridError(f"cannot write {self._path(name)}: {error}") from error

    def load(self, name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Return the tensors and facts of a file; None where there is none, or none that can be used."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                described = file.metadata() or {}
                if described.get(_KEY) != self._key:
                    return None
                # Copied, since the file is replaced while the tensors are in use.
                return {key: file.get_tensor(key).clone() for key in file.keys()}, json.loads(described[_FACTS])  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            logger.warning(f"Checkpoint {path} cannot be read ({first_line(error)}); what it held is done again.")
            path.unlink(missing_ok=True)
            return None

    def embeddings(self, name: str, encode: Callable[[], Any]) -> Any:
        """Return saved embeddings as the encoder gave them, or those it gives now, saving them."""
        embeddings = self.saved_embeddings(name)
        if embeddings is not None:
            return embeddings
        embeddings = encode()
        tensors, facts = _pack(embeddings)
        self.save(name, tensors, **facts)
        return embeddings

    def saved_embeddings(self, name: str) -> Any:
        """Return embeddings as the encoder gave them; None if they were not saved."""
        saved = self.load(name)
        return None if saved is None else _unpack(*saved)

    def load_arrays(self, name: str) -> tuple[dict[str, NDArray], dict[str, Any]] | None:
        """Like ``load``, of numpy arrays."""
        saved = self.load(name)
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
        self._lock.release()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


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
    """Make the matrix again, where this process keeps embeddings: the run may have begun on another device."""
    tensor = tensors.get("dense")
    if tensor is None:
        parts = (tensors["indices"], tensors["values"], facts["shape"])
        tensor = torch.sparse_coo_tensor(*parts, check_invariants=True).coalesce()
    return on_device(tensor.numpy() if facts["kind"] == "numpy" else tensor)
