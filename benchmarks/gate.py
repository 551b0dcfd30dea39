"""How often does a gate pass a model that is worse by the margin, and how often one that is as good?

`python -m benchmarks.gate` simulates pairs of models whose true difference is known, over articles and over questions
that have nothing in common, and asks `beir-hybrid compare --no-worse-than 0.01` of each, in one setting: with several,
all have to be shown, which is wrong less often. The simulated scores are those of benchmarks/null_simulation.py. It
also draws articles and questions from published rank tables, whose differences are moved so that they are the margin:
these have the ties and the skewed differences of real models. `--out` writes the record that docs/ci.md shows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from beir_hybrid.files import write_json
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.unit_scores import unit_scores
from beir_hybrid.leaderboard.inputs.settings import Unit
from beir_hybrid.leaderboard.stats.cells import CellMatrix, design_effects, subsets_of, units_of
from beir_hybrid.leaderboard.stats.query_scores import QueryScores
from beir_hybrid.leaderboard.stats.resampling import Batch, Margin, drawn_figures, flip_p_values, interval
from beir_hybrid.leaderboard.stats.significance import linear_differences, skewed_t_test
from beir_hybrid.leaderboard.stats.verdicts import shows_noninferiority
from beir_hybrid.ranks import rank_table
from benchmarks.null_simulation import (
    ALPHA,
    CONFIDENCE,
    MARGIN,
    MLQA_R,
    XQUAD_R,
    Design,
    Scores,
    alike,
    batch_of,
    share,
    show,
    similar,
)

CHUNK = 100
"""Pairs that share their random signs and samples."""

FLIPS, RESAMPLES = 10_000, 4_000


@dataclass(frozen=True)
class Passed:
    """Which pairs pass, each of shape (pairs,).

    Attributes:
        gate: The gate.
        interval: Its interval alone.
        flips: Its randomization test alone.
        twice: Both, and its t test, at twice the level.
    """

    gate: NDArray[np.bool_]
    interval: NDArray[np.bool_]
    flips: NDArray[np.bool_]
    twice: NDArray[np.bool_]

    @classmethod
    def of(cls, batch: Batch, seed: int) -> Passed:
        """Ask the gate of each pair of a batch."""
        p = np.array([one.inferior for one in flip_p_values(batch, FLIPS, seed)])
        p_t = np.array([skewed_t_test(linear_differences(batch.cells, *pair) + MARGIN) for pair in batch.pairs])
        figures = drawn_figures(batch.cells, RESAMPLES, seed)
        drawn = [figures[model] - figures[baseline] for model, baseline in batch.pairs]
        narrow, wide = (
            np.array([interval(one, batch.n_units, confidence)[0] for one in drawn])
            for confidence in (2 * CONFIDENCE - 1, CONFIDENCE)
        )
        rule = np.vectorize(shows_noninferiority)
        twice = rule(narrow, p, p_t, MARGIN, 2 * ALPHA)
        return cls(rule(wide, p, p_t, MARGIN, ALPHA), wide > -MARGIN, p <= ALPHA / 2, twice)


TESTS = tuple(Passed.__dataclass_fields__)


def joined(parts: list[Passed]) -> dict[str, NDArray[np.bool_]]:
    """Put chunks together."""
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in TESTS}


@dataclass(frozen=True)
class MostlyEqual(Design):
    """Models that score the same for most questions, as two that differ little do.

    Attributes:
        equal: Share of the questions on which they are equal.
    """

    equal: float = 0.0

    def draw(self, rng: np.random.Generator) -> list[Scores]:
        """Draw the scores of model and baseline."""
        model, baseline = super().draw(rng)
        same = rng.random(len(self.article_of)) < self.equal
        return [np.where(same[:, None], baseline, model), baseline]

    def true_difference(self) -> float:
        """Return the expected difference."""
        return (1 - self.equal) * super().true_difference()


def designs() -> Iterator[tuple[str, Design]]:
    """Yield what is simulated: articles as those of XQuAD-R, fewer, and many; questions that are their own articles."""
    few = {n: tuple(np.resize(XQUAD_R[::5], n).tolist()) for n in (10, 20)}
    close = vars(similar())
    yield "article", replace(alike(), articles=XQUAD_R)
    for equal in (0.0, 0.8):
        for articles in (XQUAD_R, few[20], few[10], MLQA_R):
            yield "article", MostlyEqual(**{**close, "articles": articles, "equal": equal})
    for equal in (0.0, 0.5, 0.8, 0.95):
        for n in (1_190, 200, 48, 20) if equal in (0.0, 0.8) else (200, 48, 20):
            yield "question", MostlyEqual(**{**close, "articles": (1,) * n, "own_article": 0.0, "equal": equal})


def simulate(design: Design, n_pairs: int, seed: int, title: str) -> tuple[dict[str, NDArray[np.bool_]], float, float]:
    """Simulate pairs; return which pass, the mean design effect, and the standard error of the difference."""
    rng = np.random.default_rng(seed)
    parts, effects, differences = [], [], []
    for first in tqdm(range(0, n_pairs, CHUNK), desc=title, leave=False, disable=None):
        pairs = [design.draw(rng) for _ in range(min(CHUNK, n_pairs - first))]
        questions = batch_of(design, pairs, "question", MARGIN)
        batch = questions if max(design.articles) == 1 else batch_of(design, pairs, "article", MARGIN)
        parts.append(Passed.of(batch, first))
        effects += design_effects(questions.cells, design.article_of, batch.pairs)
        differences += [batch.cells.figures[model] - batch.cells.figures[baseline] for model, baseline in batch.pairs]
    return joined(parts), float(np.mean([effect or 1.0 for effect in effects])), float(np.std(differences))


def simulated_pairs(n_pairs: int) -> dict[str, Any]:
    """Simulate models that are worse by the margin, and models that are as good."""
    rows = []
    for unit, design in designs():
        n = n_pairs if len(design.articles) < 500 else n_pairs // 4
        equal = getattr(design, "equal", 0.0)
        title = f"{len(design.articles)} {unit}s"
        worse, effect, error = simulate(design.with_difference(-MARGIN), n, 11, f"{title}, worse")
        as_good, _, _ = simulate(replace(design, effects=(0.0, 0.0)), max(n // 4, 250), 12, f"{title}, equal")
        rows.append(
            {
                "unit": unit,
                "units": len(design.articles),
                "questions": sum(design.articles),
                "equal_scores": equal,
                "design_effect": effect,
                "standard_error": error,
                "pairs": n,
                "worse": {name: share(passed.tolist()) for name, passed in worse.items()},
                "as_good": {name: share(passed.tolist()) for name, passed in as_good.items()},
            }
        )
    return {"margin": MARGIN, "alpha": ALPHA, "rows": rows}


def models_of(folder: Path, column: Column) -> list[QueryScores]:
    """Read the scores of all published models on a task."""
    files = sorted(folder.rglob(f"{column.task}.parquet"))
    return [QueryScores.of(path.parent.name, [unit_scores(*rank_table.read(path), column)]) for path in files]


def drawn_from_tables(folder: Path, n_draws: int) -> dict[str, Any]:
    """Draw units from published ranks, where each model is made worse than each other one by exactly the margin."""
    rows = []
    for task in ("XQuADR", "MLQAR"):
        for setting in ("monolingual", "multilingual"):
            models = models_of(folder, Column.of(task, setting, "map", "", ""))
            queries = models[0].queries
            scores = np.concatenate([model.on(queries) for model in models])
            pairs = [
                (model, baseline)
                for model, baseline in permutations(range(len(models)), 2)
                if (np.abs(scores[model] - scores[baseline]) > MARGIN).mean() > 0.05  # else what differs is the move
            ]
            asked: tuple[tuple[Unit, int], ...] = (
                ("article", 48),
                ("article", 20),
                ("question", 200),
                ("question", 48),
            )
            for unit, n_units in asked:
                _, ids = units_of(queries, unit)
                cells = CellMatrix.of(
                    ids, subsets_of(queries), np.concatenate([scores[[one for one, _ in pairs]], scores])
                )
                rates = draw(cells, [other for _, other in pairs], n_units, n_draws, f"{task}, {n_units} {unit}s")
                rows.append(
                    {"task": task, "setting": setting, "unit": unit, "units": n_units, "pairs": len(pairs)} | rates
                )
    return {"margin": MARGIN, "draws": n_draws, "rows": rows}


def draw(cells: CellMatrix, baselines: list[int], n_units: int, n_draws: int, title: str) -> dict[str, Any]:
    """Draw units for all pairs at once: the first columns are the models, behind them stand the baselines."""
    n_pairs = len(baselines)
    places = [(number, n_pairs + baseline) for number, baseline in enumerate(baselines)]
    figures = cells.figures
    moves = np.array([figures[baseline] - figures[model] - MARGIN for model, baseline in places])
    sums = cells.sums.copy()
    sums[:n_pairs] += moves[:, None, None] * cells.counts
    rng = np.random.default_rng(13)
    parts = []
    for number in tqdm(range(n_draws), desc=title, leave=False, disable=None):
        units = rng.integers(cells.n_units, size=n_units)
        sample = CellMatrix(sums[:, units], cells.counts[units], cells.weights)
        if (sample.counts.sum(axis=0) == 0).any():
            continue  # a subset without a query
        seeds = np.ones(len(sums), dtype=np.int64)
        parts.append(Passed.of(Batch.of(sample, seeds, places, [Margin(MARGIN)] * n_pairs), number))
    return {"worse": {name: mean_share(np.stack([getattr(part, name) for part in parts])) for name in TESTS}}


def mean_share(passed: NDArray[np.bool_]) -> dict[str, float]:
    """Return the mean share over pairs with its 95 % interval over draws, shape (draws, pairs)."""
    of_draws = passed.mean(axis=1)
    error = 1.96 * of_draws.std(ddof=1) / np.sqrt(len(of_draws))
    return {
        "share": float(of_draws.mean()),
        "low": float(of_draws.mean() - error),
        "high": float(of_draws.mean() + error),
    }


def main() -> None:
    """Run the simulations and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=4_000, help="simulated pairs of models at the margin")
    parser.add_argument("--draws", type=int, default=150, help="draws of units from published ranks")
    parser.add_argument("--ranks", type=Path, default=Path("leaderboard/published/ranks"), help="folder of rank tables")
    parser.add_argument("--out", type=Path, help="JSON file to write the record to")
    arguments = parser.parse_args()
    figures = {"simulated": simulated_pairs(arguments.pairs)}
    show("simulated", {"rows": [flat(row) for row in figures["simulated"]["rows"]]})
    figures["drawn"] = drawn_from_tables(arguments.ranks, arguments.draws)
    show("drawn", {"rows": [flat(row) for row in figures["drawn"]["rows"]]})
    if arguments.out is not None:
        record = {
            "what": (
                "How often the gate passes models that are worse by the margin (worse), and models that are as good "
                "(as_good), beside its tests at twice its level; low and high are 95 % intervals of the shares."
            ),
            "command": f"python -m benchmarks.gate --out {arguments.out.as_posix()}",
            "figures": figures,
        }
        write_json(arguments.out, record)


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the shares of its tests as columns of their own."""
    nested = {key: value for key, value in row.items() if isinstance(value, dict)}
    plain = {key: value for key, value in row.items() if key not in nested}
    return plain | {f"{key} {name}": value for key, of_tests in nested.items() for name, value in of_tests.items()}


if __name__ == "__main__":
    main()
