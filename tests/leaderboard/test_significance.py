"""Paired tests against scipy and ranx, corrections against their definitions, seeds, and bad input."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from beir_hybrid.errors import BeirHybridError, RankTableError
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.stats import resampling
from beir_hybrid.leaderboard.stats.corrections import correct
from beir_hybrid.leaderboard.stats.resampling import seed_error
from beir_hybrid.leaderboard.stats.significance import Comparison, compare, compare_many
from tests.support.column_scores import Values, column
from tests.support.helpers import property_test

QUICK = {"flips": 2_000, "resamples": 500}


def random_pair(n_units: int, seed: int = 0, effect: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    difficulty = rng.beta(2, 2, n_units)
    model, baseline = (np.clip(difficulty + rng.normal(scale=0.2, size=n_units), 0, 1) for _ in range(2))
    return np.clip(model + effect, 0, 1), baseline


def mean_difference(x: NDArray, y: NDArray, axis: int) -> NDArray:
    return x.mean(axis=axis) - y.mean(axis=axis)


def scipy_randomization(x: Values, y: Values, n_resamples: float) -> float:
    return stats.permutation_test(
        (np.asarray(x), np.asarray(y)),
        mean_difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=n_resamples,
        rng=np.random.default_rng(1),
    ).pvalue


def same_within_chance(p: float, other: float, n: int, other_n: int) -> bool:
    """Whether two estimates of a probability differ by less than five standard errors."""
    return abs(p - other) <= 5 * math.sqrt(max(p, other) * (1 / n + 1 / other_n)) + 1 / n + 1 / other_n


TIED = st.sampled_from([0.0, 0.25, 0.5, 1.0, 1 / 3, 0.1])
"""Scores such as mean average precision has on questions of few right answers: many ties."""


@st.composite
def few_units(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    n_units = draw(st.integers(2, 10))
    # Sums of such numbers are exact: scipy takes two that differ by rounding for different.
    score = draw(st.sampled_from([TIED, st.integers(0, 1024).map(lambda value: value / 1024)]))
    return tuple(draw(st.lists(score, min_size=n_units, max_size=n_units)) for _ in range(2))  # type: ignore[return-value]


@property_test(80)
@given(few_units())
def test_few_units_are_tested_exactly_as_scipy_tests_them(pair: tuple[list[float], list[float]]) -> None:
    comparison = compare([column(pair[0])], [column(pair[1])], **QUICK)
    assert comparison.exact
    assert comparison.p == pytest.approx(scipy_randomization(*pair, n_resamples=np.inf), abs=1e-12)
    assert (comparison.unit, comparison.units, comparison.questions) == ("question", len(pair[0]), len(pair[0]))
    assert comparison.design_effect is None


def test_equal_sums_that_round_differently_are_equal() -> None:
    # In floating point 0.1 + 0.2 - 0.3 is not 0, and not its own opposite: two of the eight flips would be missed.
    assert compare([column([0.1, 0.2, -0.3])], [column([0.0] * 3)], **QUICK).p == 1.0
    assert compare([column([0.1, 0.2, 0.3])], [column([0.0] * 3)], **QUICK).p == 2 / 8


@pytest.mark.parametrize("effect", [0.0, 0.02, 0.04])
@pytest.mark.parametrize("n_units", [30, 200])
def test_random_flips_give_scipys_p_value(n_units: int, effect: float) -> None:
    model, baseline = random_pair(n_units, effect=effect)
    comparison = compare([column(model)], [column(baseline)], flips=20_000, resamples=500)
    assert not comparison.exact
    assert same_within_chance(comparison.p, scipy_randomization(model, baseline, 10_000), 20_000, 10_000)


def test_random_flips_give_ranx_p_value() -> None:
    from ranx.statistical_tests.fisher_randomization_test import fisher_randomization_test

    for effect in (0.0, 0.03):
        model, baseline = random_pair(120, seed=5, effect=effect)
        comparison = compare([column(model)], [column(baseline)], flips=50_000, resamples=500)
        expected, _ = fisher_randomization_test(baseline, model, n_permutations=50_000)
        assert same_within_chance(comparison.p, expected, 50_000, 50_000)


def test_more_flips_than_ways_is_the_limit_of_random_ones() -> None:
    model, baseline = random_pair(14, seed=2, effect=0.1)
    exact = compare([column(model)], [column(baseline)], flips=2**14, resamples=500)
    drawn = compare([column(model)], [column(baseline)], flips=2**14 - 1, resamples=500)
    assert exact.exact and not drawn.exact
    assert same_within_chance(exact.p, drawn.p, 2**14, 2**14)


def test_a_random_test_never_says_that_something_is_impossible() -> None:
    comparison = compare([column(np.full(100, 0.9))], [column(np.linspace(0, 0.5, 100))], flips=999, resamples=100)
    assert comparison.p == 1 / 1000


@property_test(60)
@given(few_units())
def test_t_wilcoxon_and_effect_size_are_scipys(pair: tuple[list[float], list[float]]) -> None:
    model, baseline = (np.array(values) for values in pair)
    comparison = compare([column(model)], [column(baseline)], **QUICK)
    differences = model - baseline
    assert comparison.difference == pytest.approx(differences.mean(), abs=1e-15)
    if not differences.any():
        assert (comparison.p_t, comparison.p_wilcoxon, comparison.effect_size) == (1.0, 1.0, 0.0)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert comparison.p_wilcoxon == pytest.approx(stats.wilcoxon(model, baseline).pvalue)
        if differences.std() > 1e-12:
            t = stats.ttest_rel(model, baseline)
            assert comparison.p_t == pytest.approx(t.pvalue)
            assert comparison.effect_size * math.sqrt(len(model)) == pytest.approx(t.statistic)


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    model, baseline = random_pair(150, seed=3, effect=0.05)
    comparison = compare([column(model)], [column(baseline)], flips=100, resamples=20_000, confidence=0.9)
    expected = stats.bootstrap(
        (model - baseline,), np.mean, n_resamples=20_000, confidence_level=0.9, method="percentile", rng=0
    )
    tolerance = 0.05 * expected.standard_error  # about four standard errors of a percentile of 20,000
    assert comparison.low == pytest.approx(expected.confidence_interval.low, abs=tolerance)
    assert comparison.high == pytest.approx(expected.confidence_interval.high, abs=tolerance)


def test_turning_a_pair_round_turns_the_signs_only() -> None:
    model, baseline = (column(values) for values in random_pair(80, effect=0.05))
    one, other = compare([model], [baseline], **QUICK), compare([baseline], [model], **QUICK)
    assert (other.p, other.p_t, other.p_wilcoxon) == pytest.approx((one.p, one.p_t, one.p_wilcoxon), rel=1e-12)
    assert (other.difference, other.effect_size) == pytest.approx((-one.difference, -one.effect_size))
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-12)


def test_the_same_seed_gives_the_same_result_and_another_seed_another() -> None:
    model, baseline = (column(values) for values in random_pair(80, effect=0.03))
    one = compare([model], [baseline], **QUICK)
    assert compare([model], [baseline], **QUICK) == one
    other = compare([model], [baseline], **QUICK, seed=1)
    assert (other.p, other.low) != (one.p, one.low)


def assert_same(one: Comparison, other: Comparison) -> None:
    assert (one.p, one.units, one.exact) == (other.p, other.units, other.exact)
    assert (one.difference, one.low, one.high) == pytest.approx((other.difference, other.low, other.high), abs=1e-12)


def test_a_pair_gets_the_same_result_in_any_company() -> None:
    rng = np.random.default_rng(0)
    scores = {f"m{n}": [column(rng.random(40)) for _ in range(1 + n % 3)] for n in range(6)}
    scores |= {f"few{n}": [column(rng.random(5))] for n in range(2)}
    pairs = [(f"m{n}", f"m{k}") for n in range(6) for k in range(n)] + [("few0", "few1")]
    together = compare_many(scores, pairs, **QUICK)
    backwards = compare_many(scores, pairs[::-1], **QUICK)[::-1]
    for pair, one, other in zip(pairs, together, backwards, strict=True):
        assert_same(one, other)
        assert_same(one, compare(scores[pair[0]], scores[pair[1]], **QUICK))
    assert [one.exact for one in together] == [False] * 15 + [True]


def test_the_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    model, baseline = ([column(rng.random(70)) for _ in range(3)] for _ in range(2))
    whole = [compare(model, baseline, **QUICK), compare(model[:1], baseline[:1], **QUICK)]
    monkeypatch.setattr(resampling, "BLOCK_ELEMENTS", 70 * 13)
    for one, other in zip(
        whole, [compare(model, baseline, **QUICK), compare(model[:1], baseline[:1], **QUICK)], strict=True
    ):
        assert_same(one, other)


def test_two_equal_models_do_not_differ_and_nothing_is_warned_of() -> None:
    values, _ = random_pair(50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n_seeds in (1, 3):
            comparison = compare([column(values)] * n_seeds, [column(values)] * n_seeds, **QUICK)
            assert comparison == Comparison(
                0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, unit="question", units=50, questions=50, exact=False
            )


def test_differences_that_are_all_the_same_are_no_error() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        comparison = compare([column([0.5] * 8)], [column([0.25] * 8)], **QUICK)
    assert (comparison.difference, comparison.low, comparison.high) == (0.25, 0.25, 0.25)
    assert (comparison.p, comparison.p_t, comparison.effect_size) == (2 / 2**8, 0.0, math.inf)


@property_test(100)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_its_definition(p_values: list[float]) -> None:
    adjusted = correct(p_values, "holm")
    for number, p in enumerate(p_values):
        # The largest of (m - rank) * p over all p values up to this one, at most 1.
        smaller = sorted(p_values)[: sum(other <= p for other in p_values)]
        steps = [(len(p_values) - rank) * value for rank, value in enumerate(smaller)]
        assert adjusted[number] == pytest.approx(min(1.0, max(steps[: len(smaller)])))


@property_test(60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_benjamini_hochberg_is_scipys_and_never_above_holm(p_values: list[float]) -> None:
    adjusted = correct(p_values, "benjamini-hochberg")
    assert adjusted == pytest.approx(stats.false_discovery_control(p_values))
    assert (adjusted <= correct(p_values, "holm") + 1e-12).all()


def test_compare_many_corrects_over_all_its_pairs() -> None:
    scores = {f"m{n}": [column(random_pair(60, seed=n, effect=n / 20)[0])] for n in range(4)}
    pairs = [(f"m{n}", "m0") for n in range(1, 4)]
    for method in ("holm", "benjamini-hochberg"):
        comparisons = compare_many(scores, pairs, **QUICK, correction=method)  # type: ignore[arg-type]
        assert [one.p_corrected for one in comparisons] == correct([one.p for one in comparisons], method).tolist()  # type: ignore[arg-type]
    assert all(one.p_corrected is None for one in compare_many(scores, pairs, **QUICK))


def recipe(rng: np.random.Generator, n_seeds: int, between: float, n_units: int = 60) -> list[ColumnScores]:
    own = rng.normal(size=n_units)
    shifts = rng.normal(scale=between, size=n_seeds)
    return [column(own + shift + rng.normal(scale=0.3, size=n_units)) for shift in shifts]


@pytest.mark.parametrize(("n_seeds", "between"), [(3, 0.0), (3, 0.5), (5, 0.5)])
def test_recipes_without_a_difference_are_rarely_told_apart(n_seeds: int, between: float) -> None:
    rng = np.random.default_rng(7)
    n_pairs = 400
    scores = {f"{n} {side}": recipe(rng, n_seeds, between) for n in range(n_pairs) for side in "ab"}
    pairs = [(f"{n} a", f"{n} b") for n in range(n_pairs)]
    found = compare_many(scores, pairs, flips=1_000, resamples=1_000)
    n_rejected = sum(one.p <= 0.05 for one in found)
    assert stats.binomtest(n_rejected, n_pairs, 0.05, alternative="greater").pvalue > 0.01
    n_covered = sum(one.low <= 0 <= one.high for one in found)
    assert stats.binomtest(n_covered, n_pairs, 0.95, alternative="less").pvalue > 0.01
    if between:  # of these checkpoints it is true that they differ
        means = {
            name: [column(np.mean([one.queries["score"] for one in of_seeds], axis=0))]
            for name, of_seeds in scores.items()
        }
        assert sum(one.p <= 0.05 for one in compare_many(means, pairs, flips=1_000, resamples=100)) > 3 * n_rejected


def test_seeds_that_agree_are_tested_as_one_model() -> None:
    model, baseline = (column(values) for values in random_pair(80, effect=0.03))
    alone, seeds = compare([model], [baseline], **QUICK), compare([model] * 3, [baseline] * 2, **QUICK)
    assert_same(alone, seeds)


def test_a_clear_difference_is_found_with_three_seeds() -> None:
    rng = np.random.default_rng(1)
    better = [column(scores.queries["score"] + 3.0) for scores in recipe(rng, 3, between=0.1)]
    assert compare(better, recipe(rng, 3, between=0.1), **QUICK).p < 0.01


def test_the_error_of_seeds_is_that_of_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(3)
    n_seeds, n_units, between = 4, 50, 0.5
    found = []
    for _ in range(2_000):
        shifts = rng.normal(scale=between, size=(n_seeds, 1))
        found.append(seed_error(shifts + rng.normal(size=(1, n_units)) + rng.normal(size=(n_seeds, n_units))) ** 2)
    assert np.mean(found) == pytest.approx(between**2 / n_seeds, rel=0.1)
    assert seed_error(rng.normal(size=(1, n_units))) == 0.0


def without(scores: ColumnScores, first: int) -> ColumnScores:
    return replace(scores, queries=scores.queries.iloc[first:])


def test_models_of_other_questions_are_refused_with_the_counts() -> None:
    values = random_pair(30)
    model, baseline = column(values[0], "A, map"), without(column(values[1], "B, map"), 5)
    with pytest.raises(
        RankTableError, match=r"A, map and B, map were not .* questions: 30 and 25, 25 in common"
    ) as caught:
        compare([model], [baseline])
    assert "\n" not in str(caught.value)
    common = compare([model], [baseline], **QUICK, common_only=True)
    assert common == compare([without(model, 5)], [baseline], **QUICK)
    assert common.units == 25
    with pytest.raises(RankTableError, match="30 and 25, 25 in common"):
        compare([model, baseline], [model])
    with pytest.raises(RankTableError, match=r"A, map and B, map were not .* 30 and 25, 25 in common"):
        compare([model, model], [baseline])
    assert compare([model, baseline], [model], **QUICK, common_only=True).units == 25


def test_queries_without_the_figure_are_left_out_of_both() -> None:
    values = random_pair(30)
    model, baseline = (column(of_one) for of_one in values)
    model.queries.loc[:2, "score"] = np.nan
    baseline.queries.loc[27:, "score"] = np.nan
    expected = compare(*([column(of_one[3:27])] for of_one in values), **QUICK)
    assert_same(compare([model], [baseline], **QUICK), expected)
    assert_same(compare([model, column(values[0])], [baseline], **QUICK), expected)


def test_the_order_of_the_units_does_not_matter() -> None:
    model, baseline = (column(values) for values in random_pair(30))
    turned = replace(baseline, queries=baseline.queries.iloc[::-1])
    assert compare([model], [turned], **QUICK) == compare([model], [baseline], **QUICK)


def of_subset(scores: ColumnScores, subset: str) -> ColumnScores:
    return replace(scores, queries=scores.queries.assign(subset=subset))


@pytest.mark.parametrize(
    ("model", "baseline", "message"),
    [
        (
            column([0.5, np.inf]),
            column([0.5, 0.5]),
            r"model: the query 'en:q0001' in en-en has a score that is infinite",
        ),
        (column([0.5, np.nan], "A, map"), column([0.5, 0.5]), r"A, map: a paired test needs two questions .* are 1 to"),
        (column([0.5]), column([0.6]), r"needs two questions at least, here there are 1"),
        (column([]), column([]), r"needs two questions at least, here there are 0"),
        (
            replace(column([1.0, 2.0]), queries=column([1.0, 2.0]).queries.iloc[[0, 0]]),
            column([0.5, 0.5]),
            r"the query 'en:q0000' in en-en is there twice",
        ),
        (
            column([0, 1]),
            replace(column([1, 0]), data_revision="2"),
            r"the scores are of data revision 1 and of data revision 2; evaluate both on the same data",
        ),
        (
            column([0, 1]),
            of_subset(column([1, 0]), "de-de"),
            r"the scores are of 1 subsets and of 1 subsets, not the same",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(model: ColumnScores, baseline: ColumnScores, message: str) -> None:
    with pytest.raises(RankTableError, match=message) as caught:
        compare([model], [baseline])
    assert "\n" not in str(caught.value)


def test_a_model_without_scores_and_p_values_that_are_none_are_one_line() -> None:
    with pytest.raises(RankTableError, match="baseline: no scores"):
        compare([column([0, 1])], [])
    with pytest.raises(BeirHybridError, match="nan is not a p value"):
        correct([0.5, np.nan])
    with pytest.raises(BeirHybridError, match="choose one of holm, benjamini-hochberg"):
        correct([0.5], "bonferroni")  # type: ignore[arg-type]
