"""Shards of a run, merged: what one process makes, byte for byte; and what is missing or wrong, in one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import mteb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from mteb.models.model_implementations import MODEL_REGISTRY
from safetensors.torch import load_file, save_file

from beir_hybrid import evaluate
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.scoring.chunked import ChunkedRun
from beir_hybrid.scoring.pass_folder import read_header, shards_in
from beir_hybrid.scoring.shards import Shard
from tests.support import small_miracl, small_xquad
from tests.support.command_line import exit_code
from tests.support.mteb_models import CountingEncoder, WordSearch, meta_of
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


def without_heat_maps(patch: pytest.MonkeyPatch) -> None:
    """Draw none, which takes longer than all else."""
    patch.setattr("beir_hybrid.plotting.heat_maps.plot_one_target_maps", lambda maps, path: None)


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("miracl", "i/n"),
        ("evaluate", "torchrun"),
        ("evaluate", "srun"),
        ("several tasks", "variable"),
    ],
)
def test_merged_shards_are_one_process(
    kind: str, way: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(home))
    if way != "srun":
        without_heat_maps(monkeypatch)
    for number in (2, 0, 3, 1):
        for name, value in zip(LAUNCHERS.get(way, ()), (number, N, 0), strict=False):
            monkeypatch.setenv(name, str(value))
        if way == "variable":
            monkeypatch.setenv("BEIR_HYBRID_SHARD", f"{number + 1}/{N}")
        option = {"variable": [], "i/n": ["--shard", f"{number + 1}/{N}"]}.get(way, ["--shard=auto"])
        assert exit_code(*place.command(kind, out), *option) == 0
    assert not [*out.rglob("*.json"), *home.rglob("ranks"), *home.rglob("results")] or kind == "evaluate"
    assert not written(home, out)
    assert exit_code("merge", out if kind == "evaluate" else home, *(["-q"] if way == "torchrun" else [])) == 0

    merged, one = (
        written(home, out),
        written(place.folder / "one" / kind, *([place.home] if kind != "evaluate" else [])),
    )
    task = "MIRACLCL" if kind == "miracl" else "XQuADR"
    of_task = [name for name in one if Path(name).name.partition(".")[0] == task]
    compared = [name for name in of_task if way == "srun" or not name.startswith("heat_maps/")]
    assert {name.partition("/")[0] for name in compared} >= {"ranks", "results", *(["heat_maps"] * (way == "srun"))}
    assert any(name.endswith(".tops.parquet") for name in compared) == (kind == "evaluate")
    tops = [name for name in compared if name.endswith(".tops.parquet")]
    assert [name for name in compared if merged.get(name) != one[name] and name not in tops] == []
    for name in tops:
        check_same_tops(merged[name], one[name])


def check_same_tops(merged: bytes, one: bytes) -> None:
    """Compare top passages: a matrix product of another shape has other last digits on some processors."""
    frames = [pq.read_table(BytesIO(content)).to_pandas() for content in (merged, one)]
    pd.testing.assert_frame_equal(*(frame.drop(columns="score") for frame in frames))
    np.testing.assert_allclose(*(frame["score"] for frame in frames), rtol=0, atol=1e-6)


def test_a_shard_leaves_nothing_that_mteb_takes_for_a_result(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BEIR_HYBRID_SHARD", "2/4")
    tasks = mteb.get_tasks(["XQuADRLanguageBias", "XQuADR", "MLQAR"])
    for task in tasks:
        task.filter_languages(["eng", "deu"])
    caplog.set_level("INFO", "mteb.beir_hybrid")
    result = mteb.evaluate(
        CountingEncoder(), tasks, cache=mteb.ResultCache(tmp_path / "cache"), co2_tracker=False, show_progress_bar=False
    )
    assert result.task_results == []
    said = {error.task_name: error.exception for error in result.exceptions}
    assert said["XQuADRLanguageBias"].startswith(
        "XQuADRLanguageBias has no figures in a shard: merge the shards of XQuADR"
    )
    for name in ("XQuADR", "MLQAR"):
        [run] = (tmp_path / "home" / "runs").glob(f"*/*/{name}/*")
        assert said[name] == f"{name}: shard 2/4 is counted; when all 4 are: beir-hybrid merge {run}"
        assert said[name] in caplog.text
    assert not [*(tmp_path / "cache").rglob("*")] and not (tmp_path / "home" / "ranks").exists()
    assert not any(task.data_loaded for task in tasks)


def test_launchers_without_a_question_for_a_shard_change_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for names in LAUNCHERS.values():
        for name, value in zip(names, (1, 4, 1), strict=False):
            monkeypatch.setenv(name, str(value))
    without_heat_maps(monkeypatch)
    assert exit_code(*place.command("evaluate", tmp_path)) == 0
    one = written(place.folder / "one" / "evaluate")
    assert written(tmp_path) == {name: content for name, content in one.items() if not name.startswith("heat_maps/")}
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "5/4"], "--shard 5/4: write i/n, i from 1 to n, such as 2/4, or auto"),
        (["--shard", "auto"], "--shard auto: no launcher has set RANK and WORLD_SIZE"),
        (["--shard", "1/2", "--index", "Flat"], "leave out --index or --shard"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(
    arguments: list[str], message: str, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*place.command("evaluate", tmp_path / "out"), *arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["--shard"], ["--shard", "4/3"], ["--shard="]])
def test_so_it_is_behind_mteb(
    arguments: list[str], place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*place.command("miracl", tmp_path / "out"), *arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "--shard" in line
    assert not (tmp_path / "out").exists() and "BEIR_HYBRID_SHARD" not in os.environ


def test_searches_and_what_needs_scores_at_once_are_refused_in_a_shard(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("BEIR_HYBRID_SHARD", "2/4")
    monkeypatch.setitem(MODEL_REGISTRY, "tests/words", meta_of("words", loader=lambda *_, **__: WordSearch()))
    command = ["evaluate", "-m", "tests/words", "--data", "xquad-r", "--languages", "en,de", "--out", tmp_path / "out"]
    assert exit_code(*command) == 2
    assert "tests/words searches, and a search cannot be cut into shards" in capsys.readouterr().err
    with pytest.raises(BeirHybridError, match="BEIR_HYBRID_SHARD=2/4 is set, but an evaluation needs the scores"):
        evaluate(CountingEncoder(), "atlas-r", languages=["en", "de"], progress=False)


# What is missing or wrong


class Shards(NamedTuple):
    """A folder that holds a run whose shards have all been counted.

    Attributes:
        out: What was given as --out.
        run: The folder of the run.
    """

    out: Path
    run: Path

    def part(self, number: int) -> Path:
        return self.run / f"counts-{number}-of-{N}.safetensors"


def asked(place: Place, out: Path, number: int, of: int = N, model: str = "model", *more: object) -> list[object]:
    """Return the command that counts a shard of a run over three languages."""
    command = ["evaluate", "-m", place.folder / model, "--data", "xquad-r", "--languages", "en,de,zh", "--out", out]
    return [*command, "--shard", f"{number}/{of}", "-q", *more]


@pytest.fixture(scope="module")
def counted(place: Place) -> Path:
    """Count all shards of a run."""
    out = place.folder / "counted"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEIR_HYBRID_CHUNK_SIZE", "2")
        for number in range(1, N + 1):
            assert exit_code(*asked(place, out, number)) == 0
    return out


@pytest.fixture
def shards(counted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shards:
    """Copy the run, to be spoilt."""
    without_heat_maps(monkeypatch)
    monkeypatch.setenv("BEIR_HYBRID_CHUNK_SIZE", "2")
    out = tmp_path / "out"
    shutil.copytree(counted, out)
    [run] = out.glob("runs/*/*/*/*/run.json")
    return Shards(out, run.parent)


@pytest.fixture
def refused(shards: Shards, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that merges, or does what it is given, and gives the one line of error."""

    def merge_and_fail(*command: object) -> str:
        capsys.readouterr()
        assert exit_code(*(command or ("merge", shards.run))) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ") and len(line) < 1000
        assert not written(shards.out)
        return line

    return merge_and_fail


def merged(shards: Shards) -> dict[str, bytes]:
    assert exit_code("merge", shards.out, "-q") == 0
    files = written(shards.out)
    assert files
    return files


@pytest.fixture(scope="module")
def right(counted: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of the merged run."""
    out = tmp_path_factory.mktemp("right")
    with pytest.MonkeyPatch.context() as patch:
        without_heat_maps(patch)
        assert exit_code("merge", counted, "--out", out, "-q") == 0
    return written(out)


def test_a_missing_shard_is_named_and_run_again_alone(
    shards: Shards, refused: Callable[..., str], place: Place, right: dict[str, bytes]
) -> None:
    shards.part(3).unlink()
    assert f"{shards.run}: shard 3/4 is missing; run it with --shard 3/4" in refused()
    shards.part(1).unlink()
    assert f"{shards.run}: shards 1/4, 3/4 are missing; run them: --shard 1/4 and so on" in refused()
    assert exit_code(*asked(place, shards.out, 1)) == exit_code(*asked(place, shards.out, 3)) == 0
    assert merged(shards) == right


def test_a_shard_of_another_revision_is_named(
    shards: Shards, refused: Callable[..., str], place: Place, tmp_path: Path
) -> None:
    """It lies in the folder of its own run, unless somebody copies it."""
    if not (place.folder / "trained").exists():
        tiny_model(seed=1).save(str(place.folder / "trained"), create_model_card=False)
    shards.part(3).unlink()
    assert exit_code(*asked(place, shards.out, 3, N, "trained")) == 0
    [other] = set(shards.out.rglob("counts-3-of-4.safetensors"))
    ours, theirs = shards.run.parent.parent.name, other.parent.parent.parent.name
    assert ours != theirs
    assert (
        f"shard 3/4 is missing; {other.parent} has shard 3/4, but is of model revision {theirs}, not {ours}"
        in refused()
    )
    shutil.copy(other, shards.part(3))
    line = refused()
    assert (
        f"{shards.part(3)} is of model revision {theirs}, not {ours}; delete it and run shard 3/4 of this run" in line
    )


def test_a_shard_of_another_version_is_named(shards: Shards, refused: Callable[..., str]) -> None:
    rewrite(shards.part(2), lambda key, facts: key.update(format_version=99))
    assert f"{shards.part(2)} is of format 99, not " in refused()


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Change what the header of a file says."""
    key, facts = read_header(path)
    change(key, facts)
    described = {"beir_hybrid": json.dumps(key, sort_keys=True), "facts": json.dumps(facts)}
    save_file(load_file(path), path, described)


def test_chunks_that_would_count_twice_are_named(shards: Shards, refused: Callable[..., str]) -> None:
    shutil.copy(shards.part(2), shards.part(3))
    chunk = min(read_header(shards.part(2))[1]["chunks"])
    line = refused()
    assert f"{shards.part(3)} holds chunk {chunk}, which counts-2-of-4.safetensors holds, too" in line


@pytest.mark.parametrize("name", ["counts-2-of-4 (copy)", "counts-5-of-4", "counts-02-of-4", "counts-0-of-4"])
def test_a_file_of_no_shard_is_named(name: str, shards: Shards, refused: Callable[..., str]) -> None:
    path = shards.run / f"{name}.safetensors"
    shutil.copy(shards.part(2), path)
    assert f"{path} is no shard's file" in refused()


def test_the_same_shard_run_twice_counts_once(
    shards: Shards, place: Place, right: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChunkedRun, "add", None)  # there is nothing left to count
    assert exit_code(*asked(place, shards.out, 2)) == 0
    assert merged(shards) == right


def test_a_run_is_cut_once(shards: Shards, refused: Callable[..., str], place: Place) -> None:
    again = refused(*asked(place, shards.out, 1, 2))
    assert f"{shards.run} has counts of shard 1/4, and this is shard 1/2: a run is cut once" in again
    assert list(shards_in(shards.run)) == [Shard(number, N) for number in range(1, N + 1)]
    shards.part(4).rename(shards.run / "counts-1-of-2.safetensors")
    assert f"{shards.run} holds shards of 2 and of 4" in refused()


@pytest.mark.parametrize("left", [0, 7, 0.5, -1])
def test_a_truncated_file_is_named_and_counted_again(
    left: float, shards: Shards, refused: Callable[..., str], place: Place, right: dict[str, bytes]
) -> None:
    content = shards.part(2).read_bytes()
    end = int(len(content) * left) if isinstance(left, float) else left
    shards.part(2).write_bytes(content[:end])
    assert f"{shards.part(2)} cannot be read (" in (line := refused()) and line.endswith("; run shard 2/4 again")
    assert shards.part(2).exists()
    if left == 0.5:
        assert exit_code(*asked(place, shards.out, 2)) == 0
        assert merged(shards) == right


@pytest.mark.parametrize("dropped", ["a column of counts", "names of chunks"])
def test_a_malformed_file_is_named(dropped: str, shards: Shards, refused: Callable[..., str]) -> None:
    if dropped == "names of chunks":
        rewrite(shards.part(2), lambda key, facts: facts.update(chunks=[1, None]))
        assert f"{shards.part(2)} cannot be read (" in refused()
        return
    tensors, (key, facts) = load_file(shards.part(2)), read_header(shards.part(2))
    tensors["en/outranked"] = tensors["en/outranked"][:, :1].clone()
    described = {"beir_hybrid": json.dumps(key, sort_keys=True), "facts": json.dumps(facts)}
    save_file(tensors, shards.part(2), described)
    assert f"{shards.part(2)} is malformed (" in (line := refused()) and "delete it and run shard 2/4 again" in line


def test_a_shard_that_was_stopped_goes_on(
    shards: Shards, refused: Callable[..., str], place: Place, right: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    shards.part(2).unlink()
    embed, asked_for = ChunkedRun._embeddings, []

    def embed_two(self: ChunkedRun, chunk: Any) -> Any:
        asked_for.append(chunk.name)
        if len(asked_for) == 3:
            raise BeirHybridError("the model is tired")
        return embed(self, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(ChunkedRun, "_embeddings", embed_two)
        assert "the model is tired" in refused(*asked(place, shards.out, 2))
    line = refused()
    assert f"{shards.part(2)} has 2 of " in line and "chunks: shard 2/4 is not finished; run it again" in line
    before = set(asked_for[:2])
    asked_for.clear()
    with monkeypatch.context() as patch:
        patch.setattr(
            ChunkedRun, "_embeddings", lambda run, chunk: (asked_for.append(chunk.name), embed(run, chunk))[1]
        )
        assert exit_code(*asked(place, shards.out, 2)) == 0
    assert asked_for and not before & set(asked_for)
    assert merged(shards) == right


def test_other_data_are_named(
    shards: Shards, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = shutil.copytree(os.environ["BEIR_HYBRID_DATA"], tmp_path / "data")
    file = next(data.rglob("xquad-r/de.json"))
    file.write_text(file.read_text(encoding="utf-8").replace("sentence 0", "sentence 8"), encoding="utf-8")
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(data))
    assert f"{shards.run} is of data revision local-" in (line := refused())
    assert "; give this process the data that the run has" in line
    file.unlink()
    assert "de.json is missing" in refused()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("made_of"), "the field 'made_of' is missing"),
        (lambda content: content.update(made_of={"data": "no-such-corpus", "languages": None}), "unknown data set"),
        (lambda content: content.update(made_of={"data": 3, "languages": None}), "data is 3, not a text"),
        (lambda content: content.update(made_of={"task": "../x", "subsets": []}), "is not the name of a task"),
        (lambda content: content.update(made_of={"task": "NoTask", "subsets": []}), "there is no task NoTask here"),
        (
            lambda content: content.update(made_of={"task": "XQuADR", "subsets": ["xx-xx"]}),
            "XQuADR has no subset xx-xx",
        ),
        (lambda content: content.update(made_of={"task": "XQuADR", "subsets": []}), "none of the run's subsets"),
        (lambda content: content["made_of"].update(languages=["en", "de"]), "is of "),
        (lambda content: content["model"].update(modalities=[3]), "what it says of the model is malformed"),
        (lambda content: content["model"].update(name="other/model"), "is of model beir-hybrid/ours, not other/model"),
        (lambda content: content["key"].update(model_revision="../../x"), "is of model revision "),
        (lambda content: content["key"].update(keep_top=-1), "is of keep top null, not -1"),
    ],
)
def test_a_run_file_that_was_changed_is_one_line(
    change: Callable[[dict[str, Any]], object], message: str, shards: Shards, refused: Callable[..., str]
) -> None:
    path = shards.run / "run.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    assert message in refused()


def test_what_is_no_run_is_one_line(shards: Shards, refused: Callable[..., str], tmp_path: Path) -> None:
    assert "there is no file or folder" in refused("merge", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "there is no run (run.json) in it or below" in refused("merge", tmp_path / "empty")
    moved = shutil.copytree(shards.run, tmp_path / "moved")
    assert "is not below a folder runs; say --out FOLDER" in refused("merge", moved)
    (tmp_path / "file").write_text("")
    assert "cannot write to" in refused("merge", moved, "--out", tmp_path / "file")
    (shards.run / "run.json").write_text("{")
    assert "is not a whole JSON file" in refused()
    for path in moved.glob("counts-*"):
        path.unlink()
    assert "no shard has been counted" in refused("merge", moved, "--out", tmp_path / "out2")


def test_a_run_that_was_moved_is_merged_where_it_is_asked_for(
    shards: Shards, tmp_path: Path, right: dict[str, bytes]
) -> None:
    moved = shutil.move(shards.run, tmp_path / "moved")
    assert exit_code("merge", moved / "run.json", "--out", tmp_path / "elsewhere", "-q") == 0
    assert written(tmp_path / "elsewhere") == right
