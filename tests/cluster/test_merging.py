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


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from a process that nobody has launched."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "BEIR_HYBRID_SHARD")) or name in LAUNCHERS["torchrun"]:
            monkeypatch.delenv(name)
    SHARED_RUNS.clear()


class Place(NamedTuple):
    """Folders of the tests of this module: what is read, and the home that one process has written to."""

    folder: Path
    home: Path

    def command(self, kind: str, out: Path) -> list[object]:
        """Return the command that evaluates a model: by its folder, or one without a fingerprint."""
        if kind == "evaluate":
            return ["evaluate", "-m", self.folder / "model", "--data", "xquad-r", "--out", out, "--keep-top", 3, "-q"]
        tasks = ["MIRACLCL"] if kind == "miracl" else ["XQuADRLanguageBias", "XQuADR"]
        return ["mteb", "run", "-m", "tests/sharded", "--output-folder", out, "-t", *tasks]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Make the small data sets the ones that are read, and evaluate models on them in one process."""
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
        for kind in ("evaluate", "miracl", "several tasks"):
            assert exit_code(*place.command(kind, folder / "one" / kind)) == 0
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
        if name.startswith("results/"):
            facts = json.loads(content)
            scores = [facts[key] for key in ("scores", "task_name", "dataset_revision")] if "scores" in facts else facts
            files[name] = json.dumps(scores, sort_keys=True).encode()
    return files


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("miracl", "i/n"),
        ("miracl", "torchrun"),
        ("evaluate", "variable"),
        ("evaluate", "srun"),
        ("evaluate", "array"),
        ("several tasks", "variable"),
    ],
)
def test_merged_shards_are_one_process(
    kind: str, way: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(home))
    for number in (2, 0, 3, 1):
        for name, value in zip(LAUNCHERS.get(way, ()), (number, N, 0), strict=False):
            monkeypatch.setenv(name, str(value))
        if way == "variable":
            monkeypatch.setenv("BEIR_HYBRID_SHARD", f"{number + 1}/{N}")
        option = {"variable": [], "i/n": ["--shard", f"{number + 1}/{N}"]}.get(way, ["--shard=auto"])
        assert exit_code(*place.command(kind, out), *option) == 0
    assert not [*out.rglob("*.json"), *home.rglob("ranks"), *home.rglob("results")] or kind == "evaluate"
    assert not written(home, out)
    assert exit_code("merge", out if kind == "evaluate" else home, *(["-q"] if way == "array" else [])) == 0

    merged = written(home, out)
    one = written(place.folder / "one" / kind, place.home)
    task = "MIRACLCL" if kind == "miracl" else "XQuADR"
    of_task = [name for name in one if Path(name).name.partition(".")[0] == task]
    assert {name.partition("/")[0] for name in of_task} >= {"ranks", "results"}
    assert [
        name for name in of_task if name.startswith("ranks/") and name.endswith(".tops.parquet")
    ] or kind != "evaluate"
    of_model = [name for name in of_task if kind != "evaluate" or "tests__" not in name]
    assert [name for name in of_model if merged.get(name) != one[name]] == []
