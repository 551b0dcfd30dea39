"""The heat maps of a report, and which of their differences are significant."""

from __future__ import annotations

from itertools import chain, product

import numpy as np
import pytest

from beir_hybrid.leaderboard.board.family_scores import pair_scores
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.stats.corrections import correct
from beir_hybrid.leaderboard.stats.significance import compare
from beir_hybrid.report.pair_maps import heat_maps
from beir_hybrid.report.pair_tests import significant_pairs
from tests.support.ranked_runs import LANGUAGES, corpus_of, random_scores, ranking, run_of

QUESTIONS = 36  # about 18 articles: scipy is slow at an exact test of fewer, which `compare` makes beside
CORPUS = corpus_of(questions=QUESTIONS, passages=40)
GOOD, BIASED = random_scores(1, own=0.1, right=1.0), random_scores(2, own=0.8, right=0.55)


@pytest.fixture(scope="module")
def runs():
    return [run_of(CORPUS, GOOD, "me/good"), run_of(CORPUS, BIASED, "me/biased")]


def test_cells_are_mean_reciprocal_ranks_without_the_other_right_answers(runs) -> None:
    in_language, one_target, _ = heat_maps(runs[:1])
    for x, questions in enumerate(LANGUAGES):
        for y, answers in enumerate(LANGUAGES):
            alone, competing = [], []
            for number in range(QUESTIONS):
                answer = f"{answers}:{number}"
                alone.append(1 / ranking(CORPUS, questions, number, [answers], GOOD).ranks[answer])
                order = ranking(CORPUS, questions, number, LANGUAGES, GOOD).order
                others = {f"{other}:{number}" for other in LANGUAGES if other != answers}
                competing.append(1 / (1 + [passage for passage in order if passage not in others].index(answer)))
            assert in_language.grids[0][x][y] == pytest.approx(np.mean(alone))
            assert one_target.grids[0][x][y] == pytest.approx(np.mean(competing))
    assert (in_language.difference, in_language.significant, in_language.higher_is_better) == (None, None, True)


def test_two_runs_have_the_difference_of_each_cell(runs) -> None:
    maps = heat_maps(runs)
    assert [one.key for one in maps] == ["map", "one-target-map", "outranking"]
    for one in maps:
        assert np.array(one.difference) == pytest.approx(np.subtract(*map(np.array, one.grids)))
    assert maps[-1].significant is None and maps[-1].higher_is_better is None


@pytest.mark.parametrize("figure", ["map", "one_target_map"])
def test_significance_is_that_of_a_comparison_of_each_pair_corrected_over_all(runs, figure: str) -> None:
    scores = [pair_scores(run.table, run.info)[figure] for run in runs]
    subsets = list(scores[0].subsets)
    assert len(subsets) == 9

    def of_pair(one, subset: str):
        return [ColumnScores(one.name, one.data_revision, one.queries[one.queries["subset"] == subset])]

    p_values = [compare(*(of_pair(one, subset) for one in scores), resamples=2).p for subset in subsets]
    wanted = {subset for subset, p in zip(subsets, correct(p_values), strict=True) if p <= 0.05}
    assert significant_pairs(scores, subsets) == wanted
    assert figure == "map" or wanted  # of the biased model's pool something must be seen
    shown = next(one for one in heat_maps(runs) if one.key == figure.replace("_", "-")).significant
    cells = zip(product(LANGUAGES, LANGUAGES), chain(*shown), strict=True)
    assert {f"{x}-{y}" for (x, y), is_real in cells if is_real} == wanted


def test_two_equal_runs_differ_nowhere(runs) -> None:
    for one in heat_maps([runs[0], runs[0]]):
        assert not np.array(one.difference).any()
        assert one.significant is None or not np.array(one.significant).any()


def test_what_a_search_did_not_return_leaves_cells_empty_instead_of_making_them_up() -> None:
    _, one_target, _ = heat_maps([run_of(CORPUS, BIASED, cut=12)])
    whole = heat_maps([run_of(CORPUS, BIASED)])[1]
    cells = list(zip(chain(*one_target.grids[0]), chain(*whole.grids[0]), strict=True))
    assert any(got is None for got, _ in cells)
    assert all(got is None or got >= wanted - 1e-9 for got, wanted in cells)


def test_more_languages_than_are_paired_are_not_tested() -> None:
    languages = "ar bg cs da de el en es et fi fr hi hu id it ja ko nl pl pt ro".split()
    corpus = corpus_of(languages, questions=2, passages=2)
    many = [run_of(corpus, random_scores(seed), f"me/{seed}") for seed in (1, 2)]
    for one in heat_maps(many):
        assert len(one.rows) == 21 and one.significant is None and one.difference is not None
