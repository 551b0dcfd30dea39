"""Old import names work for one release: each gives the module of the new name, and says so."""

from __future__ import annotations

import re
import subprocess
import sys
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
