"""Do the tests keep their level, and do the intervals cover? Simulated models whose true difference is known.

`python -m benchmarks.null_simulation` simulates pairs of models on the questions of 48 articles, as many a article as
XQuAD-R has, in 11 languages. The scores of the languages of a question agree strongly, and what one model is better at
hangs together within an article: the design effect is that of real tables. It prints how often tests that flip
articles, questions or queries reject at 5 % where there is no difference, and how often intervals hold the true
difference; the same for fewer and for more articles, for tests of equivalence and of non-inferiority at their margin,
and for recipes with several training seeds. `--out` writes the record that docs/significance.md shows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit
from tabulate import tabulate
from tqdm.auto import tqdm

from beir_hybrid.files import write_json
from beir_hybrid.leaderboard.stats.cells import CellMatrix, design_effects
from beir_hybrid.leaderboard.stats.resampling import (
    Batch,
    Margin,
    PValues,
    SeedEffects,
    bootstrap_weights,
    drawn_figures,
    flip_p_values,
    interval,
    percentiles,
)

ALPHA = 0.05
CONFIDENCE = 0.95
MARGIN = 0.01
CHUNK = 200
"""Pairs that share their random signs and samples."""

XQUAD_R = (
    *(8, 16, 17, 18, 19, 19, 20, 21, 21, 21, 21, 21, 22, 22, 23, 23, 23, 23, 23, 23, 23, 24, 24, 24, 24, 24, 24, 24),
    *(24, 24, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 26, 30, 32, 35, 36, 39, 74),
)
"""Questions of each article of XQuAD-R."""

MLQA_R = (*[1] * 200, *[2] * 160, *[3] * 80, *[4] * 40, *[5] * 40)
"""Questions of as many articles as MLQA-R has, about as many in all."""

Scores = NDArray[np.float64]
"""Scores of one model on n questions in all languages, shape (seeds, n, languages)."""


@dataclass(frozen=True)
class Design:
    """How scores come about: the logistic function of a sum of normal effects, between 0 and 1 like average precision.

    Attributes:
        articles: Number of questions of each article.
        languages: Languages in which each question is asked.
        difficulty: Standard deviation between questions, the same for all models.
        own_article: Standard deviation between articles of a model's own strengths.
        own: Standard deviation between questions of a model's own strengths, the same in all languages.
        noise: Standard deviation between the languages of a question.
        effects: Mean of the sum, of model and baseline.
        seeds: Training seeds of model and baseline.
        between_seeds: Standard deviation between the seeds of a recipe.
        seed_noise: Standard deviation between questions of a seed's own strengths.
    """

    articles: tuple[int, ...] = XQUAD_R
    languages: int = 11
    difficulty: float = 1.5
    own_article: float = 0.23
    own: float = 0.8
    noise: float = 0.5
    effects: tuple[float, float] = (0.0, 0.0)
    seeds: tuple[int, int] = (1, 1)
    between_seeds: float = 0.0
    seed_noise: float = 0.0

    @property
    def article_of(self) -> NDArray[np.int64]:
        """Number of the article of each question."""
        return np.repeat(np.arange(len(self.articles)), self.articles)

    def draw(self, rng: np.random.Generator) -> list[Scores]:
        """Draw the scores of model and baseline."""
        difficulty = rng.normal(scale=self.difficulty, size=(len(self.article_of), 1))
        return [self._scores(rng, difficulty, mean, n) for mean, n in zip(self.effects, self.seeds, strict=True)]

    def _scores(self, rng: np.random.Generator, difficulty: NDArray[np.float64], mean: float, n_seeds: int) -> Scores:
        n_questions = len(difficulty)
        # One checkpoint is no recipe: what it owes to its seed is its own. Its scores are distributed as the recipe's.
        between = self.between_seeds if n_seeds > 1 else 0.0
        own = np.sqrt(self.own**2 + self.between_seeds**2 - between**2)
        total = mean + difficulty + rng.normal(scale=own, size=(n_questions, 1))
        total = total + rng.normal(scale=self.own_article, size=(len(self.articles), 1))[self.article_of]
        total = total + rng.normal(scale=between, size=(n_seeds, 1, 1))
        total = total + rng.normal(scale=self.seed_noise, size=(n_seeds, n_questions, 1))
        return expit(total + rng.normal(scale=self.noise, size=(n_seeds, n_questions, self.languages)))

    def true_difference(self) -> float:
        """Return the expected difference, by Gauss-Hermite quadrature."""
        parts = (self.difficulty, self.own_article, self.own, self.noise, self.between_seeds, self.seed_noise)
        points, weights = np.polynomial.hermite_e.hermegauss(80)
        model, baseline = (
            (weights * expit(mean + points * np.linalg.norm(parts))).sum() / weights.sum() for mean in self.effects
        )
        return float(model - baseline)

    def with_difference(self, difference: float) -> Design:
        """Return the design with the effect that makes the true difference this one."""

        def excess(effect: float) -> float:
            return replace(self, effects=(effect, 0.0)).true_difference() - difference

        return replace(self, effects=(brentq(excess, -3.0, 3.0), 0.0))


@dataclass(frozen=True)
class Outcome:
    """What the tests say of one simulated pair.

    Attributes:
        p: P values of the randomization tests.
        p_t: Of the paired t test.
        p_wilcoxon: Of the Wilcoxon signed-rank test.
        interval: The expanded percentile interval, which ``compare`` gives.
        plain: The percentile interval.
        design_effect: Of the pair.
    """

    p: PValues
    p_t: float
    p_wilcoxon: float
    interval: NDArray[np.float64]
    plain: NDArray[np.float64]
    design_effect: float


def simulated(design: Design, n_pairs: int, seed: int, title: str) -> Iterator[tuple[int, list[list[Scores]]]]:
    """Yield numbers and pairs of models, chunk by chunk."""
    rng = np.random.default_rng(seed)
    for first in tqdm(range(0, n_pairs, CHUNK), desc=title, leave=False, disable=None):
        yield first, [design.draw(rng) for _ in range(min(CHUNK, n_pairs - first))]


def batch_of(design: Design, pairs: Sequence[Sequence[Scores]], unit: str, margin: float | None = None) -> Batch:
    """Sum the scores of a chunk of pairs by unit, as ``compare_many`` does."""
    n_questions = len(design.article_of)
    question = np.repeat(np.arange(n_questions), design.languages)
    language = np.tile(np.arange(design.languages).astype(str), n_questions)
    units = {
        "article": np.repeat(design.article_of, design.languages),
        "question": question,
        "query": np.arange(n_questions * design.languages),
    }
    scores = np.concatenate([side.reshape(len(side), -1) for pair in pairs for side in pair])
    seeds = np.array([len(side) for pair in pairs for side in pair])
    places = [(2 * number, 2 * number + 1) for number in range(len(pairs))]
    margins = [None if margin is None else Margin(margin)] * len(pairs)
    return Batch.of(CellMatrix.of(pd.Series(units[unit]), pd.Series(language), scores), seeds, places, margins)


def outcomes(batch: Batch, flips: int, resamples: int, seed: int, effects: Sequence[float | None]) -> Iterator[Outcome]:
    """Test each pair of a chunk."""
    p_values = flip_p_values(batch, flips, seed)
    figures = drawn_figures(batch.cells, resamples, seed)
    of_seeds = SeedEffects(batch.seeds, batch.seed_errors, seed)
    of_seeds.draw(resamples)
    for number, (model, baseline) in enumerate(batch.pairs):
        drawn = figures[model] - figures[baseline] + of_seeds.of(model, baseline)
        differences = batch.cells.contributions[model] - batch.cells.contributions[baseline]
        yield Outcome(
            p_values[number],
            float(stats.ttest_1samp(differences, 0.0).pvalue),
            float(stats.wilcoxon(differences).pvalue),
            interval(drawn, batch.n_units, CONFIDENCE),
            percentiles(drawn, CONFIDENCE),
            effects[number] or np.nan,
        )


def run(
    design: Design,
    n_pairs: int,
    seed: int,
    title: str,
    unit: str = "article",
    flips: int = 10_000,
    resamples: int = 10_000,
    margin: float | None = None,
) -> list[Outcome]:
    """Simulate pairs and test each."""
    found: list[Outcome] = []
    for first, pairs in simulated(design, n_pairs, seed, title):
        batch = batch_of(design, pairs, unit, margin)
        questions = batch if unit == "question" else batch_of(design, pairs, "question")
        effects = design_effects(questions.cells, design.article_of, batch.pairs)
        found += outcomes(batch, flips, resamples, first, effects)
    return found


def share(events: Sequence[bool]) -> dict[str, float]:
    """Return a share with its 95 % interval (Clopper and Pearson)."""
    result = stats.binomtest(int(np.sum(events)), len(events))
    bounds = result.proportion_ci()
    return {"share": float(result.statistic), "low": float(bounds.low), "high": float(bounds.high)}


def rejected(p_values: Sequence[float]) -> dict[str, float]:
    """Return how often p values are significant."""
    return share([p <= ALPHA for p in p_values])


def covered(intervals: Sequence[NDArray[np.float64]], truth: float) -> dict[str, float]:
    """Return how often intervals hold the truth."""
    return share([low <= truth <= high for low, high in intervals])


def levels(n_pairs: int) -> dict[str, Any]:
    """Simulate pairs without a difference, and test them over articles, questions and queries."""
    design = Design()
    # Thirteen thousand queries take long, and show what not to do.
    settings: dict[str, dict[str, int]] = {
        "article": {"n_pairs": n_pairs},
        "question": {"n_pairs": n_pairs, "resamples": 2_000},
        "query": {"n_pairs": min(n_pairs, 1_000), "flips": 2_000, "resamples": 1_000},
    }
    rows = []
    for unit, options in settings.items():
        found = run(design, seed=1, title=f"Levels, {unit}", unit=unit, **options)
        rows.append(
            {
                "unit": unit,
                "pairs": len(found),
                "tests": {
                    "randomization": rejected([one.p.differ for one in found]),
                    "t": rejected([one.p_t for one in found]),
                    "wilcoxon": rejected([one.p_wilcoxon for one in found]),
                },
                "covered": covered([one.interval for one in found], 0.0),
            }
        )
        if unit == "article":
            effects = [one.design_effect for one in found]
    return {
        "articles": len(design.articles),
        "questions": sum(design.articles),
        "languages": design.languages,
        "design_effect": {"mean": float(np.mean(effects)), "median": float(np.median(effects))},
        "rows": rows,
    }


def by_number_of_articles(n_pairs: int) -> dict[str, Any]:
    """Test over articles, of which there are few, as many as in XQuAD-R, or many."""
    rows = []
    sizes = {n: tuple(np.resize(XQUAD_R[::5], n).tolist()) for n in (5, 10, 20, 30)}
    for articles in (*sizes.values(), XQUAD_R, MLQA_R):
        for effect in (0.0, 0.2) if len(articles) >= len(XQUAD_R) else (0.0,):
            design = replace(alike(), articles=articles, effects=(effect, 0.0))
            truth = design.true_difference()
            found = run(design, n_pairs, 2, f"{len(articles)} articles")
            rows.append(
                {
                    "articles": len(articles),
                    "questions": sum(articles),
                    "true_difference": f"{truth:.3f}" if truth else "0",
                    "design_effect": float(np.nanmean([one.design_effect for one in found])),
                    "rejected": rejected([one.p.differ for one in found]),
                    "covered": covered([one.interval for one in found], truth),
                    "covered_by_percentiles": covered([one.plain for one in found], truth),
                }
            )
    return {"pairs": n_pairs, "rows": rows}


def alike() -> Design:
    """Return a design with one score a question, as if averaged over its languages."""
    return replace(Design(), languages=1, noise=Design.noise / np.sqrt(Design.languages))


def similar() -> Design:
    """Return a design of two models that are much alike: the standard error of the difference is about 0.003."""
    base = alike()
    return replace(base, own=0.3 * base.own, own_article=0.3 * base.own_article, noise=0.3 * base.noise)


def equivalence(n_pairs: int) -> dict[str, Any]:
    """Test for equivalence and non-inferiority: at the margin, where both hypotheses are just true, and within it."""
    rows = []
    for articles in (tuple(np.resize(XQUAD_R[::5], 20).tolist()), XQUAD_R):
        for difference in (-MARGIN, MARGIN, MARGIN / 2, 0.0):
            design = replace(similar(), articles=articles).with_difference(difference)
            found = run(design, n_pairs, 5, f"Equivalence, {len(articles)} articles", margin=MARGIN)
            errors = np.std([np.mean(one.plain) for one in found])
            rows.append(
                {
                    "articles": len(articles),
                    "true_difference": difference,
                    "standard_error": float(errors),
                    "equivalent": rejected([max(one.p.inferior or 0, one.p.baseline_inferior or 0) for one in found]),
                    "not_worse": rejected([one.p.inferior or 0 for one in found]),
                    "different": rejected([one.p.differ for one in found]),
                }
            )
    return {"pairs": n_pairs, "margin": MARGIN, "rows": rows}


def multi_bootstrap_rejects(
    sums: Sequence[NDArray], weights: NDArray, sizes: NDArray, rng: np.random.Generator
) -> bool:
    """Whether 0 is outside the interval of a bootstrap of articles and seeds (Multi-Bootstrap, arXiv 2106.16163)."""
    means = []
    for of_side in sums:  # (seeds, articles)
        of_seeds = weights @ of_side.T / (weights @ sizes)[:, None]
        drawn = rng.integers(len(of_side), size=of_seeds.shape)
        means.append(np.take_along_axis(of_seeds, drawn, axis=1).mean(axis=1))
    low, high = percentiles(means[0] - means[1], CONFIDENCE)
    return not low <= 0 <= high


def training_seeds(n_pairs: int) -> dict[str, Any]:
    """Simulate recipes with several seeds and no difference, and see how often each way to test them rejects."""
    rows = []
    rng = np.random.default_rng(3)
    sizes = np.array(XQUAD_R, dtype=np.float64)
    weights = np.concatenate(list(bootstrap_weights(len(sizes), 1_000, seed=3)))
    for seeds in ((3, 3), (5, 5), (3, 1), (5, 1)):
        for between in (0.0, 0.05, 0.2):
            for own, seed_noise in ((0.8, 0.3), (0.2, 0.8)):
                design = replace(alike(), seeds=seeds, between_seeds=between, own=own, seed_noise=seed_noise)
                found: list[Outcome] = []
                given: list[float] = []
                multi: list[bool] = []
                for first, pairs in simulated(design, n_pairs, 4, f"{seeds[0]} and {seeds[1]} seeds"):
                    batch = batch_of(design, pairs, "article")
                    found += outcomes(batch, 2_000, 2_000, first, [None] * len(pairs))
                    fixed = batch_of(design, [[side.mean(axis=0)[None] for side in pair] for pair in pairs], "article")
                    given += [p.differ for p in flip_p_values(fixed, 2_000, first)]
                    for pair in pairs:
                        sums = [np.add.reduceat(side[:, :, 0], np.cumsum([0, *XQUAD_R[:-1]]), axis=1) for side in pair]
                        multi.append(multi_bootstrap_rejects(sums, weights, sizes, rng))
                rows.append(
                    {
                        "seeds": list(seeds),
                        "between_seeds": between,
                        "recipe_x_question": own,
                        "seed_x_question": seed_noise,
                        "compare": rejected([one.p.differ for one in found]),
                        "covered": covered([one.interval for one in found], 0.0),
                        "seeds_as_given": rejected(given),
                        "multi_bootstrap": share(multi),
                    }
                )
    return {"pairs": n_pairs, "rows": rows}


def show(title: str, figures: dict[str, Any]) -> None:
    """Print the rows of a part of the record."""

    def text(value: Any) -> Any:
        if isinstance(value, dict) and "share" in value:
            return f"{100 * value['share']:.1f} % ({100 * value['low']:.1f} to {100 * value['high']:.1f})"
        return value

    rows = [{**row, **row.get("tests", {})} for row in figures["rows"]]
    shown = [{key: text(value) for key, value in row.items() if key != "tests"} for row in rows]
    facts = ", ".join(f"{key} {value}" for key, value in figures.items() if key != "rows")
    print(f"{title}: {facts}")
    print(tabulate(shown, headers="keys", tablefmt="github", disable_numparse=True), end="\n\n", flush=True)


def main() -> None:
    """Run the simulations and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=4_000, help="simulated pairs of models of the first table")
    parser.add_argument("--more-pairs", type=int, default=2_000, help="the same, by number of articles and at margins")
    parser.add_argument("--seed-pairs", type=int, default=1_000, help="the same, of recipes with several seeds")
    parser.add_argument("--out", type=Path, help="JSON file to write the record to")
    arguments = parser.parse_args()
    parts = {
        "levels": lambda: levels(arguments.pairs),
        "articles": lambda: by_number_of_articles(arguments.more_pairs),
        "equivalence": lambda: equivalence(arguments.more_pairs),
        "training_seeds": lambda: training_seeds(arguments.seed_pairs),
    }
    figures: dict[str, Any] = {}
    for name, part in parts.items():
        figures[name] = part()
        show(name, figures[name])
    if arguments.out is not None:
        record = {
            "what": (
                "How often tests reject where simulated models do not differ, or differ by the margin, and how often "
                "intervals hold the true difference; low and high are 95 % intervals of the shares (Clopper and "
                "Pearson)."
            ),
            "command": f"python -m benchmarks.null_simulation --out {arguments.out.as_posix()}",
            "figures": figures,
        }
        write_json(arguments.out, record)


if __name__ == "__main__":
    main()
