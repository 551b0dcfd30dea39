"""Corpora that are made of data sets of the hub: in mteb's layout, or tables of rows, as copies on this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest

from beir_hybrid.corpora import load, spec_of_source
from beir_hybrid.errors import DataError
from beir_hybrid.tasks import tasks_of
from tests.support.small_origins import subset_rows, write_copy

NAME = "some-one/help.centre"
Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "hub"
    root.mkdir()
    monkeypatch.setenv("BEIR_HYBRID_HUB", str(root))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "prepared")
    return root


def write(hub: Path, configs: Mapping[str, Rows], split: str = "test") -> Path:
    return write_copy(hub, NAME, configs, split)


def layout(hub: Path, names: Mapping[str, str], split: str = "test") -> Path:
    """Write two questions with two answers each, and a passage that nobody asks for, in several languages."""
    configs: dict[str, Rows] = {}
    for name, word in names.items():
        corpus = {f"{number}": (f"{word} title", f"{word} passage {number}") for number in range(5)}
        queries = {"0": f"{word} question 0", "1": f"{word} question 1"}
        judged = [("0", "0", 2), ("0", "1", 1), ("1", "2", 1), ("1", "3", 0)]
        configs |= subset_rows(name, queries, corpus, judged)
    return write(hub, configs, split)


def rows_of(language: str, **others: Any) -> Rows:
    return [
        {"Question": f"{language} question {number // 2}", "answer": f"{language} answer {number}", **others}
        for number in range(4)
    ]


def error_of(hub: Path, source: str = f"hub:{NAME}") -> str:
    with pytest.raises(DataError) as error:
        load(source)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "names", [("de", "en", "zh-Hant"), ("deu-Latn", "eng-Latn", "zho-Hant"), ("de", "eng", "zho_Hant")]
)
def test_mtebs_layout_with_configurations_by_language(
    names: tuple[str, ...], hub: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout(hub, {name: f"word{place}" for place, name in enumerate(names)})
    spec = spec_of_source(f"hub:{NAME}")
    assert spec.languages == ("de", "en", "zh-Hant")
    assert (spec.name, spec.task and spec.task.name) == ("some-one__help.centre", "SomeOneHelpCentre")
    assert spec.revision.startswith("local-") and spec is spec_of_source(f"hub:{NAME}")
    with caplog.at_level(logging.INFO, logger="mteb.beir_hybrid"):
        corpus = load(spec)
    german = corpus.languages["de"]
    assert german.question_ids == ("q-0", "q-1") and german.articles == german.question_ids
    assert list(german.passage_ids)[:2] == ["de:0", "de:1"] and german.titles is not None
    assert german.relevance == {"q-0": {0: 2, 1: 1}, "q-1": {2: 1}}
    assert corpus.judgments("en", ["de"])["en:q-0"] == {"de:0": 2, "de:1": 1}
    assert "2 of 2 question ids are in all 3 languages" in caplog.text
    assert [len(task.metadata.hf_subsets) for task in tasks_of(spec)] == [3 + 6 + 3, 3 + 1]


def test_a_table_with_a_column_of_languages(hub: Path) -> None:
    rows = [
        {**row, "qid": number // 2, "lang": language, "title": f"{language} title", "article": "one"}
        for language in ("en", "deu-Latn")
        for number, row in enumerate(rows_of(language))
    ]
    write(hub, {"default": rows}, "train")
    (hub / NAME / "corpus.toml").write_text(
        'name = "centre"\nlicence = "cc0-1.0"\nlanguages = ["de", "en"]\nmetrics = ["ndcg_at_10"]\n'
        '[columns]\nquestion = "Question"\nid = "qid"\n',
        encoding="utf-8",
    )
    corpus = load(f"hub:{NAME}")
    spec = corpus.spec
    assert spec is not None and spec.languages == tuple(corpus.languages) == ("de", "en")
    assert (spec.name, spec.licence, spec.metrics) == ("centre", "cc0-1.0", ("ndcg_at_10",))
    assert not spec.judged_in_own_language
    part = corpus.languages["en"]
    assert part.question_ids == ("q-0", "q-1") and part.articles == ("one", "one")
    assert part.passages == tuple(f"en answer {number}" for number in range(4)) and part.titles == ("en title",) * 4
    assert part.passage_ids == ("en:0", "en:1", "en:2", "en:3")
    assert corpus.judgments("en", ["de"])["en:q-1"] == {"de:2": 1, "de:3": 1}


def test_tables_with_a_configuration_a_language_and_no_ids_have_nothing_parallel(hub: Path) -> None:
    write(
        hub,
        {
            language: [{"query": f"{language} a", "context": "same"}, {"query": f"{language} b", "context": "same"}]
            for language in ("en", "fr")
        },
    )
    spec = spec_of_source(f"hub:{NAME}")
    assert spec.judged_in_own_language
    corpus = load(spec)
    assert [len(part.passages) for part in corpus.languages.values()] == [1, 1], "equal texts are one passage"
    assert not set(corpus.languages["en"].question_ids) & set(corpus.languages["fr"].question_ids)
    assert len(tasks_of(spec)) == 1


def test_a_folder_may_describe_a_data_set_that_is_elsewhere(hub: Path, tmp_path: Path) -> None:
    layout(hub, {"de": "wort", "en": "word", "fr": "mot"})
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "corpus.toml").write_text(
        f'name = "mine"\nlicence = "mit"\nlanguages = ["fr", "en"]\nsource = "hub:{NAME}"\n', encoding="utf-8"
    )
    corpus = load(mine)
    assert corpus.name == "mine" and list(corpus.languages) == ["fr", "en"]


@pytest.mark.parametrize("name", ["help", "a/b/c", "../x/y", "a/b@", "a b/c", "/a/b", "a/b@-c"])
def test_other_names_are_none_of_the_hub(name: str, hub: Path) -> None:
    assert "is named OWNER/NAME" in error_of(hub, f"hub:{name}")


def spoil(hub: Path, **row: Any) -> None:
    rows = [
        {"question": "a", "answer": "b", "id": "1", "lang": "en"},
        {"question": "c", "answer": "d", "id": "2", "lang": "en"},
    ]
    rows[1] |= row
    write(hub, {"default": rows})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": " "}, "row 2: the column 'question' is empty"),
        ({"answer": None}, "row 2: the column 'answer' holds no text but None"),
        ({"id": "1"}, "row 2: the id '1' stood at another question of the same language"),
        ({"lang": "klingon!"}, "'klingon!' is no language"),
    ],
)
def test_rows_that_are_wrong(row: dict[str, Any], message: str, hub: Path) -> None:
    spoil(hub, **row)
    assert message in error_of(hub)


def test_columns_that_are_missing(hub: Path) -> None:
    write(hub, {"default": [{"frage": "a", "answer": "b", "lang": "en"}]})
    assert "no column is known to hold the question; there are frage, answer, lang" in error_of(hub)
    described = 'name = "x"\nlicence = "mit"\nlanguages = ["en"]\n[columns]\n'
    path = hub / NAME / "corpus.toml"
    path.write_text(described + 'question = "fragen"\n', encoding="utf-8")
    assert "there is no column 'fragen' (question); there are frage, answer, lang" in error_of(hub)
    path.write_text(described + 'frage = "frage"\n', encoding="utf-8")
    assert "columns, unknown key 'frage'" in error_of(hub)
    path.write_text(described + 'question = "frage"\nsplit = "dev"\n', encoding="utf-8")
    assert "has no split 'dev'; there are test" in error_of(hub)
    path.write_text(described.replace('["en"]', '["en", "de"]') + 'question = "frage"\n', encoding="utf-8")
    assert "has no language 'de'; there are en" in error_of(hub)


def test_a_damaged_copy_and_none_at_all(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = layout(hub, {"de": "wort", "en": "word"})
    (folder / "de-corpus" / "test-00000-of-00001.parquet").write_bytes(b"PAR1 but no more")
    assert "cannot be read" in error_of(hub)
    assert "cannot be read" in error_of(hub, "hub:no-one/nothing") and "BEIR_HYBRID_HUB" in error_of(
        hub, "hub:no-one/x"
    )


def test_without_a_network_there_is_one_line_at_once(monkeypatch: pytest.MonkeyPatch, hub: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 does not answer" in error_of(hub, "hub:no-one/nothing")


def test_no_code_of_a_data_set_is_run(hub: Path, tmp_path: Path) -> None:
    folder = hub / NAME
    folder.mkdir(parents=True)
    ran = tmp_path / "ran"
    for name in ("help.centre.py", "dataset.py", "__init__.py"):
        (folder / name).write_text(f"open({str(ran)!r}, 'w')\nraise SystemExit\n", encoding="utf-8")
    (folder / "rows.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(ran).encode() + b"'\ntR.")
    error_of(hub)
    assert not ran.exists()


def test_another_content_is_another_revision(hub: Path) -> None:
    layout(hub, {"de": "wort", "en": "word"})
    before = spec_of_source(f"hub:{NAME}@main").revision
    layout(hub, {"de": "anderes", "en": "word"})
    assert spec_of_source(f"hub:{NAME}@main").revision != before
    assert load(f"hub:{NAME}").languages["de"].questions[0] == "anderes question 0"
