"""Random signs and bootstrap samples of units, drawn once for all comparisons on the same units.

The statistic of two models is a difference of two sums, one a model. So the sums of every model under all signs are one
matrix product, and each comparison only subtracts two of its rows. Sums are of float64: the products are not what takes
the time, and equal sums must be seen to be equal, since they decide the p value of a test on few units.

Training seeds are resampled, too. Three or five of them are too few to be drawn with replacement: such a bootstrap
shows (n - 1) / n of their variance, and nothing of how little is known about it; docs/significance.md shows what comes
of that. Instead, each resample adds to the mean over n seeds its standard error times a draw of Student's t with n - 1
degrees of freedom, which is how far the mean of n normal effects lies from its expectation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from beir_hybrid.leaderboard.stats.cells import ROUNDING, CellMatrix

BLOCK_ELEMENTS = 4_000_000
"""Elements of the largest matrix held at once: signs x units, or signs x models."""

_KEPT_ELEMENTS = 4 * BLOCK_ELEMENTS
"""Elements of the largest bootstrap draws that are kept."""


class Margin(NamedTuple):
    """The difference that does not matter.

    Attributes:
        size: The difference, above 0.
        higher_is_better: Whether larger figures are better.
    """

    size: float
    higher_is_better: bool = True


class PValues(NamedTuple):
    """What the flips say of a comparison.

    Attributes:
        differ: Of the hypothesis that there is no difference.
        inferior: Of the hypothesis that the model is worse by the margin or more; None without a margin.
        baseline_inferior: The same of the baseline.
    """

    differ: float
    inferior: float | None = None
    baseline_inferior: float | None = None


@dataclass(frozen=True)
class Batch:
    """The scores of M models on U units, and which of them are compared.

    Attributes:
        cells: Mean over the training seeds of each model, M columns of scores.
        seeds: Training seeds of each model, shape (M,).
        seed_errors: Standard error of each model's figure due to its seeds, shape (M,); 0 for one seed.
        pairs: Columns of model and baseline of P comparisons.
        margins: The margin of each comparison; None for none.
    """

    cells: CellMatrix
    seeds: NDArray[np.int64]
    seed_errors: NDArray[np.float64]
    pairs: Sequence[tuple[int, int]]
    margins: Sequence[Margin | None]

    @classmethod
    def of(
        cls,
        cells: CellMatrix,
        seeds: NDArray[np.int64],
        pairs: Sequence[tuple[int, int]] = (),
        margins: Sequence[Margin | None] = (),
    ) -> Batch:
        """Average the scores of each model over its seeds.

        Args:
            cells: A column of scores for each seed of each model, model after model.
            seeds: See the attributes, as the next two.
            pairs: See there.
            margins: See there.
        """
        ends = np.cumsum(seeds)
        of_model = [slice(end - n, end) for end, n in zip(ends, seeds, strict=True)]
        linear = cells.deviations + cells.figures[:, None]
        errors = np.array([seed_error(linear[columns]) for columns in of_model])
        means = np.stack([cells.sums[columns].mean(axis=0) for columns in of_model])
        return cls(replace(cells, sums=means), seeds, errors, pairs, margins)

    @property
    def n_units(self) -> int:
        """U."""
        return self.cells.n_units

    @property
    def has_seeds(self) -> bool:
        """Whether any model has several training seeds."""
        return bool((self.seeds > 1).any())


def seed_error(scores: NDArray[np.float64]) -> float:
    """Estimate the standard error of a figure that is due to the choice of n training seeds.

    Analysis of variance of crossed seeds and units: the variance of the seeds' figures, less the part that comes from
    each seed's own ups and downs on the units, which drawing units shows already. What is left is divided by n.

    Args:
        scores: Score of each unit with each seed, whose mean over the units is the figure, shape (n, U).
    """
    n, n_units = scores.shape
    if n == 1:
        return 0.0
    of_seed = scores.mean(axis=1, keepdims=True)
    rest = scores - of_seed - scores.mean(axis=0) + scores.mean()
    interaction = (rest**2).sum() / ((n - 1) * (n_units - 1))
    return float(np.sqrt(max(0.0, of_seed.var(ddof=1) - interaction / n_units) / n))


class SeedEffects:
    """Draws by how much means over seeds may be off, in the same order whatever is compared.

    Args:
        seeds: Training seeds of each model, shape (M,).
        errors: Standard error of each model's mean due to them, shape (M,).
        seed: Of the draws.
    """

    def __init__(self, seeds: NDArray[np.int64], errors: NDArray[np.float64], seed: int) -> None:
        self._seeds, self._errors = seeds, errors
        sizes = sorted({int(n) for n in seeds if n > 1})
        self._generators = {(side, n): np.random.default_rng([seed, side, n]) for side in (0, 1) for n in sizes}
        self._draws: dict[tuple[int, int], NDArray[np.float64]] = {}

    def draw(self, n_draws: int) -> None:
        """Make the next draws."""
        self._draws = {(side, n): rng.standard_t(n - 1, n_draws) for (side, n), rng in self._generators.items()}

    def of(self, *models: int) -> NDArray[np.float64] | float:
        """Return the effects on the difference of two models, or on one; an array of the draws, or 0 without seeds.

        The two sides draw independently; that both effects are added is right, since each is as likely as its opposite.
        """
        drawn = (
            self._errors[model] * self._draws[side, int(self._seeds[model])]
            for side, model in enumerate(models)
            if self._seeds[model] > 1
        )
        return sum(drawn, start=0.0)


def is_exact(batch: Batch, flips: int) -> bool:
    """Whether all 2^U ways to flip signs are tried: they are not more than ``flips``, and no seeds are resampled."""
    return not batch.has_seeds and 2**batch.n_units <= flips


def flip_p_values(batch: Batch, flips: int, seed: int) -> list[PValues]:
    """Compute p values of paired randomization tests, one a comparison.

    Under the null hypothesis that there is no difference each unit's two scores may change places, which flips the sign
    of what the unit contributes to the difference of the figures. The p value is the share of flips whose difference
    is, in absolute value, at least the observed one; where flips are drawn at random the observed one counts as one of
    them: (1 + c) / (1 + flips), which keeps the level (Phipson and Smyth 2010, Permutation P-values Should Never Be
    Zero). Signs depend on U and ``seed`` only.

    The hypotheses about a margin are tested in the same way, one-sided, with the margin added to every query's
    difference, or taken from it. Two models are equivalent if both are rejected: two one-sided tests (Schuirmann 1987).

    Source: Smucker, Allan and Carterette 2007, A Comparison of Statistical Significance Tests for Information
    Retrieval Evaluation.
    """
    exact = is_exact(batch, flips)
    scores = np.vstack([batch.cells.contributions, batch.cells.shares])
    totals, sizes = scores.sum(axis=1), np.abs(scores).sum(axis=1)
    counts = np.zeros((3, len(batch.pairs)), dtype=np.int64)
    effects = SeedEffects(batch.seeds, batch.seed_errors, seed)
    for flipped in _flip_blocks(batch, flips, seed, exact):
        sums = totals[:, None] - 2 * (scores @ flipped.T)
        effects.draw(len(flipped))
        for number, (pair, margin) in enumerate(zip(batch.pairs, batch.margins, strict=True)):
            model, baseline = pair
            differences = sums[model] - sums[baseline] + batch.n_units * effects.of(*pair)
            total, rounding = totals[model] - totals[baseline], ROUNDING * (sizes[model] + sizes[baseline])
            counts[0, number] += np.count_nonzero(np.abs(differences) >= abs(total) - rounding)
            if margin is not None:
                shift = sums[-1] * margin.size  # of every query by the margin, with the signs of its unit
                above = differences + shift >= total + totals[-1] * margin.size - rounding
                below = differences - shift <= total - totals[-1] * margin.size + rounding
                counts[1:, number] += np.count_nonzero(above), np.count_nonzero(below)
    p_values = counts / 2**batch.n_units if exact else (1 + counts) / (1 + flips)
    found = []
    for (differ, above, below), margin in zip(p_values.T.tolist(), batch.margins, strict=True):
        inferior = (above, below) if margin is None or margin.higher_is_better else (below, above)
        found.append(PValues(differ) if margin is None else PValues(differ, *inferior))
    return found


def _flip_blocks(batch: Batch, flips: int, seed: int, exact: bool) -> Iterator[NDArray[np.float64]]:
    """Yield which units are flipped: 0 or 1, shape (n, U), all ways or ``flips`` random ones in the end."""
    n_flips = 2**batch.n_units if exact else flips
    step = max(1, BLOCK_ELEMENTS // max(batch.n_units, len(batch.seeds)))
    rng = np.random.default_rng(seed)
    n_words = -(-batch.n_units // 64)
    for first in range(0, n_flips, step):
        n_rows = min(step, n_flips - first)
        if exact:
            words = np.arange(first, first + n_rows, dtype="<u8")[:, None]
        else:
            words = rng.integers(2**64, size=(n_rows, n_words), dtype=np.uint64).astype("<u8", copy=False)
        bits = np.unpackbits(words.view(np.uint8), axis=1, count=batch.n_units, bitorder="little")
        yield bits.astype(np.float64)


def bootstrap_weights(n_units: int, resamples: int, seed: int, width: int = 1) -> Iterator[NDArray[np.float64]]:
    """Draw bootstrap samples; yield how often each unit is in each, shape (n, U), ``resamples`` rows in the end.

    Args:
        n_units: U.
        resamples: Number of samples.
        seed: Of the draws.
        width: Numbers that are computed from each sample, which limits n.
    """
    step = max(1, BLOCK_ELEMENTS // max(n_units, width))
    if n_units * resamples > _KEPT_ELEMENTS:
        yield from _draw_units(n_units, resamples, seed, step)
        return
    drawn = _kept_draws(n_units, resamples, seed)
    for first in range(0, resamples, step):
        yield drawn[first : first + step].astype(np.float64)


def _draw_units(n_units: int, resamples: int, seed: int, step: int) -> Iterator[NDArray[np.float64]]:
    """Draw samples in blocks of ``step``; the draws do not depend on it."""
    rng = np.random.default_rng(seed)
    for first in range(0, resamples, step):
        n_rows = min(step, resamples - first)
        cells = rng.integers(n_units, size=(n_rows, n_units)) + n_units * np.arange(n_rows)[:, None]
        yield np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape).astype(np.float64)


@lru_cache(maxsize=4)
def _kept_draws(n_units: int, resamples: int, seed: int) -> NDArray[np.unsignedinteger[Any]]:
    """Draw samples once: a table asks for the same ones in every cell and group."""
    step = max(1, BLOCK_ELEMENTS // n_units)
    kind = np.min_scalar_type(n_units)
    return np.concatenate([block.astype(kind) for block in _draw_units(n_units, resamples, seed, step)])


def bootstrap_intervals(batch: Batch, resamples: int, confidence: float, seed: int) -> NDArray[np.float64]:
    """Compute bootstrap intervals of the differences of figures, low and high, shape (P, 2)."""
    figures = drawn_figures(batch.cells, resamples, seed)
    effects = SeedEffects(batch.seeds, batch.seed_errors, seed)
    effects.draw(resamples)
    differences = (figures[model] - figures[baseline] + effects.of(model, baseline) for model, baseline in batch.pairs)
    return np.stack([interval(drawn, batch.n_units, confidence) for drawn in differences])


def drawn_figures(cells: CellMatrix, resamples: int, seed: int) -> NDArray[np.float64]:
    """Compute figures of samples of units, drawn with replacement, shape (N, resamples)."""
    width = len(cells.sums) * len(cells.weights)
    samples = bootstrap_weights(cells.n_units, resamples, seed, width)
    return np.concatenate([cells.drawn(draws) for draws in samples], axis=1)


def interval(drawn: NDArray[np.float64], n_units: int, confidence: float) -> NDArray[np.float64]:
    """Return the expanded percentile interval of what a bootstrap of U units drew, low and high, shape (2,).

    Percentiles of a bootstrap are too narrow with few units: samples vary by (U - 1) / U of the variance, and have the
    tails of a normal distribution, not of Student's t. The percentiles are those that make up for both; with many
    units they are the plain ones (Hesterberg 2015, What Teachers Should Know About the Bootstrap, section 5.3).
    """
    deviate = math.sqrt(n_units / (n_units - 1)) * stats.t.ppf((1 + confidence) / 2, n_units - 1)
    return percentiles(drawn, 2 * float(stats.norm.cdf(deviate)) - 1)


def percentiles(values: NDArray[np.float64], confidence: float) -> NDArray[np.float64]:
    """Return the two percentiles that hold the middle ``confidence`` of some values, shape (2,)."""
    return np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
