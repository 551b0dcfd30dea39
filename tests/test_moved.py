"""Old import names work for one release: each gives the module of the new name, and says so."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from beir_hybrid import moved

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("old", sorted(moved.MOVED))
def test_an_old_name_gives_the_module_of_the_new_one_and_warns(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, old, raising=False)
    new = import_module(moved.MOVED[old])
    with pytest.warns(DeprecationWarning, match=re.escape(f"{old} is now {moved.MOVED[old]}")):
        assert import_module(old) is new
    assert new.__spec__ is not None and new.__spec__.name == moved.MOVED[old]


def test_imports_that_documents_show_work() -> None:
    pattern = re.compile(r"^(?:>>> )?((?:from beir_hybrid[.\w]* import [\w, ]+)|(?:import beir_hybrid[.\w]*))$", re.M)
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    lines = {line for path in documents for line in pattern.findall(path.read_text(encoding="utf-8"))}
    assert len(lines) > 10
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        for line in lines:
            exec(line, {})


@pytest.mark.parametrize(
    "line",
    [
        "from beir_hybrid.corpora.trec import write_trec_run",
        "from beir_hybrid.leaderboard.columns import COLUMNS",
        "from beir_hybrid.leaderboard.regenerate import Inputs, make_board, regenerate",
        "from beir_hybrid.leaderboard.settings import Settings",
        "from beir_hybrid.leaderboard.significance import compare",
        "from beir_hybrid.leaderboard.unit_scores import unit_scores",
        "from beir_hybrid.scoring import rank_table; rank_table.read, rank_table.store",
        "from beir_hybrid.training.overlap import find_overlap, read_evaluation, read_training",
        "from beir_hybrid.training.recipe import make_recipe",
        "from beir_hybrid.training.train import train",
        "import beir_hybrid.autoload",
    ],
)
def test_imports_that_documents_showed_before_work_and_warn(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in moved.MOVED:
        monkeypatch.delitem(sys.modules, name, raising=False)
        package, _, module = name.rpartition(".")
        if package in sys.modules:
            monkeypatch.delattr(sys.modules[package], module, raising=False)
    with pytest.warns(DeprecationWarning, match=" is now "):
        exec(line, {})


def test_modules_below_an_old_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("beir_hybrid.encoders")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.warns(DeprecationWarning, match=r"beir_hybrid\.encoders\.model_files is now beir_hybrid\.models"):
        assert import_module("beir_hybrid.encoders.model_files") is import_module("beir_hybrid.models.model_files")


def test_names_that_did_not_move_are_not_found() -> None:
    assert moved.MovedModules().find_spec("beir_hybrid.encodersx") is None
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'beir_hybrid\.training\.nothing'"):
        import_module("beir_hybrid.training.nothing")


def test_what_is_pickled_and_reloaded_knows_its_own_name() -> None:
    code = (
        "import importlib, pickle, beir_hybrid.settings, beir_hybrid.subsets as subsets;"
        "assert importlib.reload(subsets) is beir_hybrid.settings;"
        "assert b'beir_hybrid.subsets' in pickle.dumps(subsets.Subset('en', 'de'))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_of_ours_uses_an_old_name() -> None:
    old = re.compile("|".join(rf"{re.escape(name)}\b" for name in moved.MOVED))
    files = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "beir_hybrid").rglob("*.py")]
    files += [
        path for folder in ("tasks", "tools", "benchmarks", "leaderboard") for path in (ROOT / folder).glob("*.py")
    ]
    users = {path.name for path in files if path.name != "moved.py" and old.search(path.read_text(encoding="utf-8"))}
    assert not users
