"""The statistic of tests is the figure of the table: flips, samples and design effects against brute force."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from beir_hybrid.errors import RankTableError
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.inputs.settings import UNITS, Unit
from beir_hybrid.leaderboard.stats.intervals import average_interval
from beir_hybrid.leaderboard.stats.resampling import interval
from beir_hybrid.leaderboard.stats.significance import compare, compare_many
from beir_hybrid.leaderboard.stats.verdicts import verdict
from tests.support.column_scores import column, grid
from tests.support.helpers import property_test

QUICK = {"flips": 4_096, "resamples": 200}

Grid = NDArray[np.float64]


def unbalanced(rng: np.random.Generator, n_questions: int, n_subsets: int = 3) -> tuple[Grid, Grid]:
    """Draw the scores of two models on questions of which many lack in some subsets, as in MLQA-R."""
    asked = rng.random((n_questions, n_subsets)) < 0.6
    asked[np.arange(n_questions), rng.integers(n_subsets, size=n_questions)] = True
    asked[0] = True  # no subset is empty
    model, baseline = (np.where(asked, rng.random(asked.shape), np.nan) for _ in range(2))
    return model, baseline


def figure(scores: Grid) -> float:
    """The mean over subsets of the means over their queries; a subset without any is left out."""
    return float(np.mean([np.nanmean(subset) for subset in scores.T if not np.isnan(subset).all()]))


def units_by_hand(unit: Unit, articles: list[str], n_subsets: int) -> NDArray[np.int64]:
    """Number the unit of each cell of a grid."""
    shape = (len(articles), n_subsets)
    if unit == "article":
        return np.broadcast_to(np.unique(articles, return_inverse=True)[1][:, None], shape)
    if unit == "question":
        return np.broadcast_to(np.arange(len(articles))[:, None], shape)
    return np.arange(math.prod(shape)).reshape(shape)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Grid, Grid, list[str]]:
    n_questions = draw(st.integers(3, 6))
    model, baseline = unbalanced(np.random.default_rng(draw(st.integers(0, 999))), n_questions, 2)
    articles = draw(st.lists(st.sampled_from("abc"), min_size=n_questions, max_size=n_questions))
    return model.round(2), baseline.round(2), ["a", "b", *articles[2:]]


@property_test(40)
@given(pairs(), st.sampled_from(UNITS))
def test_flips_swap_whole_units_and_compute_the_figures_again(drawn: tuple, unit: Unit) -> None:
    model, baseline, articles = drawn
    units = units_by_hand(unit, articles, model.shape[1])
    units = np.unique(units[~np.isnan(model)], return_inverse=True)[1]
    observed = figure(model) - figure(baseline)
    margin, counts = 0.1, np.zeros(3)
    places = np.nonzero(~np.isnan(model))
    for flips in product([False, True], repeat=units.max() + 1):
        swapped = np.zeros(model.shape, dtype=bool)
        swapped[places] = np.array(flips)[units]
        difference = figure(np.where(swapped, baseline, model)) - figure(np.where(swapped, model, baseline))
        # A margin that every query is moved by changes sides with its unit.
        shift = figure(np.where(np.isnan(model), np.nan, np.where(swapped, -margin, margin)))
        counts += (
            abs(difference) >= abs(observed) - 1e-12,
            difference + shift >= observed + margin - 1e-12,
            difference - shift <= observed - margin + 1e-12,
        )
    found = compare([grid(model, articles)], [grid(baseline, articles)], unit=unit, margin=margin, **QUICK)
    if not found.exact:  # queries are many
        return
    p = counts / 2 ** (units.max() + 1)
    assert found.difference == pytest.approx(observed, abs=1e-12)
    assert (found.p, found.p_noninferiority, found.p_noninferiority_of_baseline) == pytest.approx(tuple(p))
    assert found.p_equivalence == max(p[1:])
    expected = "question" if unit == "article" and len(set(articles)) == len(articles) else unit
    assert (found.unit, found.units, found.questions) == (expected, units.max() + 1, len(articles))


@pytest.mark.parametrize("unit", UNITS)
def test_differences_are_those_of_two_cells(unit: Unit) -> None:
    rng = np.random.default_rng(1)
    model, baseline = unbalanced(rng, 60)
    articles = [f"a{n}" for n in rng.integers(12, size=60)]
    sides = [grid(scores, articles) for scores in (model, baseline)]
    found = compare([sides[0]], [sides[1]], unit=unit, **QUICK)
    assert found.difference == pytest.approx(sides[0].average - sides[1].average, abs=1e-14)
    assert found.difference == pytest.approx(figure(model) - figure(baseline), abs=1e-14)
    assert abs(found.difference - (np.nanmean(model) - np.nanmean(baseline))) > 1e-4  # the mean over queries is another


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("n_subsets", [1, 3])
def test_samples_draw_whole_units_and_compute_the_figures_again(unit: Unit, n_subsets: int) -> None:
    rng = np.random.default_rng(2)
    model, baseline = unbalanced(rng, 9, n_subsets)
    articles = sorted(f"a{n}" for n in [0, 1, 2, 3, *rng.integers(4, size=5)])
    resamples, confidence = 150, 0.9
    units = units_by_hand(unit, articles, n_subsets)
    names = np.unique(units[~np.isnan(model)])
    if unit == "query":  # by their names, language before question
        by_name = np.arange(units.size).reshape(units.shape[::-1]).T
        names = np.array([units[by_name == n][0] for n in range(units.size) if units[by_name == n][0] in names])
    drawn = np.random.default_rng(0).integers(len(names), size=(resamples, len(names)))
    figures = []
    for sample in drawn:
        of_model, of_baseline = (
            figure(np.concatenate([np.where(units == names[n], scores, np.nan) for n in sample]))
            for scores in (model, baseline)
        )
        figures.append((of_model, of_baseline))
    differences = np.array(figures)[:, 0] - np.array(figures)[:, 1]
    sides = [grid(scores, articles) for scores in (model, baseline)]
    options = {"resamples": resamples, "confidence": confidence}
    found = compare([sides[0]], [sides[1]], unit=unit, flips=100, **options)
    assert (found.low, found.high) == pytest.approx(tuple(interval(differences, len(names), confidence)), abs=1e-12)
    alone = average_interval([sides[0]], unit, **options)
    assert alone[:2] == pytest.approx(tuple(interval(np.array(figures)[:, 0], len(names), confidence)), abs=1e-12)
    assert alone.units == len(names)


def test_many_subsets_of_the_same_questions_are_one_mean() -> None:
    rng = np.random.default_rng(3)
    model, baseline = rng.random((2, 40, 6))
    articles = [f"a{n}" for n in rng.integers(8, size=40)]
    many = compare([grid(model, articles)], [grid(baseline, articles)], **QUICK)
    means = [[column(scores.mean(axis=1), articles=articles)] for scores in (model, baseline)]
    one = compare(*means, **QUICK)
    assert (many.p, many.units, many.questions) == (one.p, one.units, one.questions)
    assert (many.difference, many.low, many.high) == pytest.approx((one.difference, one.low, one.high))
    assert many.design_effect == pytest.approx(one.design_effect)


def test_the_design_effect_is_the_ratio_of_two_variances() -> None:
    rng = np.random.default_rng(4)
    model, baseline = unbalanced(rng, 80)
    articles = [f"a{n}" for n in rng.integers(15, size=80)]
    found = {
        unit: compare([grid(model, articles)], [grid(baseline, articles)], unit=unit, **QUICK).design_effect
        for unit in UNITS
    }
    # Leave one unit out, to first order: what each adds to the difference of the figures.
    variances = {}
    for unit in ("article", "question"):
        units = units_by_hand(unit, articles, model.shape[1])
        moved = []
        for n in range(units.max() + 1):
            parts = []
            for subset in range(model.shape[1]):
                there = ~np.isnan(model[:, subset])
                differences = (model - baseline)[there, subset]
                deviations = (differences - differences.mean()) / len(differences)
                parts.append(deviations[units[there, subset] == n].sum())
            moved.append(np.mean(parts))
        variances[unit] = len(moved) / (len(moved) - 1) * np.sum(np.square(moved))
    expected = variances["article"] / variances["question"]
    assert found == {unit: pytest.approx(expected) for unit in UNITS}


def test_one_question_an_article_is_no_article() -> None:
    scores = np.random.default_rng(5).random((2, 20))
    unknown = [column(of_one, articles=[f"q{n}" for n in range(20)]) for of_one in scores]
    absent = [replace(one, queries=one.queries.assign(cluster_id=None)) for one in unknown]
    for sides in (unknown, absent):
        found = compare([sides[0]], [sides[1]], **QUICK)
        assert (found.unit, found.units, found.design_effect) == ("question", 20, None)
        assert average_interval([sides[0]], resamples=100).unit == "question"


def clustered(rng: np.random.Generator, shift: float, n_articles: int = 40) -> list[ColumnScores]:
    """Draw two models with a difference of ``shift`` on articles of five questions."""
    articles = [f"a{n:02}" for n in range(n_articles) for _ in range(5)]
    own = np.repeat(rng.normal(scale=0.02, size=n_articles), 5) + rng.normal(scale=0.02, size=5 * n_articles)
    baseline = rng.random(5 * n_articles)
    return [column(scores, articles=articles) for scores in (baseline + own - own.mean() + shift, baseline)]


@pytest.mark.parametrize("shift", [-0.02, -0.005, 0.0, 0.004, 0.02])
def test_equivalence_is_two_t_tests_on_articles_of_one_size(shift: float) -> None:
    sides = clustered(np.random.default_rng(6), shift)
    margin = 0.01
    found = compare([sides[0]], [sides[1]], margin=margin, flips=50_000, resamples=200)
    differences = (sides[0].queries["score"] - sides[1].queries["score"]).to_numpy().reshape(-1, 5).mean(axis=1)
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    assert found.p_noninferiority == pytest.approx(above, abs=0.01)
    assert found.p_noninferiority_of_baseline == pytest.approx(below, abs=0.01)
    assert found.p_equivalence == pytest.approx(max(above, below), abs=0.01)
    turned = compare([sides[1]], [sides[0]], margin=margin, flips=50_000, resamples=200)
    assert turned.p_equivalence == pytest.approx(found.p_equivalence, rel=1e-12)
    assert turned.p_noninferiority == pytest.approx(found.p_noninferiority_of_baseline, rel=1e-12)
    round_ = found.turned_round()
    assert (round_.difference, round_.p_noninferiority) == (-found.difference, found.p_noninferiority_of_baseline)
    lower = compare([sides[0]], [sides[1]], margin=margin, flips=50_000, resamples=200, higher_is_better=False)
    assert (lower.p_noninferiority, lower.p_equivalence) == (found.p_noninferiority_of_baseline, found.p_equivalence)


def test_verdicts_tell_equal_from_unknown() -> None:
    rng = np.random.default_rng(7)
    said = {}
    for name, shift, n_articles in [
        ("equal", 0.0, 60),
        ("few", 0.0, 3),
        ("better", 0.05, 60),
        ("small", 0.006, 200),
        ("not worse", 0.008, 9),
    ]:
        sides = clustered(rng, shift, n_articles)
        options = {"margin": 0.01, "correction": "holm", "flips": 20_000, "resamples": 200}
        scores = {"model": [sides[0]], "baseline": [sides[1]]}
        both = compare_many(scores, [("model", "baseline")], **options)[0]  # type: ignore[arg-type]
        said[name] = tuple(verdict(both, higher_is_better=better) for better in (True, False, None))
        without = compare_many(scores, [("model", "baseline")], correction="holm", **QUICK)[0]  # type: ignore[arg-type]
        assert (without.margin, without.p_equivalence, without.p_noninferiority_corrected) == (None, None, None)
        assert verdict(without) in ("better", "worse", "can't be told")
    assert said["equal"][:2] == ("equivalent", "equivalent")
    assert said["few"][:2] == ("can't be told", "can't be told")
    assert said["better"][:2] == ("better", "worse")
    assert said["not worse"][0] == "not worse"
    assert said["small"][:2] == ("better, within the margin", "worse, within the margin")
    assert {name: verdict_of for name, (_, _, verdict_of) in said.items()} == {
        "equal": "equivalent",
        "few": "can't be told",
        "better": "higher",
        "small": "higher, within the margin",
        "not worse": "can't be told",
    }


@pytest.mark.parametrize("margin", [0.0, -0.01, math.inf, math.nan])
def test_a_margin_that_is_none_is_one_line(margin: float) -> None:
    with pytest.raises(RankTableError, match=r"margin = .*: write a number above 0"):
        compare([column([0, 1])], [column([1, 0])], margin=margin)
