"""Where the files of a model are: a folder, or a repository of the Hugging Face hub, and what names their content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from beir_hybrid.errors import ModelError, one_line
from beir_hybrid.files import user_path
from beir_hybrid.models.model_files import ADAPTER, cached_commit, content_hash, family

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_NOT_DOWNLOADED = ["*.bin", "*.ckpt", "*.pickle", "*.pkl", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.onnx", "onnx/*"]
_NOT_DOWNLOADED += ["openvino/*"]


@dataclass(frozen=True)
class Checkpoint:
    """Where the checkpoint is.

    Attributes:
        source: The folder or the hub id, for messages.
        folder: The folder; None for a hub id.
    """

    source: str
    folder: Path | None

    def revision(self) -> str:
        """Return what names this content and no other: a hash of the files, or the hub's commit.

        Raises:
            ModelError: There is no complete checkpoint, or the hub cannot be asked.
        """
        if self.folder is None:
            return _hub_commit(self.source)
        try:
            family(self.folder, self.source)  # before anything is hashed: the folder may be anything, of any size
            return content_hash(self.folder)
        except OSError as error:
            raise ModelError(f"cannot read {error.filename}: {error.strerror}") from error

    def fetch(self) -> Path:
        """Return the folder with the files, after downloading them where that is needed.

        Raises:
            ModelError: The download failed.
        """
        if self.folder is not None:
            return self.folder
        from huggingface_hub import snapshot_download

        commit = _hub_commit(self.source)
        try:
            folder = Path(snapshot_download(self.source, revision=commit, ignore_patterns=_NOT_DOWNLOADED))
        except Exception as error:  # the hub's client raises its own errors, the file system's and its HTTP library's
            raise ModelError(f"cannot download {self.source} from the Hugging Face hub: {one_line(error)}") from error
        if (folder / ADAPTER).is_file():
            raise ModelError(
                f"{self.source} is an adapter, whose commit does not say what its base is: give the folder instead, "
                f"which is hashed together with it: {folder}"
            )
        return folder


def locate(name: str, asked_by: str = "") -> Checkpoint:
    """Find the checkpoint of a name.

    Args:
        name: A folder, or a hub id.
        asked_by: What stands before the name in messages.

    Raises:
        ModelError: It is neither.
    """
    folder = user_path(name, asked_by).absolute()
    if folder.is_dir():
        return Checkpoint(str(folder), folder)
    if folder.exists():
        raise ModelError(f"{asked_by}{name} is a file, not the folder of a Sentence Transformers model")
    if not _HUB_ID.fullmatch(name):
        raise ModelError(f"{asked_by}{name}: there is no such folder")
    return Checkpoint(name, None)


@cache
def _hub_commit(repository: str) -> str:
    """Return the newest commit; without a network, the newest one in the local cache. Asked once in a process."""
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(repository, timeout=10).sha
        reason = "it has no commit"
    except Exception as error:  # offline mode, no network, no such repository, no access: the cache may have it
        commit, reason = None, one_line(error)
    commit = commit or cached_commit(repository)
    if commit is None:
        raise ModelError(
            f"{repository}: there is no such folder, and neither the Hugging Face hub nor its local cache "
            f"gives a model of that name: {reason}"
        )
    return commit
