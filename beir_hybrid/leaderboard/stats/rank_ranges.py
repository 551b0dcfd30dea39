"""The ranks that a model may have, the models that cannot be told apart, and those that are equivalent."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.leaderboard.stats.significance import Comparison, Pair, is_significant
from beir_hybrid.leaderboard.stats.verdicts import is_equivalent
from beir_hybrid.metrics import in_favour


@dataclass(frozen=True)
class RankRange:
    """Where a model may stand among n models.

    Attributes:
        best: Best rank that the comparisons allow: 1 + the number of models that are significantly better.
        worst: Worst rank: n - the number of models that are significantly worse.
        groups: Letters of the groups it belongs to. Models that share a letter cannot be told apart.
    """

    best: int
    worst: int
    groups: str


def rank_ranges(
    models: Sequence[str],
    comparisons: Mapping[Pair, Comparison],
    *,
    alpha: float = 0.05,
    higher_is_better: bool = True,
) -> dict[str, RankRange]:
    """Compute the ranks that the comparisons of all pairs of models allow.

    If the corrected p values bound the probability of any false finding by alpha, as Holm's do, the ranges of all
    models hold their true ranks together with probability 1 - alpha (Mogstad, Romano, Shaikh and Wilhelm 2024,
    Inference for Ranks, https://doi.org/10.1093/restud/rdad006: confidence sets from simultaneous inference about all
    differences). Benjamini-Hochberg gives no such guarantee.

    Groups are the compact letter display (Piepho 2004, An Algorithm for a Letter-Based Representation of All-Pairwise
    Comparisons): one letter a largest set of models of which no two differ significantly.

    Args:
        models: Names, best first: letters are given in this order.
        comparisons: (model, baseline) -> their comparison with ``p_corrected``; every pair in either order.
        alpha: A corrected p value up to this is significant.
        higher_is_better: Whether a positive difference is in the model's favour.

    Returns:
        Name -> its ranks and groups, in the order of ``models``.

    Raises:
        BeirHybridError: A pair was not compared, or its p value not corrected.
    """
    better: dict[str, set[str]] = {model: set() for model in models}
    for number, model in enumerate(models):
        for other in models[number + 1 :]:
            winner = _winner((model, other), comparisons, alpha, higher_is_better)
            if winner is not None:
                better[model if winner == other else other].add(winner)
    worse = {model: {other for other in models if model in better[other]} for model in models}
    like = {model: set(models) - {model} - better[model] - worse[model] for model in models}
    groups = _groups(models, like)
    return {
        model: RankRange(1 + len(better[model]), len(models) - len(worse[model]), groups[model]) for model in models
    }


def equivalence_groups(
    models: Sequence[str], comparisons: Mapping[Pair, Comparison], *, alpha: float = 0.05
) -> dict[str, str]:
    """Find the models that are equivalent: no difference between any two of a group is as large as the margin.

    That two models cannot be told apart is no evidence that they are equal: too few questions do that, too. Equivalence
    was shown, by tests of its own.

    Args:
        models: Names, best first: letters are given in this order.
        comparisons: (model, baseline) -> their comparison with ``p_equivalence_corrected``; every pair in either order.
        alpha: A corrected p value up to this is significant.

    Returns:
        Name -> letters of the largest sets of two or more models of which every two are equivalent; empty for none.
    """
    like: dict[str, set[str]] = {model: set() for model in models}
    for pair, comparison in comparisons.items():
        if is_equivalent(comparison, alpha):
            like[pair[0]].add(pair[1])
            like[pair[1]].add(pair[0])
    return _groups(models, like, least=2)


def _winner(pair: Pair, comparisons: Mapping[Pair, Comparison], alpha: float, higher_is_better: bool) -> str | None:
    """Return the significantly better one of two models, or None."""
    model, other = pair
    if (other, model) in comparisons:
        model, other = other, model
    comparison = comparisons.get((model, other))
    if comparison is None or comparison.p_corrected is None:
        raise BeirHybridError(f"ranks need a corrected comparison of {model} and {other}; compare all pairs")
    if not is_significant(comparison, alpha):
        return None
    return model if in_favour(comparison.difference, higher_is_better) else other


def _groups(models: Sequence[str], like: Mapping[str, set[str]], least: int = 1) -> dict[str, str]:
    """Give each model the letters of the largest sets of models that are all alike, in the order of their best."""
    place = {model: number for number, model in enumerate(models)}
    found = (sorted(place[model] for model in clique) for clique in _cliques(set(), set(models), set(), like))
    cliques = sorted(clique for clique in found if len(clique) >= least)
    groups = dict.fromkeys(models, "")
    for letter, clique in zip(_letters(), cliques, strict=False):
        for number in clique:
            groups[models[number]] += letter
    return groups


def _cliques(chosen: set[str], open_: set[str], done: set[str], like: Mapping[str, set[str]]) -> Iterator[set[str]]:
    """Yield the largest sets of models that are all alike (Bron and Kerbosch 1973, with a pivot)."""
    if not open_ and not done:
        yield chosen
        return
    pivot = max(sorted(open_ | done), key=lambda model: len(like[model] & open_))
    for model in sorted(open_ - like[pivot]):
        yield from _cliques(chosen | {model}, open_ & like[model], done & like[model], like)
        open_ = open_ - {model}
        done = done | {model}


def _letters() -> Iterator[str]:
    """Yield names of groups: a to z, A to Z, then numbers in brackets."""
    yield from string.ascii_letters
    number = len(string.ascii_letters)
    while True:
        number += 1
        yield f"({number})"
