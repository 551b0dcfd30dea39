"""Rank ranges and groups against a search through all sets of models."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.leaderboard.stats.rank_ranges import equivalence_groups, rank_ranges
from beir_hybrid.leaderboard.stats.significance import Comparison, compare_many
from tests.support.column_scores import column
from tests.support.helpers import property_test


def outcome(difference: float, p_corrected: float | None, p_equivalence: float | None = None) -> Comparison:
    return Comparison(
        difference,
        0.0,
        0.0,
        0.5,
        0.5,
        0.5,
        0.0,
        unit="question",
        units=10,
        questions=10,
        exact=False,
        p_corrected=p_corrected,
        p_equivalence_corrected=p_equivalence,
    )


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[list[str], dict[tuple[str, str], Comparison]]:
    """Draw models, best first, and which pairs differ significantly; pairs in either order."""
    models = [f"m{n}" for n in range(draw(st.integers(1, 6)))]
    found = {}
    for better, worse in combinations(models, 2):
        p = draw(st.sampled_from([0.001, 0.05, 0.2]))
        if draw(st.booleans()):
            found[better, worse] = outcome(0.1, p)
        else:
            found[worse, better] = outcome(-0.1, p)
    return models, found


def differ(pair: tuple[str, str], comparisons: dict[tuple[str, str], Comparison]) -> bool:
    p = (comparisons.get(pair) or comparisons[pair[::-1]]).p_corrected
    return p is not None and p <= 0.05


@property_test(150)
@given(outcomes())
def test_ranges_count_the_models_that_differ(drawn: tuple[list[str], dict[tuple[str, str], Comparison]]) -> None:
    models, comparisons = drawn
    ranges = rank_ranges(models, comparisons)
    assert list(ranges) == models
    for place, model in enumerate(models):
        better = sum(differ((other, model), comparisons) for other in models[:place])
        worse = sum(differ((model, other), comparisons) for other in models[place + 1 :])
        assert (ranges[model].best, ranges[model].worst) == (1 + better, len(models) - worse)
        assert ranges[model].best <= place + 1 <= ranges[model].worst


@property_test(150)
@given(outcomes())
def test_groups_are_the_largest_sets_that_cannot_be_told_apart(
    drawn: tuple[list[str], dict[tuple[str, str], Comparison]],
) -> None:
    models, comparisons = drawn
    alike = [
        set(some)
        for size in range(1, len(models) + 1)
        for some in combinations(models, size)
        if not any(differ(pair, comparisons) for pair in combinations(some, 2))
    ]
    largest = {frozenset(some) for some in alike if not any(some < other for other in alike)}
    ranges = rank_ranges(models, comparisons)
    letters = "".join(dict.fromkeys("".join(ranges[model].groups for model in models)))
    groups = [frozenset(model for model in models if letter in ranges[model].groups) for letter in letters]
    assert set(groups) == largest and len(groups) == len(largest)
    assert letters == "abcdefghijklmnopqrstuvwxyz"[: len(groups)]
    places = [min(models.index(model) for model in group) for group in groups]
    assert places == sorted(places)


def test_lower_is_better_turns_the_ranks_round() -> None:
    comparisons = {("low", "high"): outcome(-1.0, 0.01)}
    ranges = rank_ranges(["low", "high"], comparisons, higher_is_better=False)
    assert [(one.best, one.worst, one.groups) for one in ranges.values()] == [(1, 1, "a"), (2, 2, "b")]


def test_a_stricter_alpha_tells_fewer_apart() -> None:
    comparisons = {("a", "b"): outcome(1.0, 0.03)}
    assert rank_ranges(["a", "b"], comparisons)["a"].worst == 1
    assert rank_ranges(["a", "b"], comparisons, alpha=0.01)["a"].worst == 2


def test_more_groups_than_letters() -> None:
    models = [f"m{n:02}" for n in range(60)]
    comparisons = {pair: outcome(1.0, 0.01) for pair in combinations(models, 2)}
    groups = [one.groups for one in rank_ranges(models, comparisons).values()]
    assert len(set(groups)) == 60
    assert (groups[0], groups[51], groups[52]) == ("a", "Z", "(53)")


def test_the_ranges_of_all_models_hold_their_true_ranks() -> None:
    rng = np.random.default_rng(0)
    truth = {"a": 0.3, "b": 0.1, "c": 0.0}
    held = 0
    for number in range(200):
        question = rng.normal(size=60)
        scores = {
            model: [column(question + mean + rng.normal(scale=0.6, size=60), model)] for model, mean in truth.items()
        }
        pairs = list(combinations(truth, 2))
        found = compare_many(scores, pairs, flips=500, resamples=10, seed=number, correction="holm")
        order = sorted(truth, key=lambda model: -scores[model][0].average)
        ranges = rank_ranges(order, dict(zip(pairs, found, strict=True)))
        held += all(ranges[model].best <= rank <= ranges[model].worst for rank, model in enumerate(truth, 1))
    assert held >= 0.92 * 200


def test_equivalent_is_what_was_shown_to_be_and_not_what_cannot_be_told_apart() -> None:
    models = ["a", "b", "c", "d"]
    comparisons = {pair: outcome(1.0, 0.5, 0.5) for pair in combinations(models, 2)}
    assert [one.groups for one in rank_ranges(models, comparisons).values()] == ["a"] * 4
    assert equivalence_groups(models, comparisons) == dict.fromkeys(models, "")
    for pair in [("a", "b"), ("b", "c")]:
        comparisons[pair] = outcome(1.0, 0.01, 0.02)  # a difference that is real, and too small to matter
    assert equivalence_groups(models, comparisons) == {"a": "a", "b": "ab", "c": "b", "d": ""}
    assert equivalence_groups(models, comparisons, alpha=0.01) == dict.fromkeys(models, "")
    without_margin = {pair: outcome(1.0, 0.5) for pair in combinations(models, 2)}
    assert equivalence_groups(models, without_margin) == dict.fromkeys(models, "")


@pytest.mark.parametrize("comparisons", [{}, {("a", "b"): outcome(1.0, None)}])
def test_pairs_that_were_not_compared_or_corrected_are_one_line(comparisons: dict) -> None:
    with pytest.raises(BeirHybridError, match=r"ranks need a corrected comparison of a and b") as caught:
        rank_ranges(["a", "b"], comparisons)
    assert "\n" not in str(caught.value)
