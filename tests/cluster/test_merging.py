"""Shards of a run, merged: what one process makes, byte for byte; and what is missing or wrong, in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import datasets
import pytest
from mteb.models.model_implementations import MODEL_REGISTRY

from beir_hybrid.mteb.passes import SHARED_RUNS
from tests.support import small_miracl, small_xquad
from tests.support.command_line import exit_code
from tests.support.mteb_models import CountingEncoder, meta_of
from tests.support.tiny_model import tiny_model

N = 4
LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "srun": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    "array": ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
}
ASKED = ("MIRACLCL", "--output-folder")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from a process that nobody has launched."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "BEIR_HYBRID_SHARD")) or name in LAUNCHERS["torchrun"]:
            monkeypatch.delenv(name)
    SHARED_RUNS.clear()


class Place(NamedTuple):
    """Folders of the tests of this module: what is read, and what one process has written."""

    folder: Path
    home: Path

    def command(self, data: str, out: Path) -> list[object]:
        """Return the command that evaluates a model, which embeds by looking up (MIRACL) or is a folder."""
        if data == "miracl":
            return ["mteb", "run", "-m", "tests/sharded", "-t", "MIRACLCL", "--output-folder", out]
        return ["evaluate", "-m", self.folder / "model", "--data", "xquad-r", "--out", out, "--keep-top", 3, "-q"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Make the small data sets the ones that are read, and evaluate a model on both in one process."""
    folder = tmp_path_factory.mktemp("sharded")
    with pytest.MonkeyPatch.context() as patch:
        small_xquad.be_read(folder, patch)
        patch.setenv("BEIR_HYBRID_MIRACL", str(small_miracl.write(folder / "miracl")))
        patch.setenv("BEIR_HYBRID_CHUNK_SIZE", "7")
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder / "hub"))
        meta = meta_of("sharded", loader=lambda *_, **__: CountingEncoder(name="sharded"))
        patch.setitem(MODEL_REGISTRY, "tests/sharded", meta)
        tiny_model().save(str(folder / "model"), create_model_card=False)
        place = Place(folder, folder / "home")
        for data in ("miracl", "xquad"):
            assert exit_code(*place.command(data, folder / data)) == 0
        yield place


def written(*roots: Path) -> dict[str, bytes]:
    """Return the files that a result has, by their place; of a result of MTEB its scores alone, which have no date."""
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for root in roots
        for folder in ("ranks", "heat_maps", "results")
        for path in (root / folder).rglob("*")
        if path.is_file() and path.suffix in (".parquet", ".png", ".json")
    }
    for name, content in files.items():
        if name.startswith("results/") and not name.endswith("model_meta.json"):
            result = json.loads(content)
            files[name] = json.dumps([result[key] for key in ("scores", "task_name", "dataset_revision")]).encode()
    return files


@pytest.mark.parametrize("way", ["i/n", "variable", *LAUNCHERS])
@pytest.mark.parametrize("data", ["miracl", "xquad"])
def test_merged_shards_are_one_process(
    data: str, way: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(home))
    for number in (2, 0, 3, 1):
        for name, value in zip(LAUNCHERS.get(way, ()), (number, N, 0), strict=False):
            monkeypatch.setenv(name, str(value))
        option = ["--shard", f"{number + 1}/{N}" if way == "i/n" else "auto"]
        if way == "variable":
            monkeypatch.setenv("BEIR_HYBRID_SHARD", f"{number + 1}/{N}")
            option = []
        assert exit_code(*place.command(data, out), *option) == 0
    assert not written(home, out)
    monkeypatch.delenv("BEIR_HYBRID_SHARD", raising=False)
    assert exit_code("merge", home if data == "miracl" else out) == 0
    one = [place.folder / data, *([place.home] if data == "miracl" else [])]
    same(written(home, out), written(*one))


def same(ours: dict[str, bytes], theirs: dict[str, bytes]) -> None:
    assert sorted(ours) == sorted(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []
