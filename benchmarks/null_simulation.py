"""Do the tests keep their level, and do the intervals cover? Simulated models whose true difference is known.

`python -m benchmarks.null_simulation` simulates pairs of models on parallel questions in 11 languages, whose scores
agree strongly within a question. It prints how often tests over questions reject at 5 % where there is no difference,
what tests over queries as if they were independent would have given, how often bootstrap intervals hold the true
difference, and the same for recipes with several training seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binomtest
from tabulate import tabulate
from tqdm.auto import tqdm

from beir_hybrid.leaderboard.stats.resampling import bootstrap_weights, percentiles
from beir_hybrid.leaderboard.stats.significance import CONFIDENCE, Comparison, compare_many

ALPHA = 0.05
QUERY_FLIPS = 10_000
"""Flips of the tests over queries, eleven times as many units, which only show what not to do."""


@dataclass(frozen=True)
class Design:
    """How scores come about: the logistic function of a sum of normal effects, between 0 and 1 like average precision.

    Attributes:
        questions: Number of questions.
        languages: Languages in which each is asked.
        difficulty: Standard deviation between questions, the same for all models.
        own: Standard deviation between questions of a model's own strengths, the same in all languages.
        noise: Standard deviation between the languages of a question.
        effects: Mean of the sum, of model and baseline.
        seeds: Training seeds of model and baseline.
        between_seeds: Standard deviation between the seeds of a recipe.
        seed_noise: Standard deviation between questions of a seed's own strengths.
    """

    questions: int = 400
    languages: int = 11
    difficulty: float = 1.5
    own: float = 0.8
    noise: float = 0.5
    effects: tuple[float, float] = (0.0, 0.0)
    seeds: tuple[int, int] = (1, 1)
    between_seeds: float = 0.0
    seed_noise: float = 0.0

    def draw(self, rng: np.random.Generator) -> list[NDArray[np.float64]]:
        """Draw the scores of model and baseline, each of shape (seeds, questions, languages)."""
        difficulty = rng.normal(scale=self.difficulty, size=(self.questions, 1))
        return [self._scores(rng, difficulty, mean, n) for mean, n in zip(self.effects, self.seeds, strict=True)]

    def _scores(
        self, rng: np.random.Generator, difficulty: NDArray[np.float64], mean: float, n_seeds: int
    ) -> NDArray[np.float64]:
        # One checkpoint is no recipe: what it owes to its seed is its own. Its scores are distributed as the recipe's.
        between = self.between_seeds if n_seeds > 1 else 0.0
        own = np.sqrt(self.own**2 + self.between_seeds**2 - between**2)
        total = mean + difficulty + rng.normal(scale=own, size=(self.questions, 1))
        total = total + rng.normal(scale=between, size=(n_seeds, 1, 1))
        total = total + rng.normal(scale=self.seed_noise, size=(n_seeds, self.questions, 1))
        return expit(total + rng.normal(scale=self.noise, size=(n_seeds, self.questions, self.languages)))

    def true_difference(self) -> float:
        """Return the expected difference, by Gauss-Hermite quadrature."""
        parts = (self.difficulty, self.own, self.noise, self.between_seeds, self.seed_noise)
        points, weights = np.polynomial.hermite_e.hermegauss(80)
        model, baseline = (
            (weights * expit(mean + points * np.linalg.norm(parts))).sum() / weights.sum() for mean in self.effects
        )
        return float(model - baseline)


def simulate(design: Design, n_pairs: int, seed: int) -> list[list[NDArray[np.float64]]]:
    """Draw pairs of models; scores of model and baseline each of shape (seeds, questions, languages)."""
    rng = np.random.default_rng(seed)
    return [design.draw(rng) for _ in tqdm(range(n_pairs), desc="Simulating", leave=False, disable=None)]


def compare_all(
    pairs: Sequence[Sequence[NDArray[np.float64]]], flips: int, resamples: int, chunk: int = 200
) -> list[Comparison]:
    """Compare each pair; scores are of shape (seeds, units), and units of one pair are those of the next."""
    units = [f"unit {number:06}" for number in range(pairs[0][0].shape[1])]
    found: list[Comparison] = []
    for first in tqdm(range(0, len(pairs), chunk), desc="Testing", leave=False, disable=None):
        scores = {
            f"{number} {side}": [pd.Series(row, index=units) for row in of_side]
            for number, pair in enumerate(pairs[first : first + chunk])
            for side, of_side in enumerate(pair)
        }
        names = [(f"{number} 0", f"{number} 1") for number in range(len(scores) // 2)]
        found += compare_many(scores, names, flips=flips, resamples=resamples, seed=first)
    return found


def by_question(pairs: Sequence[Sequence[NDArray[np.float64]]]) -> list[list[NDArray[np.float64]]]:
    """Average the scores of each question over its languages."""
    return [[scores.mean(axis=2) for scores in pair] for pair in pairs]


def by_query(pairs: Sequence[Sequence[NDArray[np.float64]]]) -> list[list[NDArray[np.float64]]]:
    """Take each query for a unit of its own."""
    return [[scores.reshape(len(scores), -1) for scores in pair] for pair in pairs]


def share(events: Sequence[bool]) -> str:
    """Write a share in per cent with its 95 % interval (Clopper and Pearson)."""
    result = binomtest(sum(events), len(events))
    interval = result.proportion_ci()
    return f"{100 * result.statistic:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def correlation_within_questions(pairs: Sequence[Sequence[NDArray[np.float64]]]) -> float:
    """Return the mean correlation of the differences of a question's languages (one-way analysis of variance)."""
    values = []
    for model, baseline in pairs:
        differences = (model - baseline)[0]
        n_languages = differences.shape[1]
        between = n_languages * differences.mean(axis=1).var(ddof=1)
        within = differences.var(axis=1, ddof=1).mean()
        values.append((between - within) / (between + (n_languages - 1) * within))
    return float(np.mean(values))


def print_levels(n_pairs: int, flips: int) -> None:
    """Simulate pairs without a difference, and print how often each test rejects."""
    design = Design()
    pairs = simulate(design, n_pairs, seed=1)
    questions = compare_all(by_question(pairs), flips, resamples=100)
    queries = compare_all(by_query(pairs), QUERY_FLIPS, resamples=100)
    rows = [
        (
            name,
            *(share([getattr(one, p) <= ALPHA for one in tests]) for p in ("p", "p_t", "p_wilcoxon")),
        )
        for name, tests in (("questions", questions), ("queries, as if independent", queries))
    ]
    print(
        f"No difference: {n_pairs:,} pairs, {design.questions} questions x {design.languages} languages, correlation "
        f"of differences within a question {correlation_within_questions(pairs):.2f}; rejected at 5 %"
    )
    print(tabulate(rows, ["unit", "randomization", "t", "Wilcoxon"], tablefmt="github"), end="\n\n")


def print_coverage(n_pairs: int, resamples: int) -> None:
    """Simulate pairs with several true differences, and print how often the intervals hold them."""
    rows = []
    for questions in (100, 400, 1190):
        for effect in (0.0, 0.2, 1.0):
            design = Design(questions=questions, effects=(effect, 0.0))
            truth = design.true_difference()
            tests = compare_all(by_question(simulate(design, n_pairs, seed=2)), flips=100, resamples=resamples)
            rows.append((questions, f"{truth:.3f}", share([one.low <= truth <= one.high for one in tests])))
    print(f"Coverage of 95 % bootstrap intervals, {n_pairs:,} pairs each, {resamples:,} resamples")
    print(tabulate(rows, ["questions", "true difference", "covered"], tablefmt="github"), end="\n\n")


def multi_bootstrap_rejects(pair: Sequence[NDArray[np.float64]], weights: NDArray, rng: np.random.Generator) -> bool:
    """Whether 0 is outside the interval of a bootstrap of questions and seeds (Multi-Bootstrap, arXiv 2106.16163)."""
    means = []
    for scores in pair:  # (seeds, questions)
        of_seeds = weights @ scores.T / scores.shape[1]
        drawn = rng.integers(len(scores), size=of_seeds.shape)
        means.append(np.take_along_axis(of_seeds, drawn, axis=1).mean(axis=1))
    low, high = percentiles(means[0] - means[1], CONFIDENCE)
    return not low <= 0 <= high


def print_seed_levels(n_pairs: int, flips: int) -> None:
    """Simulate recipes with several seeds and no difference, and print how often each way to test them rejects."""
    rows = []
    rng = np.random.default_rng(3)
    weights = np.concatenate(list(bootstrap_weights(Design.questions, 2_000, seed=3)))
    for seeds in ((3, 3), (5, 5), (3, 1), (5, 1)):
        for between in (0.0, 0.05, 0.2):
            for own, seed_noise in ((0.8, 0.3), (0.2, 0.8)):
                design = replace(Design(), seeds=seeds, between_seeds=between, own=own, seed_noise=seed_noise)
                pairs = by_question(simulate(design, n_pairs, seed=4))
                tests = compare_all(pairs, flips, resamples=1_000)
                fixed = compare_all([[scores.mean(axis=0)[None] for scores in pair] for pair in pairs], flips, 100)
                rows.append(
                    (
                        f"{seeds[0]} and {seeds[1]}",
                        between,
                        own,
                        seed_noise,
                        share([one.p <= ALPHA for one in tests]),
                        share([one.low <= 0 <= one.high for one in tests]),
                        share([one.p <= ALPHA for one in fixed]),
                        share([multi_bootstrap_rejects(pair, weights, rng) for pair in pairs]),
                    )
                )
    headers = [
        "seeds",
        "between seeds",
        "recipe x question",
        "seed x question",
        "`compare` rejects",
        "its interval covers",
        "seeds taken as given",
        "Multi-Bootstrap",
    ]
    print(
        f"Several training seeds, no difference: {n_pairs:,} pairs each, {Design.questions} questions, standard "
        "deviations of the effects; rejected at 5 %, and covered by 95 % intervals"
    )
    print(tabulate(rows, headers, tablefmt="github"))


def main() -> None:
    """Run the simulations and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2_000, help="simulated pairs of models")
    parser.add_argument("--flips", type=int, default=100_000, help="sign flips of the tests over questions")
    parser.add_argument("--resamples", type=int, default=10_000, help="bootstrap resamples where coverage is measured")
    parser.add_argument("--seed-flips", type=int, default=10_000, help="sign flips where there are training seeds")
    arguments = parser.parse_args()
    print_levels(arguments.pairs, arguments.flips)
    print_coverage(arguments.pairs, arguments.resamples)
    print_seed_levels(arguments.pairs, arguments.seed_flips)


if __name__ == "__main__":
    main()
