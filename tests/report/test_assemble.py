"""A report of made-up runs, and its notes."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc
import pytest

from beir_hybrid.errors import DataError, RankTableError
from beir_hybrid.indexing.index_table import IndexRow, IndexTable
from beir_hybrid.report.assemble import build_report, check_corpus, corpus_of, labels_of
from tests.support.ranked_runs import LANGUAGES, random_scores, run_of
from tests.support.ranked_runs import corpus_of as made_up

CORPUS = made_up(questions=8)
RUN = run_of(CORPUS, random_scores(1, own=0.5))


def test_a_report_says_whose_figures_they_are_and_of_which_texts() -> None:
    report = build_report([replace(RUN, info=replace(RUN.info, versions={"mteb": "2.26.5", "torch": "2"}))], CORPUS)
    assert (report.task, report.corpus, report.licence, report.dataset_revision) == (
        "MadeUp",
        "Made up",
        "cc0-1.0",
        "data-1",
    )
    [run] = report.runs
    assert (run.label, run.model, run.revision, run.cut) == ("model", "me/model", "1", None)
    assert (report.unit, report.units, report.versions) == ("articles", 4, "mteb 2.26.5, torch 2")
    assert len(report.matter) == 1 and report.notes == []


def test_two_revisions_of_a_model_are_told_apart() -> None:
    other = replace(RUN, info=replace(RUN.info, model_revision="2"))
    report = build_report([RUN, other], CORPUS)
    assert [run.label for run in report.runs] == ["me/model (1)", "me/model (2)"]
    assert [sentence.split(": ")[0] for sentence in report.matter[1:]] == ["me/model (1)", "me/model (2)"]
    assert report.matter[0].startswith("With me/model (1) instead of me/model (2), ")


@pytest.mark.parametrize(
    ("models", "labels"),
    [
        (["a/x", "b/y"], ["x", "y"]),
        (["a/x", "b/x"], ["a/x", "b/x"]),
        (["no_model_name/available"], ["no_model_name/available"]),
        (["x", "a/"], ["x", "a/"]),
    ],
)
def test_labels_are_as_short_as_tells_models_apart(models: list[str], labels: list[str]) -> None:
    assert labels_of([replace(RUN, info=replace(RUN.info, model=model)) for model in models]) == labels


def test_notes_say_how_many_ranks_are_unknown() -> None:
    search = run_of(CORPUS, random_scores(1, own=0.9, right=0.5), "me/search", cut=15)
    unknown = search.table["rank_in_pool"].null_count
    assert 0 < unknown < 72
    notes = build_report([search], CORPUS).notes
    assert notes[0] == (
        f"search: the search returned 15 passages of each query, and {unknown} of 72 right answers "
        f"({100 * unknown / 72:.1f} %) were not among those of the pool of all languages. Their ranks are unknown: "
        "they count 0 in retrieval metrics, and figures that need them leave the query out."
    )
    assert notes[1].startswith("search: figures of languages leave out queries") and "90 % are needed" in notes[1]


def test_notes_say_which_questions_were_not_asked_in_the_pool() -> None:
    evaluated = {language: [*LANGUAGES] + ["multi"] * (language != "th") for language in LANGUAGES}
    partly = replace(RUN, info=replace(RUN.info, evaluated=evaluated))
    assert "model: questions in th were not asked in the pool of all languages." in build_report([partly], CORPUS).notes


def test_notes_say_of_which_questions_the_top_passages_were_not_kept() -> None:
    kept = {language: counts for language, counts in RUN.tops.outranking.items() if language != "en"}
    report = build_report([replace(RUN, kept_tops=replace(RUN.tops, outranking=kept))], CORPUS)
    assert report.notes == ["model: top passages of questions in en were not kept; what outranks answers is unknown."]
    assert report.heat_maps[-1].grids[0][1] == [None] * 3


def test_the_run_of_an_index_has_a_table_of_what_it_finds() -> None:
    rows = tuple(IndexRow(language, 1.0, 0.5, 0.75, None, 1.0, 0.75) for language in LANGUAGES)
    index = IndexTable("IVF4,Flat", {"nprobe": 1}, 15, rows)
    search = run_of(CORPUS, random_scores(1, own=0.9, right=0.5), cut=15)
    served = replace(search, info=replace(search.info, model_revision="1/IVF4"), kept_index=index)
    report = build_report([served, RUN], CORPUS)
    assert [run.label for run in report.runs] == ["model (IVF4,Flat nprobe=1)", "model"]
    [table] = report.tables
    assert table.title == "model (IVF4,Flat nprobe=1): what the index finds"
    assert [row[0] for row in table.rows] == [*LANGUAGES, "all"]
    assert {tuple(row[1:]) for row in table.rows} == {(1.0, 0.5, 0.75, None, 1.0, 0.75)}
    assert len(table.heads) == 7
    assert report.notes[0].startswith("model (IVF4,Flat nprobe=1): the search returned 15 passages of each query")


def test_answers_in_the_language_of_the_question_only() -> None:
    own = pc.equal(RUN.table["query_language"], RUN.table["passage_language"])
    report = build_report([replace(RUN, table=RUN.table.filter(own))], CORPUS)
    assert [one.key for one in report.heat_maps] == ["outranking"]
    assert report.matter[0].startswith("Nothing is known of answers in other languages: there are none")
    assert [row.figures[0].value is None for row in report.figures[:3]] == [False, True, False]
    assert "0.0 % of the queries have one, 90 % are needed" in report.notes[0]


@pytest.mark.parametrize("runs", [[], [RUN] * 3])
def test_a_report_is_of_one_run_or_two(runs: list) -> None:
    with pytest.raises(RankTableError, match=f"of one run or of two, not of {len(runs)}"):
        build_report(runs, CORPUS)


def test_runs_need_their_top_passages() -> None:
    with pytest.raises(RankTableError, match="me/model on MadeUp: the top passages were not kept"):
        build_report([replace(RUN, kept_tops=None)], CORPUS)


def test_the_corpus_is_that_of_the_run() -> None:
    with pytest.raises(
        DataError, match="made-up is not the corpus of the ranks of me/model: its task is Other, theirs"
    ):
        check_corpus(RUN, made_up(task="Other"))


@pytest.mark.parametrize("languages", [None, ["en", "de"]])
def test_the_registered_corpus_of_a_task_is_found_with_all_its_languages_or_some(languages: list[str] | None) -> None:
    from beir_hybrid.interface.evaluate_model import read_corpus

    corpus = read_corpus("atlas-r", languages)
    info = replace(
        RUN.info,
        task=corpus.spec.task.name,
        dataset_revision=corpus.spec.revision,
        pool_sizes={language: len(part.passages) for language, part in corpus.languages.items()},
    )
    assert corpus_of(replace(RUN, info=info), None, progress=False).languages.keys() == corpus.languages.keys()
