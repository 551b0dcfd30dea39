"""Corpora in folders: what is read of them, and that what is exported is read back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from beir_hybrid import corpora
from beir_hybrid.corpora import ParallelCorpus
from beir_hybrid.corpora.formats.corpus_folder import FORMS, export_corpus
from tests.support import small_folder

FORMS_AND_PLACES = [("jsonl", False), ("jsonl", True), ("parquet", False), ("parquet", True)]


@pytest.mark.parametrize(("form", "flat"), FORMS_AND_PLACES)
def test_a_folder_is_a_corpus(tmp_path: Path, form: str, flat: bool) -> None:
    corpus = corpora.load(small_folder.write(tmp_path / "mine", form, flat))
    assert (corpus.name, list(corpus.languages)) == ("help-centre", ["en", "de"])
    german = corpus.languages["de"]
    assert german.question_ids == ("1", "2", "3")
    assert german.questions == ("de question 1?", "de question 2?", "de question 3?")
    assert german.articles == ("passwords", "passwords", "3")
    assert german.passage_ids == ("de:p:1", "de:p:2", "de:p:3", "de:p:4")
    assert german.passages == tuple(f"de passage {n}" for n in range(1, 5))
    assert german.titles == ("", "de title", "", "")
    assert german.relevance == {"1": {0: 1}, "2": {1: 2, 2: 1}}
    spec = corpus.spec
    assert spec is not None and spec.task is not None
    assert (spec.licence, spec.task.name, spec.metrics) == ("cc-by-4.0", "HelpCentre", ("map",))
    assert spec.revision == corpus.revision and corpus.revision.startswith("local-")


def test_question_1_and_passage_1_are_two_things(tmp_path: Path) -> None:
    corpus = corpora.load(small_folder.write(tmp_path))
    for part in corpus.languages.values():
        assert not set(part.query_ids) & set(part.passage_ids)
        assert part.query_ids[0] == f"{part.language}:1"


def test_the_revision_is_of_the_files(tmp_path: Path) -> None:
    folder = small_folder.write(tmp_path)
    before = corpora.revision_of(folder)
    (folder / "notes.txt").write_text("not of the corpus")
    assert corpora.revision_of(folder) == before
    small_folder.write_lines(folder / "de/queries.jsonl", ['{"_id": "1", "text": "another"}'])
    assert corpora.revision_of(folder) != before


def assert_equal(found: ParallelCorpus, expected: ParallelCorpus) -> None:
    assert found == expected
    assert found.spec is not None and expected.spec is not None
    names = ("name", "title", "licence", "languages", "revision", "citation", "metrics", "adapted_from")
    for name in (*names, "judged_in_own_language"):
        assert getattr(found.spec, name) == getattr(expected.spec, name), name
    assert found.spec.task is not None and expected.spec.task is not None
    assert found.spec.task.name == expected.spec.task.name


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["xquad-r", "mlqa-r", "atlas-r"])
def test_an_exported_corpus_is_read_back_as_it_was(tmp_path: Path, name: str) -> None:
    corpus = corpora.load(name)
    for form in FORMS:
        assert_equal(corpora.load(export_corpus(corpus, tmp_path / form, form=form)), corpus)
