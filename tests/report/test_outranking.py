"""Who outranks whom, against a count over whole rankings."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beir_hybrid.errors import RankTableError
from beir_hybrid.report.outranking import outranking_shares
from tests.support.ranked_runs import LANGUAGES, corpus_of, random_scores, ranking, run_of

CORPUS = corpus_of(questions=4, passages=7)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([None, 6, 12]))
def test_shares_are_those_of_the_wrong_passages_above_right_answers(seed: int, own: float, cut: int | None) -> None:
    score = random_scores(seed, own, right=0.4)
    grid = outranking_shares(run_of(CORPUS, score, cut=cut), LANGUAGES)
    for questions, row in zip(LANGUAGES, grid, strict=True):
        counts = Counter()
        for number in range(4):
            order = ranking(CORPUS, questions, number, LANGUAGES, score).order[:cut]
            right = [f"{language}:{number}" for language in LANGUAGES]
            for answer in right:
                if answer in order:
                    above = order[: order.index(answer)]
                    counts.update(passage_id.split(":")[0] for passage_id in above if passage_id not in right)
        if counts.total() == 0:
            assert row == [None] * 3
        else:
            assert row == pytest.approx([counts[language] / counts.total() for language in LANGUAGES])


def test_where_nothing_wrong_outranks_a_right_answer_there_are_no_shares() -> None:
    perfect = run_of(CORPUS, random_scores(1, right=5.0))
    assert outranking_shares(perfect, LANGUAGES) == [[None] * 3] * 3


def test_a_biased_model_is_outranked_by_the_language_of_the_question() -> None:
    grid = outranking_shares(run_of(CORPUS, random_scores(1, own=2.0)), LANGUAGES)
    assert all(grid[x][x] > 0.9 for x in range(3))


def test_top_passages_of_other_ranks_are_refused() -> None:
    run, other = run_of(CORPUS, random_scores(1, right=5.0)), run_of(CORPUS, random_scores(1, right=0.0))
    counts = {language: dict.fromkeys(LANGUAGES, 1) for language in LANGUAGES}
    wrong = replace(run, kept_tops=replace(other.tops, outranking=counts))
    with pytest.raises(RankTableError, match="its top passages are not those of its ranks"):
        outranking_shares(wrong, LANGUAGES)
