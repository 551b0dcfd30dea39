"""Top passages against full sorts: equal scores, identical passages, passages that are no candidates, small pools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from beir_hybrid.ranks.schema import TOP_LANGUAGES, encode_languages
from beir_hybrid.scoring import corpus_scores, counting, top_passages
from beir_hybrid.scoring.corpus_scores import count_corpus, rank_rows, top_rows
from beir_hybrid.scoring.counting import CountedRanks, RankCounter, count_ranks, own_scores_in, scores_of
from beir_hybrid.scoring.targets import Targets
from beir_hybrid.scoring.top_passages import BestPassages, TopPassages
from beir_hybrid.subsets import MULTI
from tests.scoring.test_confidence import score_blocks
from tests.support.helpers import LANGUAGES, ODD_NAMES, ScoreTable, blocks_of, property_test, ranking, score_tables
from tests.support.sorted_tops import rows_of, tops_by_sorting

Results = list[dict[str, float]]
"""Of each query, passage id -> score."""


def named(best: BestPassages, ids: list[list[str]]) -> list[list[str]]:
    """Return the ids of the best passages of each query; those that are no candidates are left out."""
    return [
        [ids[language][row] for language, row, score in zip(*query, strict=True) if score > -np.inf]
        for query in zip(*(values.tolist() for values in best), strict=True)
    ]


def first(results: Results, k: int, language: str = "") -> list[list[str]]:
    """Return the first k passages of each query, of one language or of all, by sorting."""
    return [
        [name for name in ranking(scores) if name.startswith(language) and scores[name] > -np.inf][:k]
        for scores in results
    ]


@property_test(200)
@given(st.data(), score_blocks(), st.integers(1, 12), st.none() | st.integers(1, 12))
def test_top_passages_equal_a_full_sort(
    data: st.DataObject, blocks: list[NDArray[np.float32]], in_pool: int, in_language: int | None
) -> None:
    """Whatever the blocks, sorted before or not, in one go or restored from a checkpoint between any two of them."""
    names = [f"{language}:{name}" for language in LANGUAGES for name in data.draw(st.permutations(ODD_NAMES))]
    ids = [[name for name in names if name.startswith(language)] for language in LANGUAGES]
    used = [0] * len(LANGUAGES)
    top = TopPassages(in_pool, in_language)
    results: Results = [{} for _ in blocks[0]]
    sorts, stops, ignores = (data.draw(st.booleans()) for _ in range(3))
    for block in blocks:
        number = data.draw(st.integers(0, 3))
        rows = np.arange(used[number], min(used[number] + block.shape[1], len(ids[number])))
        if not len(rows):
            continue
        used[number] += len(rows)
        scores = block[:, : len(rows)].copy()
        if ignores and data.draw(st.booleans()):
            scores[data.draw(st.integers(0, len(scores) - 1)), data.draw(st.integers(0, len(rows) - 1))] = -np.inf
        of_block = [ids[number][row] for row in rows]
        first_or_all = int(rows[0]) if data.draw(st.booleans()) else rows
        ordered = torch.from_numpy(np.sort(scores, axis=1)) if sorts else None
        top.add(torch.from_numpy(scores), number, of_block, first_or_all, ordered)
        for query, values in enumerate(scores):
            results[query].update(zip(of_block, values.tolist(), strict=True))
        if stops and data.draw(st.booleans()):
            top = TopPassages.from_state(top.state(), ids, in_pool, in_language)
    assert named(top.in_pool(), ids) == first(results, in_pool)
    of_languages = top.in_language()
    assert set(of_languages) == (set() if in_language is None else {n for n in range(4) if used[n]})
    for number, best in of_languages.items():
        assert in_language is not None
        assert named(best, ids) == first(results, in_language, LANGUAGES[number])
        assert set(best.languages.flat) <= {number}
    for query, scores in enumerate(results):
        kept = [scores[name] for name in first([scores], in_pool)[0]]
        assert top.in_pool().scores[query].tolist()[: len(kept)] == kept


def counted_in(table: ScoreTable, k: int | None) -> list[CountedRanks]:
    return list(count_corpus(table.corpus, table.embeddings, table.similarity, keep_top=k))


@property_test(150)
@given(
    score_tables(max_passages=9),
    st.integers(1, 40) | st.just(150),
    st.sampled_from([0, 99]),
    st.booleans(),
    st.sampled_from([1, 4, 16_000_000]),
)
def test_counted_ranks_keep_the_top_passages_and_whose_they_are(
    table: ScoreTable, k: int, sort_from: int, held: bool, block: int
) -> None:
    languages = list(table.corpus.languages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "SORT_FROM", sort_from)
        patch.setattr(counting, "BLOCK_ELEMENTS", block)
        patch.setattr(corpus_scores, "HELD_ELEMENTS", 10**9 if held else -1)
        counted, without = counted_in(table, k), counted_in(table, None)
    for one, other in zip(counted, without, strict=True):
        assert other.tops is None
        assert one.top_languages.tolist() == other.top_languages.tolist()
        assert one.outranked_by_language.tolist() == other.outranked_by_language.tolist()
        assert one.rank_in_pool.tolist() == other.rank_in_pool.tolist()
        expected = tops_by_sorting(table, one.targets.query_language, languages, k)
        found = top_rows(one, table.corpus, whole_pool=True)
        assert found is not None
        assert (found.k, found.outranking) == (k, expected.outranking)
        assert rows_of(found) == rows_of(expected)


@property_test(60)
@given(score_tables(max_passages=9), st.sampled_from([TOP_LANGUAGES, TOP_LANGUAGES + 30]))
def test_the_languages_of_the_first_100_follow_from_the_top_passages(table: ScoreTable, k: int) -> None:
    for one in counted_in(table, k):
        found = top_rows(one, table.corpus, whole_pool=True)
        assert found is not None
        of_query: dict[str, list[str]] = {}
        for query_id, _, pool, place, _, language, _ in rows_of(found):
            if pool == MULTI and place <= TOP_LANGUAGES:
                of_query.setdefault(query_id, []).append(language)
        rows = rank_rows(one, table.corpus, whole_pool=True)
        for query_id, top in zip(rows["query_id"].to_pylist(), rows["top_languages"].to_pylist(), strict=True):
            assert top == encode_languages(of_query.get(query_id, []))


def test_of_hundreds_of_equal_scores_the_largest_ids_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that has collapsed: few candidates are kept of each block, and they are the right ones."""
    monkeypatch.setattr(top_passages, "TILE_ELEMENTS", 100)
    names = [[f"{language}:{n}" for n in range(600)] for language in LANGUAGES[:3]]
    results: Results = [{}, {}]
    top = TopPassages(20, 5)
    for number, of_language in enumerate(names):
        for start in range(0, 600, 150):
            ids = of_language[start : start + 150]
            scores = np.array([[0.0] * 150, [float(start == 300)] * 150], dtype=np.float32)
            scores[0, 3 * number] = -0.0
            top.add(torch.from_numpy(scores), number, ids, start)
            for query in (0, 1):
                results[query].update(zip(ids, scores[query].tolist(), strict=True))
    assert max(len(candidates.queries) for candidates in top._candidates) <= 2 * 2 * (20 + 5)
    assert named(top.in_pool(), names) == first(results, 20)
    assert {number: named(best, names) for number, best in top.in_language().items()} == {
        number: first(results, 5, LANGUAGES[number]) for number in range(3)
    }


@property_test(60)
@given(st.data(), score_tables(max_passages=9), st.integers(1, 5))
def test_a_counter_goes_on_from_its_state(data: st.DataObject, table: ScoreTable, k: int) -> None:
    languages = list(table.corpus.languages)
    ids = [table.corpus.languages[language].passage_ids for language in languages]
    blocks = data.draw(st.permutations(blocks_of(table, languages, data.draw(st.integers(1, 4)))))
    for language in languages:
        targets, questions = Targets.of(table.corpus, language, languages), table.embeddings.questions[language]
        scored: list[Any] = [(block, scores_of(table.similarity, questions, block.embeddings)) for block in blocks]
        counter = RankCounter(targets, own_scores_in(targets, scored), keep_top=k)
        for block, scores in scored:
            counter.add(block, scores)
            counter = RankCounter.from_state(targets, counter.state(), ids, k)
        whole = count_ranks(targets, questions, blocks, table.similarity, keep_top=k)
        found, expected = (top_rows(one, table.corpus, whole_pool=True) for one in (counter.result(), whole))
        assert found is not None
        assert expected is not None
        assert rows_of(found) == rows_of(expected)
        assert found.outranking == expected.outranking
