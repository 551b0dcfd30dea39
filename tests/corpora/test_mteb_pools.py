"""Pools of retrieval tasks of MTEB's own: their languages, and what shows that questions are translations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from beir_hybrid.corpora import load, spec_of_source
from beir_hybrid.corpora.mteb_pools import spec_of_mteb
from beir_hybrid.errors import DataError
from tests.support.small_origins import subset_rows, write_copy

EURO = "EuroPIRQRetrieval"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of copies of repositories of the hub."""
    monkeypatch.setenv("BEIR_HYBRID_HUB", str(tmp_path))
    return tmp_path


def test_belebele_has_122_languages() -> None:
    spec = spec_of_source("mteb:BelebeleRetrieval")
    assert len(spec.languages) == 122 == len({*spec.languages})
    assert {"arb", "arb-Latn", "zh", "zh-Hant", "si-Latn", "ko", "ja"} <= {*spec.languages}
    assert spec.origin is not None
    assert spec.origin.subsets["zh-Hant"] == "zho_Hant-zho_Hant"
    assert spec_of_source("mteb:BelebeleRetrieval") is spec


def test_two_subsets_of_one_tag_have_the_tags_of_their_names() -> None:
    spec = spec_of_mteb("MKQARetrieval")
    assert spec.origin is not None
    assert {tag: spec.origin.subsets[tag] for tag in ("zh", "zh-HK", "zh-TW", "no")} == {
        "zh": "zh_cn",
        "zh-HK": "zh_hk",
        "zh-TW": "zh_tw",
        "no": "no",
    }
    assert spec.judged_in_own_language


def test_passages_come_first_in_pairs() -> None:
    spec = spec_of_mteb("XPQARetrieval")
    assert spec.origin is not None
    assert spec.origin.pairs is not None
    assert ("ar", "en") in spec.origin.pairs
    assert ("en", "en") not in spec.origin.pairs  # there are no English questions on English passages
    assert "en" not in spec.origin.subsets


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("CodeSearchNetRetrieval", "mteb:CodeSearchNetRetrieval: its subset 'python' is no language"),
        ("LoTTE", "mteb:LoTTE: has no language but en; a pool needs several"),
        ("NFCorpus", "mteb:NFCorpus: has no language but en; a pool needs several"),
        ("XM3600T2IRetrieval", "is of the type Any2AnyMultilingualRetrieval; only retrieval tasks"),
        ("MIRACLReranking", "is of the type Reranking; only retrieval tasks"),
        ("Banking77Classification", "is of the type Classification; only retrieval tasks"),
        ("BelebeleRetrival", "MTEB has no task of this name; did you mean 'BelebeleRetrieval'?"),
        ("XQuADR", "is a task of BEIR-Hybrid itself"),
        ("CrossLingualSemanticDiscriminationWMT19", "which of them is that of the questions is not known here"),
    ],
)
def test_what_is_no_pool_is_said_in_one_line(task: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        spec_of_source(f"mteb:{task}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_equal_ids_are_translations_where_the_judgments_agree(hub: Path, caplog: pytest.LogCaptureFixture) -> None:
    corpus = {"1": "one", "2": "two", "3": "three"}
    queries = {"1": "first?", "2": "second?", "3": "third?"}
    judged = {
        "en": [("1", "1", 1), ("2", "2", 1), ("3", "3", 2)],
        "fi": [("1", "1", 1), ("2", "3", 1), ("3", "3", 2)],
        "pt": [("1", "1", 1), ("2", "2", 1), ("3", "3", 1)],
    }
    rows = {}
    for language, qrels in judged.items():
        rows |= subset_rows(language, queries, corpus, qrels)
    write_copy(hub, "eherra/EuroPIRQ-retrieval", rows, "test")
    with caplog.at_level("INFO", logger="mteb.beir_hybrid"):
        parts = load(f"mteb:{EURO}").languages
    assert parts["en"].question_ids == ("q-1", "q-2", "q-3")
    assert parts["fi"].question_ids == ("q-1", "fi-2", "q-3")
    assert parts["pt"].question_ids == ("q-1", "q-2", "pt-3")
    assert parts["fi"].relevance == {"q-1": {0: 1}, "fi-2": {2: 1}, "q-3": {2: 2}}
    assert parts["pt"].passage_ids == ("pt:1", "pt:2", "pt:3")
    assert (
        "1 of 3 questions have the same id and the same judgments in all 3 languages, 2 in some; 2 times" in caplog.text
    )


def test_what_is_left_out_is_said(hub: Path, caplog: pytest.LogCaptureFixture) -> None:
    queries, qrels = {"1": "first?", "2": "second?", "3": "third?"}, [("1", "1", 1), ("2", "1", 0), ("3", "nowhere", 1)]
    rows: dict[str, Any] = {}
    for language in ("en", "fi", "pt"):
        rows |= subset_rows(language, queries, {"1": "one"}, qrels)
    write_copy(hub, "eherra/EuroPIRQ-retrieval", rows, "test")
    assert load(f"mteb:{EURO}").languages["en"].question_ids == ("q-1",)
    assert f"mteb:{EURO} fi: 1 judgments name passages that are not in the corpus" in caplog.text
    assert f"mteb:{EURO} fi: 2 questions have no right answer; they are left out here" in caplog.text


def test_without_the_data_there_is_one_line_with_ways_out(hub: Path) -> None:
    with pytest.raises(DataError, match="BEIR_HYBRID_HUB") as caught:
        load("mteb:MintakaRetrieval")
    assert "\n" not in str(caught.value)
