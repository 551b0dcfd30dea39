"""The user's own copies of repositories of the hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from beir_hybrid.corpora.hub.copies import copy_of
from beir_hybrid.errors import DataError


def test_a_copy_stands_under_the_name_of_its_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mteb" / "Some.Data_set"
    folder.mkdir(parents=True)
    monkeypatch.setenv("BEIR_HYBRID_HUB", str(tmp_path))
    assert copy_of("mteb/Some.Data_set") == folder
    assert copy_of("mteb/Other") is None


def test_without_the_variable_there_are_no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEIR_HYBRID_HUB", raising=False)
    assert copy_of("mteb/Some") is None


@pytest.mark.parametrize("name", ["../mteb", "mteb/..", "/etc/ssl", "mteb", "a/b/c", "", "a\n/b", "./b"])
def test_what_is_no_repository_names_no_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hub").mkdir()
    monkeypatch.setenv("BEIR_HYBRID_HUB", str(tmp_path / "hub"))
    assert copy_of(name) is None


@pytest.mark.parametrize("folder", ["missing", "~nobody-of-that-name/hub", "a\0b"])
def test_a_folder_that_is_not_there_is_one_line(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "\0" in folder:
        monkeypatch.setattr("os.environ", {"BEIR_HYBRID_HUB": folder})
    else:
        monkeypatch.setenv("BEIR_HYBRID_HUB", folder if folder.startswith("~") else str(tmp_path / folder))
    with pytest.raises(DataError, match=r"^BEIR_HYBRID_HUB=") as error:
        copy_of("mteb/Some")
    assert "\n" not in str(error.value)
