"""Corpora that are not ours: found in folders and packages, and left out with a line where they cannot be used."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from beir_hybrid import corpora
from beir_hybrid.cli import main
from beir_hybrid.corpora import discovery, registry
from beir_hybrid.training.pairs import read_source
from tests.support.tiny_package import tiny_faq

TOML = 'name = "{name}"\nlicence = "cc0-1.0"\nlanguages = ["en"]\n'


def write_corpus(folder: Path, name: str) -> Path:
    """Write a corpus of one language and one question."""
    (folder / "en" / "qrels").mkdir(parents=True)
    (folder / "corpus.toml").write_text(TOML.format(name=name), encoding="utf-8")
    (folder / "en" / "corpus.jsonl").write_text('{"_id": "1", "text": "At nine."}\n', encoding="utf-8")
    (folder / "en" / "queries.jsonl").write_text('{"_id": "a", "text": "When?"}\n', encoding="utf-8")
    (folder / "en" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\na\t1\t1\n", encoding="utf-8")
    return folder


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Let an installed package offer something."""

    def offer_it(offered: Any) -> None:
        entry = EntryPoint("some", "some_package:SPEC", discovery.GROUP)
        monkeypatch.setattr(EntryPoint, "load", lambda self: offered() if isinstance(offered, Raising) else offered)
        monkeypatch.setattr(discovery, "entry_points", lambda group: [entry])

    return offer_it


class Raising:
    """A package that cannot be imported."""

    def __call__(self) -> None:
        raise ImportError("no module named\nanything")


@pytest.fixture
def looked_anew() -> Iterator[None]:
    """Let the registry look for others' corpora once more, and forget them afterwards."""
    known = {spec.name for spec in corpora.specs()}
    registry._OTHERS.append(discovery.found_specs)
    yield
    for spec in corpora.specs():
        if spec.name not in known:
            corpora.unregister(spec.name)


def found() -> list[str]:
    return [spec.name for spec in discovery.found_specs()]


def test_folders_are_corpora_or_hold_corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpus(tmp_path / "alone", "alone")
    for name in ("second", "first"):
        write_corpus(tmp_path / "many" / name, name)
    (tmp_path / "many" / "notes").mkdir()
    monkeypatch.setenv(discovery.FOLDERS, os.pathsep.join([str(tmp_path / "alone"), "", str(tmp_path / "many")]))
    assert found() == ["alone", "first", "second"]


@pytest.mark.parametrize(
    "offered", [tiny_faq.SPEC, [tiny_faq.SPEC], lambda: tiny_faq.SPEC, lambda: iter([tiny_faq.SPEC])]
)
def test_packages_offer_specs_or_functions(offered: Any, offer: Callable[[Any], None]) -> None:
    offer(offered)
    assert found() == ["tiny-faq"]


@pytest.mark.parametrize(
    ("offered", "problem"),
    [
        (Raising(), "the entry point some = some_package:SPEC: ImportError: no module named anything"),
        ([tiny_faq.SPEC, "tiny-faq"], "the entry point some = some_package:SPEC: offers a str, not a CorpusSpec"),
        (7, "the entry point some = some_package:SPEC: TypeError"),
    ],
)
def test_a_package_that_cannot_be_used_is_a_warning(
    offered: Any, problem: str, offer: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer(offered)
    monkeypatch.setenv(discovery.FOLDERS, str(write_corpus(tmp_path / "corpus", "mine")))
    with pytest.warns(RuntimeWarning) as said:
        assert found() == ["mine"]  # the others go on
    [warning] = said
    assert str(warning.message).startswith(f"BEIR-Hybrid: a corpus is left out: {problem}")
    assert "\n" not in str(warning.message)


def test_a_folder_that_cannot_be_used_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    broken = write_corpus(tmp_path / "broken", "broken")
    (broken / "corpus.toml").write_text("name = ", encoding="utf-8")
    good = write_corpus(tmp_path / "good", "good")
    folders = [tmp_path / "nowhere", tmp_path / "empty", broken, good]
    monkeypatch.setenv(discovery.FOLDERS, os.pathsep.join(map(str, folders)))
    with pytest.warns(RuntimeWarning) as said:
        assert found() == ["good"]
    messages = [str(warning.message) for warning in said]
    assert len(messages) == 3 and all("\n" not in message for message in messages)
    assert "there is no such folder" in messages[0] and "nor a folder of corpora" in messages[1]
    assert "corpus.toml" in messages[2]


@pytest.mark.usefixtures("looked_anew")
def test_what_is_found_is_listed_behind_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(discovery.FOLDERS, str(write_corpus(tmp_path / "corpus", "mine")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert corpora.specs()[-1].name == "mine"
    assert corpora.load("mine").languages["en"].passage_ids == ("en:p:1",)
    assert read_source("mine").answers["en"].to_pylist() == ["At nine."]


@pytest.mark.usefixtures("looked_anew")
def test_a_name_that_is_taken_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(discovery.FOLDERS, str(write_corpus(tmp_path / "corpus", "xquad-r")))
    with pytest.warns(RuntimeWarning, match="'xquad-r' is a name of xquad-r already"):
        before = corpora.specs()
    assert [spec.name for spec in before].count("xquad-r") == 1


@pytest.mark.usefixtures("looked_anew")
def test_the_command_line_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(discovery.FOLDERS, str(write_corpus(tmp_path / "corpus", "mine")))
    with pytest.raises(SystemExit) as end:
        main(["data", "list"])
    printed = capsys.readouterr().out
    assert end.value.code == 0 and "\nmine " in printed and "local-" in printed
