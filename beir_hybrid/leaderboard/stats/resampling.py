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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK_ELEMENTS = 4_000_000
"""Elements of the largest matrix held at once: signs x units, or signs x models."""

ROUNDING = 1e-12
"""Sums that differ by less than this share of the sums of absolute scores are equal: more than a product can round."""


@dataclass(frozen=True)
class Batch:
    """The scores of M models on U units, and which of them are compared.

    Attributes:
        scores: Mean over the training seeds of each model, shape (M, U).
        seeds: Training seeds of each model, shape (M,).
        seed_errors: Standard error of each model's mean over units due to its seeds, shape (M,); 0 for one seed.
        pairs: Rows of model and baseline of P comparisons.
    """

    scores: NDArray[np.float64]
    seeds: NDArray[np.int64]
    seed_errors: NDArray[np.float64]
    pairs: Sequence[tuple[int, int]]

    @property
    def n_units(self) -> int:
        """U."""
        return self.scores.shape[1]

    @property
    def has_seeds(self) -> bool:
        """Whether any model has several training seeds."""
        return bool((self.seeds > 1).any())


def seed_error(scores: NDArray[np.float64]) -> float:
    """Estimate the standard error of the mean score that is due to the choice of n training seeds.

    Analysis of variance of crossed seeds and units: the variance of the seeds' means, less the part that comes from
    each seed's own ups and downs on the units, which drawing units shows already. What is left is divided by n.

    Args:
        scores: Shape (n, U).
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


def flip_p_values(batch: Batch, flips: int, seed: int) -> NDArray[np.float64]:
    """Compute p values of the two-sided paired randomization test, one a comparison, shape (P,).

    Under the null hypothesis each unit's two scores may change places, which flips the sign of their difference. The p
    value is the share of flips whose mean difference is, in absolute value, at least the observed one; where flips are
    drawn at random the observed one counts as one of them: (1 + c) / (1 + flips), which keeps the level (Phipson and
    Smyth 2010, Permutation P-values Should Never Be Zero). Signs depend on U and ``seed`` only.

    Source: Smucker, Allan and Carterette 2007, A Comparison of Statistical Significance Tests for Information
    Retrieval Evaluation.
    """
    exact = is_exact(batch, flips)
    totals, sizes = batch.scores.sum(axis=1), np.abs(batch.scores).sum(axis=1)
    least = [abs(totals[i] - totals[j]) - ROUNDING * (sizes[i] + sizes[j]) for i, j in batch.pairs]
    counts = np.zeros(len(batch.pairs), dtype=np.int64)
    effects = SeedEffects(batch.seeds, batch.seed_errors, seed)
    for flipped in _flip_blocks(batch, flips, seed, exact):
        sums = totals[:, None] - 2 * (batch.scores @ flipped.T)
        effects.draw(len(flipped))
        for number, pair in enumerate(batch.pairs):
            differences = sums[pair[0]] - sums[pair[1]] + batch.n_units * effects.of(*pair)
            counts[number] += np.count_nonzero(np.abs(differences) >= least[number])
    return counts / 2**batch.n_units if exact else (1 + counts) / (1 + flips)


def _flip_blocks(batch: Batch, flips: int, seed: int, exact: bool) -> Iterator[NDArray[np.float64]]:
    """Yield which units are flipped: 0 or 1, shape (n, U), all ways or ``flips`` random ones in the end."""
    n_flips = 2**batch.n_units if exact else flips
    step = max(1, BLOCK_ELEMENTS // max(batch.scores.shape))
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


def bootstrap_weights(n_units: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Draw bootstrap samples; yield how often each unit is in each, shape (n, U), ``resamples`` rows in the end."""
    rng = np.random.default_rng(seed)
    step = max(1, BLOCK_ELEMENTS // n_units)
    for first in range(0, resamples, step):
        n_rows = min(step, resamples - first)
        cells = rng.integers(n_units, size=(n_rows, n_units)) + n_units * np.arange(n_rows)[:, None]
        yield np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape).astype(np.float64)


def bootstrap_intervals(batch: Batch, resamples: int, confidence: float, seed: int) -> NDArray[np.float64]:
    """Compute percentile bootstrap intervals of the mean differences, low and high, shape (P, 2).

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    sums = [batch.scores @ weights.T for weights in bootstrap_weights(batch.n_units, resamples, seed)]
    means = np.concatenate(sums, axis=1) / batch.n_units
    effects = SeedEffects(batch.seeds, batch.seed_errors, seed)
    effects.draw(resamples)
    return np.stack([percentiles(means[i] - means[j] + effects.of(i, j), confidence) for i, j in batch.pairs])


def percentiles(values: NDArray[np.float64], confidence: float) -> NDArray[np.float64]:
    """Return the two percentiles that hold the middle ``confidence`` of some values, shape (2,)."""
    return np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
