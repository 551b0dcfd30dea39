"""What a figure of a table is made of: sums and numbers of scores by unit, from which it is computed again.

The figure of a cell is the plain mean over its subsets of the means over their queries. A test flips whole units and a
bootstrap draws whole units, and both compute this very figure from what is left in each subset, so that a test is
always about what the table shows. Subsets of which every unit has the same number of queries weigh alike in any sample:
they are one stratum, with their number as weight. The 110 cross-lingual subsets of XQuAD-R are one, which makes the
sums of a sample one product of small matrices; nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from beir_hybrid.leaderboard.board.unit_scores import subsets_in
from beir_hybrid.leaderboard.inputs.settings import Unit

PLURALS = {"question": "questions", "article": "articles", "query": "queries"}
"""Unit -> what several are called."""

ROUNDING = 1e-12
"""Sums that differ by less than this share of what they are sums of are equal: more than a product can round."""


@dataclass(frozen=True)
class CellMatrix:
    """N columns of scores on the same queries, summed over the queries of each of U units in each of S strata.

    Attributes:
        sums: Sums of scores, shape (N, U, S); of a stratum of several subsets their mean over the subsets.
        counts: Numbers of queries in a subset of the stratum, shape (U, S).
        weights: Share of the subsets that are in each stratum, shape (S,); they sum up to 1.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, units: pd.Series, subsets: pd.Series, scores: NDArray[np.float64]) -> CellMatrix:
        """Sum the scores of n queries.

        Args:
            units: The unit of each query, n ids.
            subsets: The subset of each query, n names; a stratum counts for the subsets in it.
            scores: Shape (N, n).
        """
        unit, unit_names = pd.factorize(units, sort=True)
        subset, subset_names = pd.factorize(subsets, sort=True)
        n_units, n_subsets = len(unit_names), len(subset_names)
        together = np.array([len(subsets_in(name)) for name in subset_names])
        counts = np.bincount(unit * n_subsets + subset, minlength=n_units * n_subsets).reshape(n_units, n_subsets)
        strata, stratum = np.unique(counts, axis=1, return_inverse=True)
        stratum = stratum.ravel()
        sizes = np.bincount(stratum, weights=together)
        n_strata = len(sizes)
        place, weights = unit * n_strata + stratum[subset], together[subset]
        sums = np.stack([np.bincount(place, weights * column, n_units * n_strata) for column in scores])
        shaped = sums.reshape(len(scores), n_units, n_strata) / sizes
        return cls(shaped, strata.astype(np.float64), sizes / sizes.sum())

    @property
    def n_units(self) -> int:
        """U."""
        return len(self.counts)

    @cached_property
    def _scale(self) -> NDArray[np.float64]:
        """What a score of a stratum counts in the mean over units, shape (S,)."""
        return self.n_units * self.weights / self.counts.sum(axis=0)

    @cached_property
    def contributions(self) -> NDArray[np.float64]:
        """What each unit contributes to each figure, shape (N, U); the mean over the units is the figure."""
        return self.sums @ self._scale

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """What each unit would contribute if all scores were 1, shape (U,); their mean is 1."""
        return self.counts @ self._scale

    @cached_property
    def figures(self) -> NDArray[np.float64]:
        """The figures, shape (N,)."""
        return self.contributions.mean(axis=1)

    @cached_property
    def deviations(self) -> NDArray[np.float64]:
        """By how much each unit moves each figure, to first order, shape (N, U); they sum up to 0.

        A subset's mean is a ratio of two sums over units, of scores and of numbers of queries; this is its Taylor
        series (Cochran 1977, Sampling Techniques, section 2.11), summed over the subsets.
        """
        means = self.sums.sum(axis=1) / self.counts.sum(axis=0)
        return self.contributions - (self.counts[None] * (means * self._scale)[:, None]).sum(axis=2)

    def drawn(self, draws: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the figures of samples of units; a subset of which a sample has no query is left out of its mean.

        Args:
            draws: How often each unit is in each of n samples, shape (n, U).

        Returns:
            Shape (N, n).
        """
        counts = draws @ self.counts
        weights = np.where(counts > 0, self.weights, 0.0)
        scale = weights / (weights.sum(axis=1, keepdims=True) * np.maximum(counts, 1.0))
        sums = draws @ self.sums.transpose(1, 0, 2).reshape(self.n_units, -1)
        return np.einsum("nms,ns->mn", sums.reshape(len(draws), len(self.sums), -1), scale)


def less_rounding(differences: NDArray[np.float64], sizes: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return differences with 0 in the place of those that rounding can make; ``sizes`` are what they are small to."""
    return np.where(np.abs(differences) <= ROUNDING * np.abs(sizes), 0.0, differences)


def units_of(queries: pd.DataFrame, unit: Unit) -> tuple[Unit, pd.Series]:
    """Return the unit of each query, and what these units are.

    Where no two questions are known to share an article there is nothing by which questions hang together, and the
    unit ``article`` is the question.

    Args:
        queries: The columns ``question_id`` and ``cluster_id``, by ``subset`` and ``query_id``.
        unit: What is asked for.
    """
    if unit == "query":
        return unit, queries.index.get_level_values("query_id").to_series()
    if unit == "article" and has_articles(queries):
        return unit, _article_ids(queries)
    return "question", queries["question_id"]


def subsets_of(queries: pd.DataFrame) -> pd.Series:
    """Return the subset of each query."""
    return queries.index.get_level_values("subset").to_series()


def has_articles(queries: pd.DataFrame) -> bool:
    """Whether any two questions share an article."""
    return _article_ids(queries).nunique() < queries["question_id"].nunique()


def articles_of_questions(queries: pd.DataFrame) -> NDArray[np.int64]:
    """Return the number of the article of each question, in the order of ``CellMatrix.of``."""
    question, names = pd.factorize(queries["question_id"], sort=True)
    articles = np.zeros(len(names), dtype=np.int64)
    articles[question] = pd.factorize(_article_ids(queries))[0]
    return articles


def _article_ids(queries: pd.DataFrame) -> pd.Series:
    """Return the article of each query; a question of which it is not known is one by itself."""
    articles = queries["cluster_id"]
    if articles.notna().all():
        return articles
    alone = "\0" + queries["question_id"].astype(str)  # never the name of an article
    return articles.astype(object).where(articles.notna(), alone)


def design_effects(
    questions: CellMatrix, articles: NDArray[np.int64], pairs: Sequence[tuple[int, int]]
) -> list[float | None]:
    """Compute by how much a test that takes questions for independent would underestimate variances.

    The variance of the difference of two figures with whole articles as units, over that with questions as units
    (Kish 1965, Survey Sampling, section 8.2), each from first-order deviations.

    Args:
        questions: Scores by question.
        articles: Number of the article of each question, shape (U,).
        pairs: Columns of model and baseline.

    Returns:
        One a pair; None where the scores do not differ in any way that varies.
    """
    n_articles = int(articles.max()) + 1
    of_articles = np.zeros((len(questions.sums), n_articles))
    np.add.at(of_articles.T, articles, questions.deviations.T)
    effects: list[float | None] = []
    for model, baseline in pairs:
        clustered = _variance(of_articles[model] - of_articles[baseline])
        independent = _variance(questions.deviations[model] - questions.deviations[baseline])
        rounding = ROUNDING * np.linalg.norm(questions.contributions[[model, baseline]])
        varies = n_articles > 1 and independent > rounding**2
        effects.append(clustered / independent if varies else None)
    return effects


def _variance(deviations: NDArray[np.float64]) -> float:
    """Return the variance of a sum of n independent deviations, up to a factor that does not depend on n."""
    n = len(deviations)
    return float(n / (n - 1) * (deviations**2).sum()) if n > 1 else 0.0
