"""Writing a leaderboard: the same bytes each time, whole or not at all, and only over our own files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from beir_hybrid import folders
from beir_hybrid.cli import app, main
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.leaderboard import publish
from beir_hybrid.leaderboard.inputs.settings import Settings, read_settings
from beir_hybrid.leaderboard.render import output, plots
from beir_hybrid.ranks import rank_table
from tests.support.processes import run
from tests.support.small_ranks import write_ranks

SCRIPT = Path(__file__).parents[2] / "leaderboard" / "regenerate.py"
TEXTS = (
    "SHA256SUMS comparisons.csv families.csv family_comparisons.csv languages.csv leaderboard.html leaderboard.json "
    "leaderboard.md leaderboard.tex main.csv matrices.csv"
).split()
TOML = """
[board]
title = "Small"
flips = 500
resamples = 200
ask_mteb = false

[[model]]
label = "<script>alert(1)</script>"
models = ["me/x-x"]
base = "small"
baseline = "X-X"

[[model]]
label = "a_b & 50 % $x$"
models = ["me/hybrid"]
base = "small"
batching = "hybrid"
seen = ["XQuADR"]
"""


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: that takes longer than all the rest."""
    for name in ("write_plots", "plot_files"):
        monkeypatch.setattr(plots, name, lambda board, folder: [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with rank tables and a leaderboard.toml."""
    write_ranks(tmp_path, "me/x-x", 0.1, seed=1)
    write_ranks(tmp_path, "me/hybrid", 0.8, seed=2)
    (tmp_path / "leaderboard.toml").write_text(TOML, encoding="utf-8")
    return tmp_path


def script(folder: Path, *arguments: str) -> int:
    inputs = ["--settings", str(folder / "leaderboard.toml"), "--ranks", str(folder / "ranks")]
    with pytest.raises(SystemExit) as end:
        main(["leaderboard", *inputs, "--out", str(folder / "tables"), *arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_all_files_and_the_same_bytes_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script(folder) == 0
    assert "2 models, 10 columns, 10 comparisons" in capsys.readouterr().out
    first = content(folder / "tables")
    assert set(TEXTS) <= set(first)
    assert any(name.startswith("plots/") for name in first)
    assert all(name in TEXTS or name.startswith("plots/") for name in first)
    assert script(folder, "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert content(folder / "tables") == first
    for name in ("leaderboard.html", "leaderboard.md", "leaderboard.tex"):
        assert b"<script>alert" not in first[name]
    assert sorted(path.name for path in folder.iterdir()) == ["leaderboard.toml", "ranks", "tables"]


@pytest.mark.usefixtures("no_plots")
def test_the_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script(folder, "--check") == 1
    assert not (folder / "tables").exists()
    script(folder)
    capsys.readouterr()
    before = content(folder / "tables")
    assert script(folder, "--check") == 0
    assert capsys.readouterr().out == f"{folder / 'tables'} is up to date\n"
    path = rank_table.default_path("XQuADR", "me/hybrid", "main", folder)
    table, info = rank_table.read(path)
    ranks = table["rank_in_pool"].to_pylist()
    ranks[0] += 1
    rank_table.write(path, table.set_column(table.column_names.index("rank_in_pool"), "rank_in_pool", [ranks]), info)
    assert script(folder, "--check") == 1
    out = capsys.readouterr().out
    assert f"{folder / 'tables' / 'leaderboard.json'} is out of date\n" in out
    assert content(folder / "tables") == before
    script(folder)
    assert script(folder, "--check") == 0
    (folder / "tables" / "leaderboard.md").write_text("edited", encoding="utf-8")
    assert script(folder, "--check") == 1


def script_and_die(folder: Path, moment: str) -> None:
    remove = shutil.rmtree

    def half(_: Any, folder: Path) -> None:
        (folder / "leaderboard.json").write_text("half a fi")
        os.kill(os.getpid(), signal.SIGKILL)

    def killed(path: Path, *rest: Any, **options: Any) -> None:
        if Path(path, "SHA256SUMS").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        remove(path, *rest, **options)

    if moment == "writing":
        publish.write_files = half
    else:
        folders.shutil.rmtree = killed
    sys.exit(script(folder, "--quiet"))


@pytest.mark.usefixtures("no_plots")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_a_killed_run_leaves_whole_tables(folder: Path) -> None:
    script(folder)
    old = content(folder / "tables")
    toml = folder / "leaderboard.toml"
    toml.write_text(TOML.replace("Small", "Other"), encoding="utf-8")
    for moment in ("writing", "swapped"):
        assert run(partial(script_and_die, folder, moment), folder).status == -signal.SIGKILL
        found = content(folder / "tables")
        if moment == "writing":
            assert found == old
        else:
            assert b"Other" in found["leaderboard.md"]
            assert script(folder, "--check") == 0
    # The next run clears away what the killed ones left behind.
    assert script(folder, "--quiet") == 0
    assert sorted(path.name for path in folder.iterdir()) == ["leaderboard.toml", "ranks", "tables"]


@pytest.mark.usefixtures("no_plots")
def test_without_an_exchange_in_one_step_two_renames_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "exchange", lambda one, other: False)
    script(folder)
    (folder / "leaderboard.toml").write_text(TOML.replace("Small", "Other"), encoding="utf-8")
    script(folder)
    assert b"Other" in content(folder / "tables")["leaderboard.md"]
    assert sorted(path.name for path in folder.iterdir()) == ["leaderboard.toml", "ranks", "tables"]


def test_folders_change_places_in_one_step(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchanged = folders.exchange(tmp_path / "a", tmp_path / "b")
    assert list(content(tmp_path)) == (["a/b", "b/a"] if exchanged else ["a/a", "b/b"])


@pytest.mark.usefixtures("no_plots")
def test_files_of_somebody_else_are_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(folder)
    (folder / "tables" / "notes.txt").write_text("mine", encoding="utf-8")
    before = content(folder / "tables")
    capsys.readouterr()
    assert script(folder) == 2
    error = capsys.readouterr().err
    assert error == (
        f"error: {folder / 'tables'} holds notes.txt, which is not part of a leaderboard; "
        "name another folder with --out\n"
    )
    assert content(folder / "tables") == before
    (folder / "file").touch()
    assert script(folder, "--out", str(folder / "file")) == 2
    assert "it is a file" in capsys.readouterr().err


def test_a_plot_that_is_no_longer_drawn_goes(folder: Path) -> None:
    def write(*names: str) -> None:
        output.replace_folder(folder / "out", lambda new: [(new / name).touch() for name in names] and None)

    write("a", "b")
    write("a")
    assert list(content(folder / "out")) == ["SHA256SUMS", "a"]


def test_the_script_without_rank_tables_says_so_in_one_line(folder: Path) -> None:
    clone = folder / "clone" / "leaderboard"
    shutil.copytree(SCRIPT.parent, clone, ignore=shutil.ignore_patterns("published", "__pycache__"))
    (clone / "published" / "ranks").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, clone / "regenerate.py"], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: there are no rank tables or results below {clone / 'published' / 'ranks'}")
    assert done.stderr.count("\n") == 1


def test_the_published_settings_can_be_read() -> None:
    settings = read_settings(SCRIPT.parent / "leaderboard.toml")
    assert settings.published_figures is not None
    assert settings.published_figures.is_file()
    assert not settings.ask_mteb


@pytest.mark.usefixtures("no_plots")
def test_the_command_is_the_same_thing(folder: Path) -> None:
    script(folder)
    arguments = ["leaderboard", "--ranks", folder / "ranks", "--settings", folder / "leaderboard.toml", "--quiet"]
    done = CliRunner().invoke(app, [*map(str, arguments), "--out", str(folder / "other")], catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, "")
    assert content(folder / "other") == content(folder / "tables")
    done = CliRunner().invoke(app, [*map(str, arguments), "--out", str(folder / "other"), "--check"])
    assert done.exit_code == 0


@pytest.mark.usefixtures("no_plots")
def test_the_command_without_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(folder))
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["leaderboard", "--baseline", "me/x-x"], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.startswith("leaderboard-tables: 2 models, 10 columns, 10 comparisons;")
    text = (folder / "leaderboard-tables" / "leaderboard.md").read_text(encoding="utf-8")
    assert "† than me/x-x." in text
    done = CliRunner().invoke(app, ["leaderboard", "--baseline", "me/nobody", "--quiet"])
    assert isinstance(done.exception, BeirHybridError)


@pytest.mark.usefixtures("no_plots")
def test_the_unit_and_margins_of_the_command(folder: Path) -> None:
    arguments = ["leaderboard", "--ranks", folder / "ranks", "--baseline", "me/x-x", "--out", folder / "other", "-q"]
    more = ["--unit", "question", "--margin", "map=0.02", "--margin", "rank_distance=5"]
    CliRunner().invoke(app, [*map(str, arguments), *more], catch_exceptions=False)
    board = json.loads((folder / "other" / "leaderboard.json").read_text(encoding="utf-8"))
    assert (board["unit"], board["margins"]) == ("question", {"map": 0.02, "rank_distance": 5})
    of_metric = {one["column"].rpartition("/")[2]: one["margin"] for one in board["comparisons"]}
    assert {metric: margin for metric, margin in of_metric.items() if margin} == {"map": 0.02, "rank_distance": 5}
    assert of_metric["language_fairness"] is of_metric["strong_alignment"] is None
    for option, message in {
        "--margin=map": "--margin map: write a metric and a number, e.g. map=0.01",
        "--margin=map=0": "the margin of 'map' is 0: write a number above 0, or none at all for no equivalence test",
        "--margin=mpa=0.01": "the margin of 'mpa': there is no such metric",
        "--unit=word": "unit = 'word': choose one of article, question, query",
    }.items():
        done = CliRunner().invoke(app, [*map(str, arguments), option])
        assert isinstance(done.exception, BeirHybridError)
        assert message in str(done.exception) and "\n" not in str(done.exception)


BAD_SETTINGS = {
    "[board]\nalpha = 2": "alpha = 2: write a number between 0 and 1",
    "[board]\nalpha = nan": "alpha = nan: write a number between 0 and 1",
    "[board]\nalpha = true": "[board]: alpha is True, not a number",
    "[board]\nunit = 'word'": "unit = 'word': choose one of article, question, query",
    "[board]\nmargins = {map = 0}": "the margin of 'map' is 0: write a number above 0, or none at all",
    "[board]\nmargins = {map = -0.01}": "the margin of 'map' is -0.01: write a number above 0",
    "[board]\nmargins = {map = nan}": "the margin of 'map' is nan: write a number above 0",
    "[board]\nmargins = {map = inf}": "the margin of 'map' is inf: write a number above 0",
    "[board]\nmargins = {map = 'small'}": "[board]: margins, map is 'small', not a number",
    "[board]\nmargins = {mpa = 0.01}": "the margin of 'mpa': there is no such metric; write one such as map",
    "[board]\nmargins = 0.01": "[board]: margins is 0.01, not a table of keys and values",
    "[board]\nflips = 3": "flips = 3: write a whole number from 100",
    "[board]\nmood = 1": "[board]: unknown key 'mood'; known are title, ",
    "[[model]]\nlabel = 'a'": "[[model]] 1 needs a label and models",
    "[[model]]\nlabel = 'a'\nmodels = 'b'": "[[model]] 1: models is 'b', not a list",
    "[[model]]\nlabel = 'a'\nmodels = [1]": "[[model]] 1: models[0] is 1, not a text",
    "[[model]]\nlabel = 'a'\nmodels = ['b']\nkey = 'x y'": "[[model]] 1: the key 'x y' may hold letters",
    "[[model]]\nlabel = 'a'\nmodels = ['b']\nkey = 'k'\n" * 2: "[[model]] 2: the key 'k' is there twice",
    "model = 3": "model is neither the table [board] nor one of the tables [[model]]",
    "[board": "is not a TOML file: ",
}


@pytest.mark.parametrize("text", BAD_SETTINGS)
def test_bad_settings(text: str, tmp_path: Path) -> None:
    path = tmp_path / "leaderboard.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BeirHybridError) as caught:
        read_settings(path)
    assert str(caught.value).startswith(str(path))
    assert BAD_SETTINGS[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_baselines_of_the_file_and_of_the_command_are_both_compared_with(folder: Path) -> None:
    (folder / "leaderboard.toml").write_text("[board]\nbaselines = ['me/x-x']\nask_mteb = false\n", encoding="utf-8")
    assert read_settings(folder / "leaderboard.toml").baselines == ("me/x-x",)
    arguments = ["leaderboard", "--ranks", folder / "ranks", "--settings", folder / "leaderboard.toml", "--quiet"]
    arguments += ["--baseline", "me/hybrid", "--out", folder / "other"]
    CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    board = json.loads((folder / "other" / "leaderboard.json").read_text(encoding="utf-8"))
    assert [one["label"] for one in board["baselines"]] == ["me/x-x", "me/hybrid"]
    script(folder)
    board = json.loads((folder / "tables" / "leaderboard.json").read_text(encoding="utf-8"))
    assert [one["label"] for one in board["baselines"]] == ["me/x-x"]


def test_settings_of_a_whole_file(folder: Path) -> None:
    settings = read_settings(folder / "leaderboard.toml")
    assert (settings.title, settings.flips, settings.alpha) == ("Small", 500, Settings().alpha)
    assert [entry.key for entry in settings.models] == ["script-alert-1-__script", "a_b-50-x"]
    assert settings.models[1].seen == frozenset({"XQuADR"})
