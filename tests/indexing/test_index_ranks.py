"""Ranks and top passages of an index against those of a search with the same results."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beir_hybrid.indexing.index_ranks import Pool, Ranking, first_passages, ignored_rows, index_tops, rank_columns
from beir_hybrid.ranks.rank_table import merge
from beir_hybrid.ranks.rows import build, search_rows
from beir_hybrid.ranks.schema import KEY, SCHEMA
from beir_hybrid.ranks.search import ranks_in_results, tops_in_results
from beir_hybrid.ranks.tops import merge as merge_tops
from beir_hybrid.scoring.targets import Targets
from beir_hybrid.subsets import MULTI, Subset
from tests.support.random_corpus import random_corpus

SIZES = {"de": 12, "en": 15, "zh-Hant": 11}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), levels=st.integers(1, 30), ignore=st.booleans(), k=st.integers(1, 45))
def test_ranks_and_tops_are_those_of_a_search(seed: int, levels: int, ignore: bool, k: int) -> None:
    """Ties, missing passages and such as are no candidates among them."""
    corpus = random_corpus(SIZES, 5, seed, ignore)
    rng, pool = np.random.default_rng(seed), Pool(corpus, tuple(SIZES))
    targets = Targets.of(corpus, "en", pool.languages)
    ignored = ignored_rows(targets, pool)
    pools = {MULTI: np.arange(len(pool.ids)), **{x: pool.rows_of(n) for n, x in enumerate(pool.languages)}}
    rankings, tables, tops = {}, [], []
    for name, members in pools.items():
        rows = np.stack([rng.permutation(members) for _ in range(5)])
        rows[:, rng.integers(1, rows.shape[1] + 1) :] = -1  # nothing more was found
        scores = -np.sort(-rng.integers(0, levels, rows.shape), axis=1).astype(np.float32)
        rankings[name] = Ranking.of(scores, rows, pool, ignored, k)
        results: dict[str, dict[str, float]] = {}
        for query, query_id in enumerate(corpus.languages["en"].query_ids):
            gone = set(ignored[1][ignored[0] == query].tolist())
            pairs = zip(scores[query], rows[query], strict=True)
            found = [(score, pool.ids[row]) for score, row in pairs if row >= 0 and row not in gone]
            results[query_id] = {str(x): float(s) for s, x in sorted(found, reverse=True)[:k]}
        pair = Subset("en", name)
        qrels = corpus.judgments("en", SIZES if name == MULTI else [name])
        tables.append(build("task", [search_rows(ranks_in_results(results, qrels), corpus, str(pair))]))
        tops.append(tops_in_results(results, qrels, pair, list(SIZES), 4))
    in_language = [rankings[language] for language in SIZES]
    table = build("task", [rank_columns(targets, pool, rankings[MULTI], in_language)])
    expected = tables[0]
    for name, other in zip(list(pools)[1:], tables[1:], strict=True):
        expected = merge(expected, other, [("en", name)])
    order = [(name, "ascending") for name in KEY]
    assert table.sort_by(order).to_pylist() == expected.select(SCHEMA.names).sort_by(order).to_pylist()

    made, wanted = merge_tops([index_tops(targets, pool, rankings[MULTI], in_language, 4)]), merge_tops(tops)
    assert made.table.to_pylist() == wanted.table.to_pylist()
    assert made.outranking == wanted.outranking
    first = first_passages(targets, pool, rankings[MULTI], 4)
    assert first == {query_id: [*tops_of(wanted.table.to_pylist(), query_id)] for query_id in first}


def tops_of(rows: list[dict], query_id: str) -> list[str]:
    return [row["passage_id"] for row in rows if row["query_id"] == query_id and row["pool"] == MULTI]


@pytest.mark.parametrize("size", [1, 3])
def test_nothing_returned_is_no_rank(size: int) -> None:
    corpus = random_corpus(SIZES, 5)
    pool = Pool(corpus, tuple(SIZES))
    targets = Targets.of(corpus, "de", pool.languages)
    nothing = Ranking.of(
        np.zeros((5, size), np.float32), np.full((5, size), -1), pool, ignored_rows(targets, pool), size
    )
    table = build("task", [rank_columns(targets, pool, nothing, [nothing] * 3)])
    assert table["rank_in_pool"].null_count == table["rank_in_language"].null_count == len(table) > 0
    assert set(table["top_languages"].to_pylist()) == {""}
