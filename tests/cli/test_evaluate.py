"""`beir-hybrid evaluate`: what it prints and writes, that other commands read it, and faults in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mteb
import pandas as pd
import pytest

from beir_hybrid.corpora import spec_of_source
from beir_hybrid.indexing.index_table import index_path
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from beir_hybrid.tasks import tasks_of
from tests.models.test_model_folders import cross
from tests.support import small_xquad
from tests.support.command_line import exit_code
from tests.support.tiny_model import tiny_model

ROOT = Path(__file__).parents[2]
ASKED = "zh,en,de"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model as a folder."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model().save(str(folder), create_model_card=False)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the small data set the one that is read."""
    SHARED_RUNS.clear()
    return small_xquad.be_read(tmp_path, monkeypatch)


def test_it_prints_and_writes_what_mteb_gives(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    out = tmp_path / "out"
    assert exit_code("evaluate", "-m", model, "--data", "xquad-r", "--languages", ASKED, "--out", out) == 0
    printed = capsys.readouterr().out

    task = tasks_of(spec_of_source("xquad-r").restricted(ASKED.split(",")))[0]()
    task.ranks_folder = tmp_path / "mteb"
    meta = mteb.get_model_meta(str(model))
    expected = mteb.evaluate(meta, task, cache=None, co2_tracker=False, show_progress_bar=False).task_results[0]
    [ranks] = (tmp_path / "mteb").rglob("*.parquet")
    [written] = out.rglob("*.parquet")
    assert written.relative_to(out) == ranks.relative_to(tmp_path / "mteb")
    pd.testing.assert_frame_equal(rank_table.read(written)[0].to_pandas(), rank_table.read(ranks)[0].to_pandas())
    assert not (home / "ranks").exists()

    [result] = out.glob(f"results/*/{meta.revision}/{task.metadata.name}.json")
    scores = {entry["hf_subset"]: entry["map"] for entry in json.loads(result.read_text())["scores"]["test"]}
    assert scores == {entry["hf_subset"]: round(entry["map"], 6) for entry in expected.scores["test"]}
    assert (result.parent / "model_meta.json").is_file()
    plots = {path.suffix for path in out.glob(f"heat_maps/*/{meta.revision}/{task.metadata.name}.*")}
    assert plots == {".png", ".svg"}

    means = [
        sum(values) / len(values)
        for names in (["de-de", "en-en", "zh-zh"], [s for s in scores if "multi" in s])
        for values in [[scores[name] for name in names]]
    ]
    assert all(f"{mean:.4f}" in printed for mean in means)
    assert "Worst pairs of languages, by mAP in the pool of all languages" in printed
    for what, path in (("Rank table", written), ("Result", result)):
        assert f"{what}: {path}" in printed

    # What it wrote is what the other commands read.
    assert exit_code("scores", out) == 0
    assert all(f"{mean:.4f}" in capsys.readouterr().out for mean in means[:1])
    assert exit_code("bias", out) == 0
    assert task.metadata.name in capsys.readouterr().out
    assert exit_code("leaderboard", "--ranks", out, "--results", out, "--out", tmp_path / "board") == 0


def test_without_a_folder_only_the_rank_table_is_kept_where_mteb_keeps_it(
    model: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("evaluate", "-m", model, "--data", "xquad-r", "--languages", "en,de") == 0
    [path] = (path for path in home.rglob("*") if path.suffix not in ("", ".lock") and path.is_file())
    assert capsys.readouterr().out.splitlines()[-1] == f"Rank table: {path}"
    assert path.is_relative_to(home / "ranks")
    assert exit_code("evaluate", "-m", model, "--data", "xquad-r", "--languages", "en", "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_a_corpus_of_ones_own(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = shutil.copytree(ROOT / "examples" / "help-centre", tmp_path / "my-corpus")
    out = tmp_path / "named"
    assert exit_code("evaluate", "-m", model, "--data", corpus, "--name", "me/tiny", "--out", out) == 0
    assert capsys.readouterr().out.startswith(f"me/tiny ({mteb.get_model_meta(str(model)).revision}) on HelpCentre")
    assert [path.parts[-3] for path in out.rglob("*.parquet")] == ["me__tiny"]
    arguments = ["evaluate", "-m", model, "--data", corpus, "--languages", "fr,en", "--out", tmp_path / "out"]
    assert exit_code(*arguments) == 0
    assert "on HelpCentre-en-fr" in capsys.readouterr().out
    [result] = (tmp_path / "out").rglob("HelpCentre-en-fr.json")
    scores = json.loads(result.read_text())["scores"]["test"]
    assert {entry["hf_subset"] for entry in scores} == {"en-en", "fr-fr", "en-fr", "fr-en", "en-multi", "fr-multi"}

    with (corpus / "fr" / "qrels" / "test.tsv").open("a", encoding="utf-8") as file:
        file.write("q1\ta99\t1\n")
    before = sorted((tmp_path / "out").rglob("*"))
    assert exit_code(*arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "test.tsv" in line
    assert "a99" in line
    assert sorted((tmp_path / "out").rglob("*")) == before


def test_a_cross_encoder_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    folder = cross(tmp_path / "cross")
    capsys.readouterr()
    assert exit_code("evaluate", "-m", folder, "--data", "xquad-r", "--languages", "en", "--quiet") == 2
    assert "is a cross-encoder, which ranks anew" in capsys.readouterr().err.splitlines()[-1]
    assert not list(home.rglob("*.parquet"))


def test_an_index_stands_beside_exact_search(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    asked = ("evaluate", "-m", model, "--data", "xquad-r", "--languages", ASKED, "--out", tmp_path / "out")
    assert exit_code(*asked, "--index", "IVF4,Flat", "--index-params", "nprobe=1", "--index-k", "5") == 0
    printed = capsys.readouterr().out
    files = rank_table.rank_tables_below(tmp_path / "out")
    exact, index = (RankTable.load(path) for path in sorted(files, key=lambda path: "IVF4" in path.parent.name))
    assert exact.info.cut is None and index.info.cut == 5 and index.index is not None
    lines = [line.split() for line in printed.splitlines()]
    for setting in exact.settings.index:
        assert [setting, f"{exact.settings[setting]:.4f}", f"{index.settings[setting]:.4f}"] in lines
    for row in (*index.index.rows, index.index.means):
        assert [row.language, *("-" if share is None else f"{share:.3f}" for share in row.shares)] in lines
    assert f"Index: {index_path(index.path or tmp_path)}" in printed
    assert "were not returned in the pool of all languages: they have no rank" in printed

    before = sorted(tmp_path.rglob("*"))
    assert exit_code(*asked, "--index", "IVF400,Flat") == 2  # more centroids than passages
    captured = capsys.readouterr()
    assert captured.out == "" and "faiss cannot train it on the 16 passages" in captured.err.splitlines()[-1]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "nothing"], "unknown data set 'nothing'"),
        (["--data", "xquad-r", "--name", "../new"], "name="),
        (["--data", "xquadr"], "unknown data set 'xquadr'; known: xquad-r, mlqa-r"),
        (["--data", "XQuADR"], "; did you mean xquad-r?"),
        (["--data", "xquad-r", "--languages", "en,xx"], "unknown language 'xx'"),
        (["--data", "xquad-r", "--languages", ","], "no language was asked for"),
        (["--data", "xquad-r", "--batch-size", "0"], "batch size 0: write a whole number above 0"),
        (["--data", "mteb:NoSuchTask"], "NoSuchTask"),
        (["--data", "beir:/no/such/folder"], "/no/such/folder"),
        (["--data", "ntrex"], "no retrieval corpus"),
        (["--data", "xquad-r", "--out", "/dev/null/out"], "--out /dev/null/out: Not a directory"),
        (["--data", "xquad-r", "--out", "/dev/null"], "cannot write to /dev/null"),
        (["--data", "xquad-r", "--index", "IVF8,Flatt"], "index 'IVF8,Flatt' is none of faiss's index factory"),
        (["--data", "xquad-r", "--index", "Flat", "--index-params", "nprobe"], "--index-params 'nprobe': write each"),
        (["--data", "xquad-r", "--index-params", "nprobe=8"], "parameters of an index were given, but no index"),
        (["--data", "xquad-r", "--index", "Flat", "--index-k", "0"], "index k 0: write a whole number above 0"),
        (
            ["--data", "xquad-r", "-m", "no/folder/here"],
            "cannot load the model 'no/folder/here': there is no such folder",
        ),
    ],
)
def test_faults_are_one_line_and_nothing_is_written(
    options: list[str], said: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The model is no folder either: what is wrong with the data is said before it is looked for.
    assert exit_code("evaluate", "-m", tmp_path / "no-model", *options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert said in line
    assert not home.exists()
