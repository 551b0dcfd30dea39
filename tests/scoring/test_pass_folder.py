"""The files of a run: what is damaged is made again, and what cannot be read is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.scoring import pass_folder
from beir_hybrid.scoring.pass_folder import PLAN, PassFolder

KEY = {"model": "m", "model_revision": "1", "task": "T"}


@pytest.fixture
def folder(tmp_path: Path) -> PassFolder:
    saved = PassFolder.of(KEY, tmp_path)
    saved.save(PLAN, {"de": torch.ones(3)}, made="here")
    return saved


def test_what_was_saved_is_loaded_by_the_same_run_only(folder: PassFolder, tmp_path: Path) -> None:
    tensors, facts = folder.load(PLAN) or ({}, {})
    assert tensors["de"].tolist() == [1, 1, 1] and facts == {"made": "here"}
    other = PassFolder(folder.folder, PassFolder.of({**KEY, "chunk_size": 7}, tmp_path).key)
    assert other.load(PLAN) is None and folder.load("counts-1-of-1") is None
    assert folder.load(PLAN) is not None


def test_a_damaged_file_is_made_again(folder: PassFolder) -> None:
    path = folder.folder / f"{PLAN}.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    assert folder.load(PLAN) is None
    assert not path.exists()


def test_a_file_that_may_not_be_read_is_left_alone(folder: PassFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **kwargs: object) -> None:
        raise PermissionError("Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(pass_folder, "safe_open", forbidden)
        with pytest.raises(BeirHybridError, match=r"cannot read .*plan\.safetensors: Permission denied"):
            folder.load(PLAN)
    assert folder.load(PLAN) is not None
