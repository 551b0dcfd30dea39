"""Metrics from ranks, and the scores of a subset, against pytrec_eval and MTEB's own scoring code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mteb._evaluators.retrieval_metrics import calculate_retrieval_scores, make_score_dict, mrr
from numpy.typing import NDArray

from beir_hybrid.scoring.confidence import TOP_K
from beir_hybrid.scoring.corpus_scores import count_corpus, scores_by_subset
from beir_hybrid.scoring.retrieval_scores import K_VALUES, NOT_RETRIEVED, query_metrics
from beir_hybrid.subsets import MULTI
from tests.support.helpers import (
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


@st.composite
def judged_ranks(draw: st.DrawFn) -> tuple[int, list[dict[int, int]]]:
    """Draw a pool size and, for each query, rank -> grade; ranks beyond the pool were not retrieved."""
    pool = draw(st.sampled_from([1, 4, 25, 1200]))
    rank = st.integers(1, min(pool, 12)) | st.integers(1, pool + 3)
    grade = st.integers(1, 5) if draw(st.booleans()) else st.just(1)
    return pool, draw(st.lists(st.dictionaries(rank, grade, min_size=1, max_size=14), min_size=1, max_size=4))


def matrices(queries: list[dict[int, int]], pool: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the ranks and grades of `query_metrics`, not in the order of the ranks; where the grade is 0, any rank."""
    width = max(map(len, queries))
    ranks = np.ones((len(queries), width), dtype=np.int64)
    grades = np.zeros((len(queries), width), dtype=np.int64)
    for row, judged in enumerate(queries):
        known = [rank if rank <= pool else NOT_RETRIEVED for rank in judged]
        ranks[row, : len(judged)], grades[row, : len(judged)] = known, list(judged.values())
    return ranks, grades


@property_test(100)
@given(judged_ranks())
def test_metrics_equal_pytrec_eval_to_the_last_bit(drawn: tuple[int, list[dict[int, int]]]) -> None:
    pool, queries = drawn
    run = {f"q{n}": {f"d{rank}": float(-rank) for rank in range(1, pool + 1)} for n in range(len(queries))}
    qrels = {f"q{n}": {f"d{rank}": grade for rank, grade in judged.items()} for n, judged in enumerate(queries)}
    found = query_metrics(*matrices(queries, pool))
    expected = pytrec(run, qrels)
    for key, values in expected.items():
        # Logarithms of an array may differ from the C library's in the last digit.
        exact = 0 if not key.startswith("ndcg") else 1e-15
        np.testing.assert_allclose(found[key], values, rtol=exact, atol=0, err_msg=key)
    reciprocal = mrr(qrels, run, K_VALUES)
    for k in K_VALUES:
        assert found[f"mrr_at_{k}"].tolist() == reciprocal[f"MRR@{k}"]
    assert set(found) == {*expected, *(f"mrr_at_{k}" for k in K_VALUES)}


def test_values_worked_out_by_hand() -> None:
    ranks = np.array([[4, 2, NOT_RETRIEVED], [1, NOT_RETRIEVED, NOT_RETRIEVED]])
    grades = np.array([[1, 3, 2], [1, 0, 0]])
    found = query_metrics(ranks, grades, k_values=(1, 3))
    gains = 3 / np.log2(3)
    ideal = 3 + 2 / np.log2(3) + 1 / 2
    expected = {
        "map": [(1 / 2 + 2 / 4) / 3, 1],
        "map_at_1": [0, 1],
        "map_at_3": [1 / 2 / 3, 1],
        "ndcg_at_1": [0, 1],
        "ndcg_at_3": [gains / ideal, 1],
        "recall_at_1": [0, 1],
        "recall_at_3": [1 / 3, 1],
        "precision_at_1": [0, 1],
        "precision_at_3": [1 / 3, 1 / 3],
        "mrr_at_1": [0, 1],
        "mrr_at_3": [1 / 2, 1],
        "hit_rate_at_1": [0, 1],
        "hit_rate_at_3": [1, 1],
    }
    assert set(found) == set(expected)
    for key, values in expected.items():
        assert found[key].tolist() == pytest.approx(values), key


def mteb_scores(run: Run, qrels: Qrels) -> dict[str, float]:
    """Score a run as MTEB's retrieval tasks do."""
    top = {query_id: best(run[query_id]) for query_id in qrels}
    result = calculate_retrieval_scores(top, qrels, list(K_VALUES))
    return make_score_dict(
        ndcg=result.ndcg,
        _map=result.map,
        recall=result.recall,
        precision=result.precision,
        mrr=result.mrr,
        naucs=result.naucs,
        naucs_mrr=result.naucs_mrr,
        hit_rate=result.hit_rate,
        task_scores={},
    )


def best(scores: dict[str, float]) -> dict[str, float]:
    """Give the 1000 best scores, in no particular order: that of the pool, which MTEB's is not either."""
    ranks = ranking(scores)
    return {passage_id: score for passage_id, score in scores.items() if ranks[passage_id] <= TOP_K}


def deviations_tie(runs: Sequence[dict[str, float]]) -> bool:
    """Whether queries with other scores have the same standard deviation, as 0, 0, 1 and 0, 1, 1 have.

    Which of them is the surer one is then up to the rounding of sums, which is another in MTEB's order of scores than
    in ours, whose sums are exact in any order.
    """
    ordered = sorted((float(np.std(list(best(run).values()))), [*best(run).values()]) for run in runs)
    return any(abs(a - b) < 1e-12 and one != other for (a, one), (b, other) in pairwise(ordered))


def check_against_mteb(table: ScoreTable) -> set[str]:
    """Compare all subsets of a corpus with MTEB key by key, and return the keys that were not a number."""
    languages = list(table.corpus.languages)
    undefined = set()
    for counted in count_corpus(table.corpus, table.embeddings, table.similarity):
        language = counted.targets.query_language
        pools = {**{code: [code] for code in languages}, MULTI: languages}
        scores = scores_by_subset(counted, list(pools))
        judged = {f"{language}-{pool}": qrels_of(table.corpus, language, codes) for pool, codes in pools.items()}
        assert set(scores) == {subset for subset, qrels in judged.items() if qrels}
        for subset, found in scores.items():
            run = table.run(language, pools[subset.split("-")[1]])
            expected = mteb_scores(run, judged[subset])
            assert len(expected) == 148
            assert set(found) == {*expected, "map"}
            by_rounding = deviations_tie([run[query_id] for query_id in judged[subset]])
            for key, value in expected.items():
                if by_rounding and key.endswith("_std"):
                    continue
                # MTEB rounds means to five digits, and nothing else.
                rounding = 0.50001e-5 if not key.startswith(("nauc", "mrr")) else 1e-9
                np.testing.assert_allclose(found[key], value, rtol=0, atol=rounding, err_msg=f"{subset} {key}")
                if np.isnan(value):
                    undefined.add(key)
            uncut = pytrec(run, judged[subset])["map"]
            assert found["map"] == pytest.approx(uncut.mean(), abs=1e-12)
    return undefined


Scores = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.floating]]

SCORES: dict[str, Scores] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "close together": lambda rng, shape: 0.8 + 1e-6 * rng.normal(size=shape),
    "negative": lambda rng, shape: -rng.exponential(size=shape) - 5,
}


@pytest.mark.parametrize(
    ("kind", "sizes", "n_questions", "graded"),
    [
        ("normal", (40, 1), 23, True),
        ("negative", (40, 30), 10, False),
        ("close together", (700, 300), 11, False),
        ("normal", (700, 301), 5, True),
        ("negative", (1300, 90), 10, True),
        ("normal", (1, 1), 1, False),
        ("close together", (5, 8), 2, True),
    ],
)
def test_subsets_equal_mteb(kind: str, sizes: tuple[int, int], n_questions: int, graded: bool) -> None:
    rng = np.random.default_rng(7)
    names = dict(zip(("en", "de"), ([str(n) for n in range(size)] for size in sizes), strict=True))
    questions = [f"q{n}" for n in range(n_questions)]

    def judge(size: int, share: float) -> dict[str, dict[int, int]]:
        return {
            question_id: {
                int(row): int(rng.integers(1, 4)) if graded else 1
                for row in rng.choice(size, size=min(size, int(rng.integers(1, 4))), replace=False)
            }
            for question_id in questions
            if rng.random() < share
        }

    corpus = corpus_of(
        names, {"en": questions, "de": questions[::2]}, {"en": judge(sizes[0], 1), "de": judge(sizes[1], 0.7)}
    )
    shape = (n_questions + len(questions[::2]), sum(sizes))
    check_against_mteb(ScoreTable(corpus, SCORES[kind](rng, shape).astype(np.float32)))


@property_test(6)
@given(score_tables(max_passages=4))
def test_subsets_equal_mteb_where_scores_tie(table: ScoreTable) -> None:
    check_against_mteb(table)


def equal_rankings(n_queries: int, n_passages: int, rows: dict[int, int]) -> ScoreTable:
    """Make a table whose queries all rank alike, with scores of their own: every metric is the same for all."""
    questions = [f"q{n}" for n in range(n_queries)]
    corpus = corpus_of(
        {"en": [f"{n:04}" for n in range(n_passages)]}, {"en": questions}, {"en": {q: rows for q in questions}}
    )
    rng = np.random.default_rng(n_queries)
    order = np.linspace(1, 0, n_passages)
    scores = order * rng.uniform(1, 2, (n_queries, 1)) + rng.normal(size=(n_queries, 1))
    return ScoreTable(corpus, scores.astype(np.float32))


@pytest.mark.parametrize("n_queries", [1, 2, 7, 119])
@pytest.mark.parametrize(
    "rows",
    [
        {0: 1},
        {2: 1},
        {6: 1},
        {n: 1 for n in range(11)},
        {n: 1 for n in range(1, 33, 3)},
        {0: 2, 5: 1, 6: 3},
    ],
)
def test_metrics_that_are_equal_for_all_queries(n_queries: int, rows: dict[int, int]) -> None:
    # Where a metric is the same for all queries, MTEB's nAUC is NaN or the quotient of two rounding errors. The same
    # operations in the same order give the same.
    undefined = check_against_mteb(equal_rankings(n_queries, 40, rows))
    assert {key for key in undefined if not key.startswith("nauc")} == set()


def test_a_pool_of_one_passage() -> None:
    table = equal_rankings(12, 1, {0: 1})
    assert "nauc_ndcg_at_1_diff1" in check_against_mteb(table)
    [counted] = count_corpus(table.corpus, table.embeddings, table.similarity)
    scores: dict[str, Any] = scores_by_subset(counted, ["en"])["en-en"]
    assert scores["map"] == scores["ndcg_at_1000"] == scores["accuracy"] == 1
    assert scores["precision_at_1000"] == pytest.approx(0.001)
