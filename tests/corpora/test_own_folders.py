"""Corpora in folders: what is read of them, and that what is exported is read back as it was."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from beir.datasets.data_loader import GenericDataLoader

import beir_hybrid as bh
from beir_hybrid import beir, corpora
from beir_hybrid.corpora import ParallelCorpus, miracl, nano_beir
from beir_hybrid.corpora.formats.corpus_folder import FORMS, export_corpus
from beir_hybrid.errors import DataError
from beir_hybrid.subsets import MULTI, Subset
from beir_hybrid.tasks import MIRACLCL
from tests.cli.test_cli import Cli, cli
from tests.support import small_folder, small_miracl, small_nano, small_ntrex

__all__ = ["cli"]  # a fixture

NTREX_SCRIPT = Path(__file__).parents[2] / "tools" / "ntrex_corpus.py"

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


def test_questions_are_judged_where_they_are_not_asked(tmp_path: Path) -> None:
    part = corpora.load(small_folder.write(tmp_path))
    german = replace(part.languages["de"], question_ids=("2",), questions=("q",), articles=("passwords",))
    german = replace(german, ignored={"3": [0, 1], "2": [3]}, relevance={"2": {1: 2}, "1": {0: 1, 2: 5}})
    corpus = ParallelCorpus("mine", "1", {"en": part.languages["en"], "de": german})
    for form in FORMS:
        folder = export_corpus(corpus, tmp_path / form, form=form)
        assert corpora.load(folder).languages == corpus.languages
    folder = tmp_path / "jsonl" / "mine"
    assert (folder / "de/qrels/others.tsv").read_text() == (
        "query-id\tcorpus-id\tscore\nde:1\tde:p:1\t1\nde:1\tde:p:3\t5\n"
    )
    assert (folder / "de/qrels/ignored.tsv").read_text().splitlines()[1:] == [
        "de:3\tde:p:1",
        "de:3\tde:p:2",
        "de:2\tde:p:4",
    ]
    _, queries, qrels = GenericDataLoader(str(folder / "de")).load(split="test")
    assert (queries, qrels) == ({"de:2": "q"}, {"de:2": {"de:p:2": 2}})
    # Where one language is read, questions of the others are known all the same.
    assert corpora.load(folder, ["de"]).languages == {"de": german}


def test_a_judgment_of_another_languages_question_may_stand_among_the_others(tmp_path: Path) -> None:
    folder = small_folder.write(tmp_path)
    questions = (folder / "de/queries.jsonl").read_text().splitlines()
    small_folder.write_lines(folder / "de/queries.jsonl", questions[1:])
    assert corpora.load(folder).languages["de"].relevance["1"] == {0: 1}


def test_other_languages_are_not_read(tmp_path: Path) -> None:
    folder = small_folder.write(tmp_path)
    whole = corpora.load(folder)
    for name in ("corpus", "queries"):
        (folder / f"en/{name}.jsonl").write_text("{")
    alone = corpora.load(folder, ["de"])
    assert alone.languages == {"de": whole.languages["de"]}
    assert alone.spec is not None and alone.spec.task is not None and alone.spec.task.name == "HelpCentre-de"
    with pytest.raises(DataError, match="unknown language 'fr'; it has en, de"):
        corpora.load(folder, ["fr"])


def test_questions_of_each_language_are_others_where_they_are_judged_there_only(tmp_path: Path) -> None:
    folder = small_folder.write(tmp_path)
    with (folder / "corpus.toml").open("a") as file:
        file.write("judged_in_own_language = true\n")
    corpus = corpora.load(folder)
    assert corpus.languages["de"].question_ids == ("de-1", "de-2", "de-3")
    assert set(corpus.languages["en"].relevance) == {"en-1", "en-2"}
    assert corpora.load(export_corpus(corpus, tmp_path / "out")) == corpus


def test_what_is_read_of_the_hub_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_MIRACL", str(small_miracl.write(tmp_path / "hub")))
    source = MIRACLCL.source
    corpus = miracl.read(source, [f"{language}-{language}" for language in small_miracl.LANGUAGES])
    for form in FORMS:
        found = corpora.load(export_corpus(corpus, tmp_path / form, form=form))
        assert found.revision == corpus.revision + "-de-en-fi-zh"
        assert found.spec is not None and found.spec.judged_in_own_language
        assert_parts_equal(found, corpus)


def test_the_pool_of_a_task_of_mteb_becomes_a_corpus_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = nano_beir.SPECS[0]
    monkeypatch.setenv("BEIR_HYBRID_HUB", str(small_nano.write(tmp_path / "hub", [spec], small_nano.Size())))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "prepared"))
    corpus = corpora.load(spec.name, ["de", "en"])
    assert spec.task is not None
    for form in FORMS:
        found = corpora.load(export_corpus(corpus, tmp_path / form, form=form))
        assert_parts_equal(found, corpus)
        assert found.spec is not None and found.spec.task is not None
        # MTEB's task decides how a model is asked, and of the folder it is not: their ranks are not mixed.
        assert found.spec.task.name == f"{spec.task.name}-de-enFolder" and found.revision.startswith("local-")
        assert found.spec.metrics == spec.metrics and found.spec.adapted_from == spec.adapted_from


def assert_parts_equal(found: ParallelCorpus, expected: ParallelCorpus) -> None:
    """Compare texts that are read from disk when they are asked for."""
    assert list(found.languages) == list(expected.languages)
    for language, part in expected.languages.items():
        titles = None if part.titles is None or not any(part.titles) else tuple(part.titles)
        texts = {"passage_ids": tuple(part.passage_ids), "passages": tuple(part.passages), "titles": titles}
        ignored = {question: list(rows) for question, rows in part.ignored.items() if len(rows)}
        assert found.languages[language] == replace(part, ignored=ignored, **texts)


def test_columns_of_other_kinds_of_text(tmp_path: Path) -> None:
    folder = small_folder.write(tmp_path, "parquet")
    expected = corpora.load(folder).languages
    for path in folder.rglob("*.parquet"):
        table = pq.read_table(path)
        for place, name in enumerate(table.column_names):
            column = table[name]
            kinds = [pa.large_string(), pa.float64(), pa.dictionary(pa.int32(), pa.string())]
            kind = kinds[1] if name == "score" else kinds[0] if place else kinds[2]
            table = table.set_column(place, name, column.cast(kind))
        pq.write_table(table.append_column("more", [[1] * len(table)]), path)
    assert corpora.load(folder).languages == expected


# --- BEIR's own data sets ---


def write_beir(folder: Path, language: str = "en") -> Path:
    """Write a data set as BEIR publishes them: two splits, a grade below 0, and a question that is a passage."""
    texts = {str(n): f"{language} text {n}" for n in range(6)}
    documents = [{"_id": n, "title": "", "text": text, "metadata": {}} for n, text in texts.items()]
    queries = [{"_id": n, "text": texts[n] if n == "5" else f"{language} question {n}"} for n in texts]
    small_folder.write_lines(folder / "corpus.jsonl", map(json.dumps, documents))
    small_folder.write_lines(folder / "queries.jsonl", map(json.dumps, queries))
    heading = small_folder.HEADING
    small_folder.write_lines(folder / "qrels/train.tsv", [heading, "0\t0\t1"])
    rows = ["1\t1\t1", "1\t2\t-1", "2\t0\t2", "2\t3\t1", "5\t4\t1"]
    small_folder.write_lines(folder / "qrels/test.tsv", [heading, *rows])
    return folder


def test_a_data_set_of_beir(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "sci fact")
    corpus = corpora.load(f"beir:{folder}")
    documents, queries, qrels = GenericDataLoader(str(folder)).load(split="test")
    part = corpus.languages["en"]
    assert corpus.spec is not None and corpus.spec.task is not None
    assert (corpus.name, corpus.spec.task.name, list(corpus.languages)) == ("sci_fact", "SciFact", ["en"])
    assert dict(zip(part.question_ids, part.questions, strict=True)) == queries
    assert part.passages == tuple(document["text"] for document in documents.values())
    assert part.relevance == {
        question: {list(documents).index(name): grade for name, grade in grades.items() if grade > 0}
        for question, grades in qrels.items()
    }
    assert part.ignored == {"5": [5]}


def test_data_sets_of_beir_in_several_languages_are_translations(tmp_path: Path, cli: Cli) -> None:
    for language in ("en", "de"):
        write_beir(tmp_path / "nano" / language, language)
    corpus = corpora.load(f"beir:{tmp_path / 'nano'}")
    assert list(corpus.languages) == ["de", "en"]
    assert corpus.relevant("1", "de") == {1: 1}
    code, out, err = cli("data", "check", f"beir:{tmp_path / 'nano'}")
    assert (code, err) == (0, "") and "Passages that are no candidates for a question: 2" in out


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "holds no corpus.jsonl, and no folder of a language"),
        (small_folder.write, "has a corpus.toml: it is a corpus of its own"),
        (lambda folder: (write_beir(folder) / "queries.jsonl").unlink(), "queries.jsonl: No such file or directory"),
    ],
)
def test_what_is_no_data_set_of_beir_is_one_line(tmp_path: Path, cli: Cli, make: Any, message: str) -> None:
    make(tmp_path)
    code, _, err = cli("data", "check", f"beir:{tmp_path}")
    assert code == 2 and message in err and err.count("\n") == 1
    with pytest.raises(DataError, match=message):
        corpora.load(f"beir:{tmp_path}")


# --- Programs that use BEIR ---


def test_beir_reads_every_pool_of_an_exported_folder(tmp_path: Path) -> None:
    corpus = corpora.load(small_folder.write(tmp_path / "mine"))
    folder = export_corpus(corpus, tmp_path / "out")
    for pool in ("en", "de", MULTI):
        for language in ("en", "de"):
            assert GenericDataLoader(str(folder / pool), prefix=language).load("test") == beir.load(
                tmp_path / "mine", language, pool
            )
    assert GenericDataLoader(str(folder / "de")).load("test") == beir.load(folder, "de", "de")


class Overlap:
    """Scores texts by the words they share, in BEIR's interface."""

    words = "en de passage question title 1 2 3 4".split()

    def encode_queries(self, queries: list[str], **_: Any) -> Any:
        return np.array([[word in text for word in self.words] for text in queries], dtype=np.float32)

    def encode_corpus(self, corpus: list[dict[str, str]], **_: Any) -> Any:
        return self.encode_queries([f"{document['title']} {document['text']}" for document in corpus])


def test_passages_that_are_no_candidates_are_left_out(tmp_path: Path) -> None:
    folder = small_folder.write(tmp_path)
    before = beir.evaluate(Overlap(), folder, "en", "de", score_function="dot")
    assert before.info.task == "HelpCentre"
    first = {query: max(found, key=lambda name: (found[name], name)) for query, found in before.results.items()}
    assert first == {"en:1": "de:p:1", "en:2": "de:p:2"}
    small_folder.write_lines(folder / "de/qrels/ignored.tsv", ["query-id\tcorpus-id", "1\t3", "1\t4", "2\t4"])
    after = beir.evaluate(Overlap(), folder, "en", "de", score_function="dot")
    assert {query: set(found) for query, found in after.results.items()} == {
        "en:1": {"de:p:1", "de:p:2"},
        "en:2": {"de:p:1", "de:p:2", "de:p:3"},
    }
    assert after.cut is None and after.recall["Recall@3"] == 1.0
    assert after.map > before.map


def without_questions(folder: Path) -> None:
    (folder / "de/queries.jsonl").unlink()
    (folder / "de/qrels/test.tsv").unlink()


def without_questions_but_judged(folder: Path) -> None:
    (folder / "de/queries.jsonl").unlink()
    (folder / "de/qrels/test.tsv").rename(folder / "de/qrels/others.tsv")


def with_passages_left_out(folder: Path) -> None:
    small_folder.write_lines(folder / "de/qrels/ignored.tsv", ["query-id\tcorpus-id", "1\t3", "1\t4", "2\t4"])


@pytest.mark.parametrize(
    ("change", "subsets"),
    [
        (lambda folder: None, {"en-en", "de-de", "en-de", "de-en", "en-multi", "de-multi"}),
        (without_questions, {"en-en", "en-multi"}),
        (without_questions_but_judged, {"en-en", "en-de", "en-multi"}),
        (with_passages_left_out, {"en-en", "de-de", "en-de", "de-en", "en-multi", "de-multi"}),
    ],
)
def test_a_folder_of_any_shape_is_evaluated_as_beir_does(tmp_path: Path, change: Any, subsets: set[str]) -> None:
    folder = small_folder.write(tmp_path / "mine")
    change(folder)

    def overlap(texts: list[str]) -> Any:
        return Overlap().encode_queries(texts)

    found = bh.evaluate(overlap, folder, out=tmp_path / "out", similarity="dot", progress=False).scores["map"].dropna()
    assert set(map(str, found.index)) == subsets
    for subset in found.index:
        expected = beir.evaluate(Overlap(), folder, *Subset.parse(str(subset)), score_function="dot").map
        assert found[subset] == pytest.approx(expected, abs=1e-5), subset


# --- The example that makes a corpus of translations ---


def test_sentences_are_questions_whose_answers_are_their_translations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(small_ntrex.write(tmp_path / "data")))
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    monkeypatch.setattr("sys.argv", [str(NTREX_SCRIPT), str(tmp_path / "out")])
    runpy.run_path(str(NTREX_SCRIPT), run_name="__main__")
    folder = Path(capsys.readouterr().out.strip())
    corpus = corpora.load(folder)
    assert tuple(corpus.languages) == small_ntrex.LANGUAGES
    assert corpus.revision == corpora.revision_of("ntrex")
    for language, part in corpus.languages.items():
        assert part.questions == part.passages == small_ntrex.sentences(language)
        assert part.articles == small_ntrex.DOCUMENTS
        assert [part.relevance[question] for question in part.question_ids] == [{row: 1} for row in range(6)]


def test_what_the_example_cannot_do_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(tmp_path))
    monkeypatch.setattr("sys.argv", [str(NTREX_SCRIPT), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(NTREX_SCRIPT), run_name="__main__")
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.startswith("error: ") and err.count("\n") == 1
    assert not (tmp_path / "out").exists()
