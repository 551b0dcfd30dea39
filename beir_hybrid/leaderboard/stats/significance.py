"""Is the difference between two models real? Paired tests, effect size and bootstrap interval, many pairs at once.

What is compared are the figures of a cell of the table, and what is flipped and drawn are whole units: articles, where
they are known. Several training seeds of one recipe are one model. docs/significance.md explains the choices and shows
what they cost.
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
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.inputs.settings import Unit
from beir_hybrid.leaderboard.stats.cells import (
    PLURALS,
    ROUNDING,
    CellMatrix,
    articles_of_questions,
    design_effects,
    has_articles,
    less_rounding,
    subsets_of,
    units_of,
)
from beir_hybrid.leaderboard.stats.corrections import Correction, correct
from beir_hybrid.leaderboard.stats.query_scores import QueryScores, common_queries
from beir_hybrid.leaderboard.stats.resampling import (
    Batch,
    Margin,
    PValues,
    bootstrap_intervals,
    flip_p_values,
    is_exact,
)

FLIPS = 100_000
RESAMPLES = 10_000
CONFIDENCE = 0.95

Pair = tuple[str, str]
"""Names of a model and of the baseline that it is compared with."""


@dataclass(frozen=True)
class Comparison:
    """A model compared with a baseline on the same queries.

    Attributes:
        difference: Figure of the model less that of the baseline, each averaged over its seeds.
        low: Lower end of the bootstrap interval of the difference.
        high: Upper end.
        p: Of the two-sided paired randomization test; with several seeds, about recipes, not about these checkpoints.
        p_t: Of the paired t test of what the units contribute to the difference, about these checkpoints.
        p_wilcoxon: Of the Wilcoxon signed-rank test of the same, about these checkpoints; units without a difference
            are left out.
        effect_size: Cohen's d_z: mean of what the units contribute divided by its standard deviation. Infinite if it
            is the same for all and not 0.
        unit: What was flipped and drawn: the unit asked for, or the question where no articles are known.
        units: Number of units.
        questions: Number of questions that they hold.
        exact: Whether all ways to flip signs were tried.
        design_effect: Variance of the difference with whole articles as units over that with questions as units, both
            about these checkpoints; None where no articles are known.
        margin: The difference that does not matter; None if none was given, and then there are no p values about it.
        p_equivalence: Of two one-sided tests: small if the difference is within the margin on either side.
        p_noninferiority: Of a one-sided test: small if the model is not worse than the baseline by the margin.
        p_noninferiority_of_baseline: The same with the two in changed places.
        p_noninferiority_t: Of a one-sided t test of the same that allows for skewness, about these checkpoints.
        p_corrected: ``p``, corrected for all comparisons shown together; None if that was not asked for.
        p_equivalence_corrected: ``p_equivalence``, corrected for all that have a margin; None likewise.
        p_noninferiority_corrected: ``p_noninferiority``, corrected for all that have a margin; None likewise.
    """

    difference: float
    low: float
    high: float
    p: float
    p_t: float
    p_wilcoxon: float
    effect_size: float
    unit: Unit
    units: int
    questions: int
    exact: bool
    design_effect: float | None = None
    margin: float | None = None
    p_equivalence: float | None = None
    p_noninferiority: float | None = None
    p_noninferiority_of_baseline: float | None = None
    p_noninferiority_t: float | None = None
    p_corrected: float | None = None
    p_equivalence_corrected: float | None = None
    p_noninferiority_corrected: float | None = None

    def turned_round(self) -> Comparison:
        """Return the comparison of the baseline with the model; what was corrected has to be corrected again."""
        return replace(
            self,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            effect_size=-self.effect_size,
            p_noninferiority=self.p_noninferiority_of_baseline,
            p_noninferiority_of_baseline=self.p_noninferiority,
            p_noninferiority_t=None,
            p_noninferiority_corrected=None,
        )


def is_significant(comparison: Comparison, alpha: float) -> bool:
    """Whether there is a difference and its corrected p value is at most alpha."""
    return comparison.difference != 0 and comparison.p_corrected is not None and comparison.p_corrected <= alpha


def compare(
    model: Sequence[ColumnScores],
    baseline: Sequence[ColumnScores],
    *,
    unit: Unit = "article",
    flips: int = FLIPS,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    common_only: bool = False,
    margin: float | None = None,
    higher_is_better: bool | None = True,
) -> Comparison:
    """Compare a model with a baseline.

    Queries of which a model or a seed does not have the figure are left out of both.

    Args:
        model: Its scores in a column, one a training seed.
        baseline: The same of the baseline.
        unit: What is independent of one another; ``article`` is ``question`` where no articles are known.
        flips: Sign flips of the randomization test; where there are no more ways to flip, all are tried.
        resamples: Resamples of the bootstrap.
        confidence: Of the interval.
        seed: Of all that is random; the same seed gives the same result.
        common_only: Compare on the queries that all have, where they were not evaluated on the same.
        margin: The difference that does not matter, above 0; None for no test of equivalence.
        higher_is_better: Whether larger figures are better, which decides what is not worse; None for neither, where
            that is not asked.

    Returns:
        The comparison; two models with the same scores have p = 1.

    Raises:
        RankTableError: Scores are missing or not of the same queries, data revision and subsets, there are fewer than
            two units, or the margin is not a number above 0.
    """
    [comparison] = compare_many(
        {"model": model, "baseline": baseline},
        [("model", "baseline")],
        unit=unit,
        flips=flips,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        common_only=common_only,
        margin=margin,
        higher_is_better=higher_is_better,
    )
    return comparison


def compare_many(
    scores: Mapping[str, Sequence[ColumnScores] | QueryScores],
    pairs: Sequence[Pair],
    *,
    unit: Unit = "article",
    flips: int = FLIPS,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    common_only: bool = False,
    correction: Correction | None = None,
    margin: float | Sequence[float | None] | None = None,
    higher_is_better: bool | Sequence[bool | None] | None = True,
) -> list[Comparison]:
    """Compare many pairs; those on the same queries share one pass, and each gets what ``compare`` would give it.

    Args:
        scores: Name -> scores in a column, one a training seed, or put side by side before. To compare several columns
            at once give every model a name in each of them.
        pairs: Names of model and baseline.
        unit: See ``compare``, as the next five.
        flips: See there.
        resamples: See there.
        confidence: See there.
        seed: See there.
        common_only: See there.
        correction: Fill in the corrected p values: of differences over all pairs, of equivalence and of non-inferiority
            each over all pairs with a margin.
        margin: See ``compare``; one for all pairs, or one for each.
        higher_is_better: See there; likewise.

    Returns:
        One comparison a pair, in the same order.

    Raises:
        RankTableError: See ``compare``.
    """
    margins = _margins(margin, higher_is_better, len(pairs))
    plan = _Plan(unit, flips, resamples, confidence, seed)
    known = {name: QueryScores.of(name, of_seeds, common_only) for name, of_seeds in scores.items()}
    shared = list(common_queries(known, pairs, common_only))
    groups: dict[tuple[bool, int], list[int]] = {}
    for number, (pair, queries) in enumerate(zip(pairs, shared, strict=True)):
        groups.setdefault((any(len(known[name].scores) > 1 for name in pair), id(queries)), []).append(number)
    found: dict[int, Comparison] = {}
    for numbers in groups.values():
        names = list(dict.fromkeys(name for number in numbers for name in pairs[number]))
        places = [(names.index(model), names.index(baseline)) for model, baseline in (pairs[n] for n in numbers)]
        comparisons = _compare_group(
            plan, [known[name] for name in names], shared[numbers[0]], places, [margins[n] for n in numbers]
        )
        found.update(zip(numbers, comparisons, strict=True))
    comparisons = [found[number] for number in range(len(pairs))]
    return comparisons if correction is None else corrected(comparisons, correction)


def corrected(comparisons: Sequence[Comparison], correction: Correction) -> list[Comparison]:
    """Fill in the corrected p values of comparisons that are shown together; those about margins are families apart."""

    def family(p_values: Sequence[float | None]) -> list[float | None]:
        known = iter(correct([p for p in p_values if p is not None], correction))
        return [None if p is None else float(next(known)) for p in p_values]

    return [
        replace(
            comparison,
            p_corrected=differ,
            p_equivalence_corrected=equivalent,
            p_noninferiority_corrected=not_inferior,
        )
        for comparison, differ, equivalent, not_inferior in zip(
            comparisons,
            family([comparison.p for comparison in comparisons]),
            family([comparison.p_equivalence for comparison in comparisons]),
            family([comparison.p_noninferiority for comparison in comparisons]),
            strict=True,
        )
    ]


def _margins(
    margin: float | Sequence[float | None] | None, higher_is_better: bool | Sequence[bool | None] | None, n_pairs: int
) -> list[Margin | None]:
    """Return the margin of each pair."""
    sizes = [margin] * n_pairs if margin is None or isinstance(margin, int | float) else list(margin)
    better = list(higher_is_better) if isinstance(higher_is_better, Sequence) else [higher_is_better] * n_pairs
    for size in sizes:
        if size is not None and not 0 < size < math.inf:
            raise RankTableError(f"margin = {size:g}: write a number above 0")
    return [None if size is None else Margin(size, up is not False) for size, up in zip(sizes, better, strict=True)]


@dataclass(frozen=True)
class _Plan:
    """What all comparisons of a call have in common."""

    unit: Unit
    flips: int
    resamples: int
    confidence: float
    seed: int


def _compare_group(
    plan: _Plan,
    models: Sequence[QueryScores],
    queries: pd.DataFrame,
    pairs: Sequence[tuple[int, int]],
    margins: Sequence[Margin | None],
) -> list[Comparison]:
    """Compare pairs of models on the same queries."""
    unit, ids = units_of(queries, plan.unit)
    if (n_units := ids.nunique()) < 2:
        raise RankTableError(
            f"{models[pairs[0][0]].name}: a paired test needs two {PLURALS[unit]} at least, here there are {n_units} "
            "to compare on"
        )
    batch = _batch(models, queries, ids, pairs, margins)
    p_values = flip_p_values(batch, plan.flips, plan.seed)
    intervals = bootstrap_intervals(batch, plan.resamples, plan.confidence, plan.seed)
    effects: list[float | None] = [None] * len(pairs)
    if has_articles(queries):
        by_question = batch if unit == "question" else _batch(models, queries, queries["question_id"], pairs, margins)
        effects = design_effects(by_question.cells, articles_of_questions(queries), pairs)
    n_questions = int(queries["question_id"].nunique())
    exact = is_exact(batch, plan.flips)
    comparisons = []
    for number, (model, baseline) in enumerate(pairs):
        of_model, of_baseline = batch.cells.contributions[[model, baseline]]
        differences = less_rounding(of_model - of_baseline, of_model + of_baseline)
        p_t, p_wilcoxon = _reference_tests(differences)
        low, high = less_rounding(np.array(intervals[number]), batch.cells.figures[[model, baseline]].sum())
        comparisons.append(
            Comparison(
                difference=float(differences.mean()),
                low=float(low),
                high=float(high),
                p=p_values[number].differ,
                p_t=p_t,
                p_wilcoxon=p_wilcoxon,
                effect_size=_effect_size(differences),
                unit=unit,
                units=batch.n_units,
                questions=n_questions,
                exact=exact,
                design_effect=effects[number],
                **_about_margin(p_values[number], margins[number], linear_differences(batch.cells, model, baseline)),
            )
        )
    return comparisons


def _batch(
    models: Sequence[QueryScores],
    queries: pd.DataFrame,
    units: pd.Series,
    pairs: Sequence[tuple[int, int]],
    margins: Sequence[Margin | None],
) -> Batch:
    scores = np.concatenate([model.on(queries) for model in models])
    seeds = np.array([len(model.scores) for model in models])
    return Batch.of(CellMatrix.of(units, subsets_of(queries), scores), seeds, pairs, margins)


def _about_margin(p: PValues, margin: Margin | None, linear: NDArray[np.float64]) -> dict[str, float]:
    """Return the fields of a comparison that are about its margin; ``linear``: see ``linear_differences``."""
    if margin is None or p.inferior is None or p.baseline_inferior is None:
        return {}
    return {
        "margin": margin.size,
        "p_equivalence": max(p.inferior, p.baseline_inferior),
        "p_noninferiority": p.inferior,
        "p_noninferiority_of_baseline": p.baseline_inferior,
        "p_noninferiority_t": skewed_t_test((linear if margin.higher_is_better else -linear) + margin.size),
    }


def linear_differences(cells: CellMatrix, model: int, baseline: int) -> NDArray[np.float64]:
    """Return what each unit makes of a difference, to first order, shape (U,); their mean is the difference."""
    deviations = cells.deviations[model] - cells.deviations[baseline]
    difference = cells.figures[model] - cells.figures[baseline]
    return less_rounding(deviations, np.abs(cells.contributions[[model, baseline]]).sum(axis=0)) + difference


def skewed_t_test(values: NDArray[np.float64]) -> float:
    """Return the p value of a one-sided t test that the mean is not above 0, which allows for skewness.

    A few large losses that a sample happens to lack make its mean too high and its deviation too small, and Student's t
    rejects too often; a monotonic transformation of it takes the skewness out (Hall 1992, On the Removal of Skewness by
    Transformation).

    Args:
        values: n independent values, shape (n,).
    """
    n, mean, deviation = len(values), float(values.mean()), float(values.std(ddof=1))
    if deviation <= ROUNDING * np.abs(values).max():
        return 0.0 if mean > 0 else 1.0
    t, skewness = math.sqrt(n) * mean / deviation, float(((values - mean) ** 3).mean()) / deviation**3
    t += skewness * (1 + 2 * t**2) / (6 * math.sqrt(n)) + skewness**2 * t**3 / (27 * n)
    return float(stats.t.sf(t, n - 1))


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
