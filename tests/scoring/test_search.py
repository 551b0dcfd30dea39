"""Ranks in the results of a search against pytrec_eval: ties, passages not returned, queries without results."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.corpora import ParallelCorpus
from beir_hybrid.ranks import build
from beir_hybrid.ranks.rows import search_rows
from beir_hybrid.ranks.search import ranks_in_results, returned
from beir_hybrid.scoring.corpus_scores import count_corpus, rank_rows
from beir_hybrid.subsets import MULTI
from tests.support.helpers import (
    LANGUAGES,
    ODD_NAMES,
    Qrels,
    Run,
    ScoreTable,
    corpus_of,
    property_test,
    pytrec,
    qrels_of,
    ranking,
    score_tables,
)

PASSAGES = st.builds("{}:{}".format, st.sampled_from(LANGUAGES), st.sampled_from(ODD_NAMES))
QUERIES = st.sampled_from(["en:q1", "en:q2", "de:q1"])
TIED = st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1e-3])
NEARLY_TIED = st.sampled_from([1.0, 1 + 1e-12, 1 - 1e-12, 1 + 1e-3, 16777216.0, 16777217.0])


@st.composite
def searches(draw: st.DrawFn) -> tuple[Run, Qrels]:
    """Draw results and judgments, of which any part may lack."""
    scores = draw(st.sampled_from([TIED, NEARLY_TIED, st.floats(-100, 100)]))
    run = draw(st.dictionaries(QUERIES, st.dictionaries(PASSAGES, scores, min_size=1, max_size=20), min_size=1))
    relevant = st.dictionaries(PASSAGES, st.integers(0, 3), min_size=1, max_size=6)
    qrels = draw(st.dictionaries(QUERIES, relevant, min_size=1))
    for query_id, passages in run.items():
        some = st.sets(st.sampled_from(sorted(passages)), max_size=3)
        qrels.setdefault(query_id, {}).update(dict.fromkeys(draw(some), 1))
    qrels = {query_id: grades for query_id, grades in qrels.items() if any(grades.values())}
    return run, qrels


@property_test(200)
@given(searches())
def test_average_precision_equals_pytrec_eval(search: tuple[Run, Qrels]) -> None:
    run, qrels = search
    ranks = ranks_in_results(run, qrels)
    assert list(ranks.found) == list(qrels)
    searched = {query_id: grades for query_id, grades in qrels.items() if query_id in run}
    precisions = pytrec(run, searched)["map"] if searched else np.array([])
    for query_id, expected in zip(searched, precisions, strict=True):
        alone = ranks_in_results(run, {query_id: qrels[query_id]})
        assert alone.mean_average_precision() == pytest.approx(expected, abs=1e-12)
    if qrels:  # a query without any result has found nothing
        assert ranks.mean_average_precision() == pytest.approx(precisions.sum() / len(qrels), abs=1e-12)


@property_test(100)
@given(searches())
def test_ranks_equal_sorting_in_single_precision(search: tuple[Run, Qrels]) -> None:
    run, qrels = search
    for query_id, found in ranks_in_results(run, qrels).found.items():
        scores = {passage_id: float(np.float32(score)) for passage_id, score in run.get(query_id, {}).items()}
        order = ranking(scores)
        assert [passage.passage_id for passage in found] == [p for p, grade in qrels[query_id].items() if grade]
        for passage in found:
            assert passage.query_id == query_id
            assert passage.grade == qrels[query_id][passage.passage_id]
            assert passage.rank == order.get(passage.passage_id)
            assert passage.top_languages == "".join(other[:2] for other in order)
            if passage.rank is None:
                assert passage.in_query_language is None
            else:
                before = [other for other, rank in order.items() if rank < passage.rank]
                assert passage.in_query_language == sum(other[:2] == query_id[:2] for other in before)


def test_queries_without_a_relevant_passage_are_left_out() -> None:
    ranks = ranks_in_results({"en:q": {"en:1": 1.0}}, {"en:q": {"en:1": 0}, "en:r": {}, "en:s": {"en:1": 1}})
    assert list(ranks.found) == ["en:s"]
    assert ranks.found["en:s"][0].rank is None
    assert ranks.mean_average_precision() == 0


def test_only_the_first_100_languages_are_kept() -> None:
    scores = {f"{'en' if n % 3 else 'de'}:{n}": -float(n) for n in range(150)}
    [passage] = ranks_in_results({"en:q": scores}, {"en:q": {"de:149": 1, "de:3": 2}}).found["en:q"][1:]
    assert (passage.rank, passage.in_query_language, passage.grade) == (4, 2, 2)
    assert passage.top_languages == "".join("en" if n % 3 else "de" for n in range(100))


def rows_of(corpus: ParallelCorpus, run: Run, subset: str) -> dict[tuple[str, str], dict[str, object]]:
    query_language, pool = subset.split("-")
    qrels = qrels_of(corpus, query_language, list(corpus.languages) if pool == MULTI else [pool])
    rows = build("Task", [search_rows(ranks_in_results(run, qrels), corpus, subset)]).to_pylist()
    return {(row["query_id"], row["passage_id"]): row for row in rows}


@property_test(40)
@given(score_tables())
def test_an_uncut_search_ends_in_the_rows_of_the_counting_pass(table: ScoreTable) -> None:
    languages = list(table.corpus.languages)
    for counted in count_corpus(table.corpus, table.embeddings, table.similarity):
        language = counted.targets.query_language
        rows = build("Task", [rank_rows(counted, table.corpus, whole_pool=True)]).to_pylist()
        in_pool = rows_of(table.corpus, table.run(language, languages), f"{language}-{MULTI}")
        in_language: dict[tuple[str, str], dict[str, object]] = {}
        for pool in languages:
            in_language |= rows_of(table.corpus, table.run(language, [pool]), f"{language}-{pool}")
        assert set(in_pool) == set(in_language) == {(row["query_id"], row["passage_id"]) for row in rows}
        for row in rows:
            key = row["query_id"], row["passage_id"]
            assert in_pool[key] == {**row, "rank_in_language": None}
            whole = {"rank_in_pool": None, "outranked_by_query_language": None, "top_languages": None}
            assert in_language[key] == {**row, **whole}


def test_rows_of_passages_that_were_not_returned() -> None:
    corpus = corpus_of(
        {"en": ["1"], "de": ["1", "2"]}, {"en": ["q", "r"], "de": []}, {"de": {"q": {0: 2}, "r": {1: 1}}}
    )
    rows = rows_of(corpus, {"en:q": {"de:2": 1.0}}, "en-de")
    assert rows == {
        (f"en:{question_id}", passage_id): {
            "task": "Task",
            "query_id": f"en:{question_id}",
            "question_id": question_id,
            "query_language": "en",
            "passage_id": passage_id,
            "passage_language": "de",
            "rank_in_language": None,
            "rank_in_pool": None,
            "outranked_by_query_language": None,
            "cluster_id": f"article {question_id}",
            "grade": grade,
            "top_languages": None,
        }
        for question_id, passage_id, grade in (("q", "de:1", 2), ("r", "de:2", 1))
    }


def zeros_left(results: Run, *model_types: str) -> int:
    return sum(score == 0 for scores in returned(results, model_types).values() for score in scores.values())


def test_a_lexical_zero_is_not_a_result() -> None:
    results = {"en:q": {"en:1": 2.5, "en:2": 0.0, "de:1": 0.0}, "en:r": {"en:1": 0.0, "en:2": -0.0}}
    for model_types in ([], ["sparse"], ["dense", "sparse"]):
        assert returned(results, model_types) == {"en:q": {"en:1": 2.5}, "en:r": {}}
    ranks = ranks_in_results(returned(results), {"en:q": {"en:1": 1, "de:1": 1}, "en:r": {"en:2": 1}})
    assert [(p.rank, p.top_languages) for p in ranks.found["en:q"]] == [(1, "en"), (None, "en")]
    # Searched for without a result, which is not the same as not searched for.
    assert [(p.rank, p.top_languages) for p in ranks.found["en:r"]] == [(None, "")]
    assert ranks.mean_average_precision() == 0.25


def test_a_zero_of_a_search_by_meaning_is_a_score() -> None:
    grades = {"en:q": {"en:1": 3.0, "en:2": 0.0, "de:1": 0.0}}
    assert (
        zeros_left(grades, "cross-encoder")
        == zeros_left(grades, "late-interaction")
        == zeros_left(grades, "dense")
        == 2
    )
    # Nothing is known of the model: negative scores are none of a lexical search, nor is a single zero.
    assert zeros_left({**grades, "en:r": {"en:1": -0.25}}) == 2
    assert zeros_left({"en:q": {"en:1": 0.5, "en:2": 0.0}, "en:r": {"en:2": 0.0}}) == 2
    assert zeros_left({"en:q": {}}) == 0


@property_test(100)
@given(searches(), st.sampled_from([(), ("sparse",), ("dense",)]))
def test_only_zeros_are_ever_left_out(search: tuple[Run, Qrels], model_types: tuple[str, ...]) -> None:
    run, _ = search
    kept = returned(run, model_types)
    assert kept.keys() == run.keys()
    without = {query_id: {p: score for p, score in scores.items() if score} for query_id, scores in run.items()}
    assert kept in (run, without)
    assert kept == without or model_types != ("sparse",)
