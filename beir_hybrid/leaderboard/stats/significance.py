"""Is the difference between two models real? Paired tests, effect size and bootstrap interval, many pairs at once.

What is paired are the scores of units (``unit_scores``): questions, not queries. Several training seeds of one recipe
are one model. docs/significance.md explains the choices and shows what they cost.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from beir_hybrid.errors import RankTableError
from beir_hybrid.leaderboard.stats.corrections import Correction, correct
from beir_hybrid.leaderboard.stats.resampling import Batch, bootstrap_intervals, flip_p_values, is_exact, seed_error

FLIPS = 100_000
RESAMPLES = 10_000
CONFIDENCE = 0.95

Pair = tuple[str, str]
"""Names of a model and of the baseline that it is compared with."""


@dataclass(frozen=True)
class Comparison:
    """A model compared with a baseline on the same units.

    Attributes:
        difference: Mean over the units of model less baseline, each averaged over its seeds.
        low: Lower end of the percentile bootstrap interval of the difference.
        high: Upper end.
        p: Of the two-sided paired randomization test; with several seeds, about recipes, not about these checkpoints.
        p_t: Of the paired t test, about these checkpoints.
        p_wilcoxon: Of the Wilcoxon signed-rank test, about these checkpoints; units without a difference are left out.
        effect_size: Cohen's d_z: mean of the differences divided by their standard deviation. Infinite if all
            differences are the same and not 0.
        units: Number of units.
        exact: Whether all ways to flip signs were tried.
        p_corrected: ``p``, corrected for all comparisons shown together; None if that was not asked for.
    """

    difference: float
    low: float
    high: float
    p: float
    p_t: float
    p_wilcoxon: float
    effect_size: float
    units: int
    exact: bool
    p_corrected: float | None = None


def is_significant(comparison: Comparison, alpha: float) -> bool:
    """Whether there is a difference and its corrected p value is at most alpha."""
    return comparison.difference != 0 and comparison.p_corrected is not None and comparison.p_corrected <= alpha


def compare(
    model: Sequence[pd.Series],
    baseline: Sequence[pd.Series],
    *,
    flips: int = FLIPS,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    common_only: bool = False,
) -> Comparison:
    """Compare a model with a baseline.

    Args:
        model: Its unit scores, one Series a training seed.
        baseline: The same of the baseline.
        flips: Sign flips of the randomization test; where there are no more ways to flip, all are tried.
        resamples: Resamples of the bootstrap.
        confidence: Of the interval.
        seed: Of all that is random; the same seed gives the same result.
        common_only: Compare on the units that all have, where they were not evaluated on the same.

    Returns:
        The comparison; two models with the same scores have p = 1.

    Raises:
        RankTableError: Scores are missing or not of the same units, data revision and subsets, or there are fewer than
            two units.
    """
    [comparison] = compare_many(
        {"model": model, "baseline": baseline},
        [("model", "baseline")],
        flips=flips,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        common_only=common_only,
    )
    return comparison


def compare_many(
    scores: Mapping[str, Sequence[pd.Series]],
    pairs: Sequence[Pair],
    *,
    flips: int = FLIPS,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    common_only: bool = False,
    correction: Correction | None = None,
) -> list[Comparison]:
    """Compare many pairs; those on the same units share one pass, and each gets what ``compare`` would give it.

    Args:
        scores: Name -> unit scores, one Series a training seed. To compare several columns at once give every model
            a name in each of them.
        pairs: Names of model and baseline.
        flips: See ``compare``, as the next four.
        resamples: See there.
        confidence: See there.
        seed: See there.
        common_only: See there.
        correction: Fill in ``p_corrected``, over all pairs.

    Returns:
        One comparison a pair, in the same order.

    Raises:
        RankTableError: See ``compare``.
    """
    for name, of_seeds in scores.items():
        _check(name, of_seeds)
    groups: dict[tuple[bool, tuple[str, ...]], list[int]] = {}
    for number, pair in enumerate(pairs):
        has_seeds = any(len(scores[name]) > 1 for name in pair)
        groups.setdefault((has_seeds, _units_of(pair, scores, common_only)), []).append(number)
    found: dict[int, Comparison] = {}
    for (_, units), numbers in groups.items():
        batch = _batch(scores, [pairs[number] for number in numbers], pd.Index(units))
        found.update(zip(numbers, _compare_batch(batch, flips, resamples, confidence, seed), strict=True))
    comparisons = [found[number] for number in range(len(pairs))]
    if correction is None:
        return comparisons
    corrected = correct([comparison.p for comparison in comparisons], correction)
    return [replace(one, p_corrected=float(p)) for one, p in zip(comparisons, corrected, strict=True)]


def _check(name: str, of_seeds: Sequence[pd.Series]) -> None:
    """Refuse scores that nothing can be computed from."""
    if not of_seeds:
        raise RankTableError(f"{name}: no scores; give one Series a training seed")
    for scores in of_seeds:
        unit = scores.index.name or "unit"
        wrong = scores.index[~np.isfinite(scores.to_numpy(dtype=np.float64))]
        if len(wrong):
            raise RankTableError(
                f"{_name(name, scores)}: the score of {unit} {wrong[0]!r} is {scores[wrong[0]]}; evaluate it again"
            )
        twice = scores.index[scores.index.duplicated()]
        if len(twice):
            raise RankTableError(f"{_name(name, scores)}: {unit} {twice[0]!r} is there twice")


def _name(name: str, scores: pd.Series) -> str:
    return str(scores.name or name)


def _units_of(pair: Pair, scores: Mapping[str, Sequence[pd.Series]], common_only: bool) -> tuple[str, ...]:
    """Return the units that a pair is compared on, sorted."""
    first, *others = [(name, one) for name in pair for one in scores[name]]
    common = first[1].index
    for name, other in others:
        _check_comparable(first, (name, other))
        if other.index.equals(first[1].index):
            continue
        asked, asked_of_other = _evaluated(first[1]), _evaluated(other)
        shared = asked.intersection(asked_of_other)
        if not common_only and not len(shared) == len(asked) == len(asked_of_other):
            raise RankTableError(
                f"{_name(*first)} and {_name(name, other)} were not evaluated on the same "
                f"{first[1].index.name or 'unit'}s: {len(asked)} and {len(asked_of_other)}, {len(shared)} in common; "
                "evaluate both on the same data, or ask for the common ones only (common_questions in "
                "leaderboard.toml, common_only in Python)"
            )
        common = common.intersection(other.index)
    if len(common) < 2:
        raise RankTableError(
            f"{_name(*first)}: a paired test needs two {first[1].index.name or 'unit'}s at least, here there are "
            f"{len(common)} to compare on"
        )
    return tuple(common.sort_values())


def _evaluated(scores: pd.Series) -> pd.Index:
    """Return the units that a model was evaluated on, with those that do not have the figure."""
    return scores.index.union(scores.attrs.get("undefined", ()))


def _check_comparable(one: tuple[str, pd.Series], other: tuple[str, pd.Series]) -> None:
    """Refuse scores of other data or of other subsets, in so far as their ``attrs`` tell."""
    facts = one[1].attrs, other[1].attrs
    for fact in ("data_revision", "subsets"):
        values = [known.get(fact) for known in facts]
        if None in values or values[0] == values[1]:
            continue
        counts = [f"{len(value)} subsets" if fact == "subsets" else f"data revision {value}" for value in values]
        raise RankTableError(
            f"{_name(*one)} and {_name(*other)} cannot be compared: the scores are of {counts[0]} and of {counts[1]}"
            f"{', not the same' if counts[0] == counts[1] else ''}; evaluate both on the same data"
        )


def _batch(scores: Mapping[str, Sequence[pd.Series]], pairs: Sequence[Pair], units: pd.Index) -> Batch:
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    matrices = [np.stack([one.reindex(units).to_numpy(dtype=np.float64) for one in scores[name]]) for name in names]
    row = {name: number for number, name in enumerate(names)}
    return Batch(
        scores=np.stack([matrix.mean(axis=0) for matrix in matrices]),
        seeds=np.array([len(matrix) for matrix in matrices]),
        seed_errors=np.array([seed_error(matrix) for matrix in matrices]),
        pairs=[(row[model], row[baseline]) for model, baseline in pairs],
    )


def _compare_batch(batch: Batch, flips: int, resamples: int, confidence: float, seed: int) -> list[Comparison]:
    p_values = flip_p_values(batch, flips, seed)
    intervals = bootstrap_intervals(batch, resamples, confidence, seed)
    comparisons = []
    for (model, baseline), p, (low, high) in zip(batch.pairs, p_values, intervals, strict=True):
        differences = batch.scores[model] - batch.scores[baseline]
        p_t, p_wilcoxon = _reference_tests(differences)
        comparisons.append(
            Comparison(
                difference=float(differences.mean()),
                low=float(low),
                high=float(high),
                p=float(p),
                p_t=p_t,
                p_wilcoxon=p_wilcoxon,
                effect_size=_effect_size(differences),
                units=batch.n_units,
                exact=is_exact(batch, flips),
            )
        )
    return comparisons


def _reference_tests(differences: NDArray[np.float64]) -> tuple[float, float]:
    """P values of the paired t test and of the Wilcoxon signed-rank test; 1 where there is no difference at all."""
    if not differences.any():
        return 1.0, 1.0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # differences that are all the same, or a few ties: the p values are right
        p_t = stats.ttest_1samp(differences, 0.0).pvalue
        p_wilcoxon = stats.wilcoxon(differences, zero_method="wilcox").pvalue
    return float(p_t), float(p_wilcoxon)


def _effect_size(differences: NDArray[np.float64]) -> float:
    """Cohen's d_z (Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, section 2.3.5)."""
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if deviation > 0:
        return mean / deviation
    return math.copysign(math.inf, mean) if mean else 0.0
