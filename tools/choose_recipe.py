"""Chooses the recipe of the shipped heads on training data: ``python -m tools.choose_recipe``.

No evaluation data are looked at: `RULE` was written down before, and needs the training data only (recipe_folds.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import write_json
from beir_hybrid.finetune.recipe import make_recipe
from beir_hybrid.finetune.start import interpolated
from beir_hybrid.leaderboard.stats.significance import Comparison, compare_many
from beir_hybrid.leaderboard.stats.verdicts import is_equivalent
from beir_hybrid.models.base import find_base
from beir_hybrid.study.head_bench import HeadBench
from beir_hybrid.study.lab import texts_of_corpus
from beir_hybrid.training.parallel_pairs import texts_by_column
from tools import one_line_errors
from tools.recipe_folds import Fold, read_folds
from tools.train_heads import RECIPE, read_recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from beir_hybrid.leaderboard.board.unit_scores import ColumnScores

RULE = (
    "Each of the two sources of training data is left out in turn: heads are trained on the other and evaluated on "
    "it. A head may lose at most 0.005 monolingual mAP against the base, on each; of those that do not, the one with "
    "the best multilingual mAP, the mean of the two, is the best. By this, with seed 0: (1) the kind of pairs of "
    "sentences, the learning rate and the temperature are chosen with heads from the projection and hybrid batches, "
    "half of them monolingual; (2) with these, the start, the batching, the share of monolingual batches and whether "
    "there are hard negatives, all together. How far a head goes from its start is chosen each time. (3) With the "
    "start of the best, the best of each batching is trained with five seeds. Hybrid batches are shipped if they have "
    "the best mean or are equivalent to the batching that has it, on each source (two one-sided tests of multilingual "
    "mAP, margin 0.01, Holm-corrected; documents and entities are the units); else that batching is shipped. What is "
    "shipped is trained on both sources."
)

MOST_LOST = 0.005
MARGIN = 0.01
LEVEL = 0.05
SEEDS = (0, 1, 2, 3, 4)
DATA = tuple((kind, "atlas") for kind in ("ntrex-translation", "ntrex-next", "ntrex"))
STARTS = ("identity", "projection", "leace")
LEARNING_RATES = (1e-4, 3e-4)
TEMPERATURES = (0.05, 0.1)
INTERPOLATIONS = (0.25, 0.5, 1.0)
HYBRID: Mapping[str, Any] = {"batching": "hybrid", "alpha": 0.5}
BATCHES: tuple[Mapping[str, Any], ...] = (
    {"batching": "monolingual"},
    {"batching": "cross-lingual"},
    {"batching": "mixed"},
    {**HYBRID, "alpha": 0.25},
    HYBRID,
    {**HYBRID, "alpha": 0.75},
)
NEGATIVES = (None, 1)
"""Hard negatives that are mined for each row."""

COMMON = ("languages", "tune", "steps", "batch_size")
"""Settings that are not chosen here."""

Scores = Mapping[str, Mapping[str, float]]
"""Fold -> metric of `MultilingualRetrievalEvaluator` -> value."""


@dataclass(frozen=True)
class Trial:
    """A recipe, and what it gives on the folds.

    Attributes:
        settings: The settings of `beir_hybrid.finetune.recipe.Recipe` in which recipes differ.
        scores: Its figures.
    """

    settings: Mapping[str, Any]
    scores: Scores

    def lost(self, base: Scores) -> float:
        """Return the largest loss of monolingual mAP against the base, over the folds."""
        return max(base[fold]["monolingual_map"] - figures["monolingual_map"] for fold, figures in self.scores.items())

    @property
    def multilingual(self) -> float:
        """Multilingual mAP, the mean over the folds."""
        return fmean(figures["multilingual_map"] for figures in self.scores.values())


def best(base: Scores, trials: Iterable[Trial]) -> Trial:
    """Return the trial with the best multilingual mAP among those that keep monolingual mAP.

    Raises:
        BeirHybridError: None of them does.
    """
    kept = [trial for trial in trials if trial.lost(base) <= MOST_LOST]
    if not kept:
        raise BeirHybridError(f"every recipe loses more than {MOST_LOST:g} monolingual mAP; try smaller interpolations")
    return max(kept, key=lambda trial: trial.multilingual)


class Bench:
    """Tries recipes on the folds.

    Args:
        common: A recipe, of which the settings `COMMON` are taken.
        base: The base.
        quiet: Whether to show no progress.

    Attributes:
        base: Figures of the base as it is.
    """

    def __init__(self, common: Mapping[str, Any], base: str, quiet: bool) -> None:

        self._common = {name: common[name] for name in COMMON if name in common}
        self._quiet = quiet
        recipe = make_recipe(**self._common, data=DATA[0])
        self._folds = read_folds(recipe.languages or ())
        self._heads = HeadBench(find_base(base), recipe.max_length)
        self.base: dict[str, Mapping[str, float]] = {}
        for fold in self._folds:
            self._heads.embed(texts_by_column(fold.sources.values()), progress=not quiet)
            self._heads.embed(texts_of_corpus(fold.corpus), progress=not quiet)
            self._heads.reset()
            self.base[fold.name] = fold.evaluator(self._heads.model)

    def trials(self, settings: Mapping[str, Any]) -> list[Trial]:
        """Try a recipe with every interpolation between the start and the trained head."""
        scores: dict[float, dict[str, Mapping[str, float]]] = {weight: {} for weight in INTERPOLATIONS}
        for fold in self._folds:
            start, trained = self._train(fold, settings)
            for weight in INTERPOLATIONS:
                self._heads.set_matrix(interpolated(start, trained, weight))
                scores[weight][fold.name] = fold.evaluator(self._heads.model)
        trials = [Trial({**settings, "interpolation": weight}, of_folds) for weight, of_folds in scores.items()]
        if not self._quiet:
            said = max(trials, key=lambda trial: trial.multilingual)
            print(said.settings, f"{said.multilingual:.4f}, loses {said.lost(self.base):.4f}", file=sys.stderr)
        return trials

    def average_precisions(self, settings: Mapping[str, Any]) -> dict[str, ColumnScores]:
        """Train with some settings, and return the multilingual average precisions of each fold."""
        scores = {}
        for fold in self._folds:
            self._heads.set_matrix(interpolated(*self._train(fold, settings), settings["interpolation"]))
            scores[fold.name] = fold.average_precisions(self._heads.model)
        return scores

    def _train(self, fold: Fold, settings: Mapping[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the start and the trained matrix of a head."""
        recipe = make_recipe(**{**self._common, **settings, "interpolation": 1.0})
        parts = fold.parts(recipe.data)
        self._heads.train(parts, recipe)
        return self._heads.start_matrix(parts, recipe), self._heads.matrix()


def choose(bench: Bench) -> dict[str, Any]:
    """Choose a recipe by `RULE`; return the record of it."""
    first = [
        trial
        for data, rate, temperature in product(DATA, LEARNING_RATES, TEMPERATURES)
        for trial in bench.trials(
            {"data": data, "learning_rate": rate, "temperature": temperature, "start": "projection", **HYBRID}
        )
    ]
    shared = {name: best(bench.base, first).settings[name] for name in ("data", "learning_rate", "temperature")}
    second = [
        trial
        for start, batches, mined in product(STARTS, BATCHES, NEGATIVES)
        for trial in bench.trials({**shared, "start": start, **batches, "mine": mined})
    ]
    start = best(bench.base, second).settings["start"]
    candidates = {}
    for batching in dict.fromkeys(batches["batching"] for batches in BATCHES):
        same = {"start": start, "batching": batching}
        candidates[batching] = best(bench.base, (t for t in second if same.items() <= t.settings.items())).settings
    chosen, last = decide(
        {
            name: [bench.average_precisions({**recipe, "seed": seed}) for seed in SEEDS]
            for name, recipe in candidates.items()
        }
    )
    return {
        "rule": RULE,
        "base": bench.base,
        "settings": [asdict(trial) for trial in first],
        "batches": [asdict(trial) for trial in second],
        "candidates": candidates,
        "seeds": last,
        "chosen": candidates[chosen],
    }


def decide(scores: Mapping[str, Sequence[Mapping[str, ColumnScores]]]) -> tuple[str, dict[str, Any]]:
    """Choose a batching by what the heads of several seeds give.

    Args:
        scores: Batching -> by seed, fold -> average precisions.

    Returns:
        The batching, and the record of the choice: the means, and the comparisons of hybrid batches with the best.
    """
    means = {
        batching: {fold: fmean(seed[fold].average for seed in of_seeds) for fold in of_seeds[0]}
        for batching, of_seeds in scores.items()
    }
    leader = max(means, key=lambda batching: fmean(means[batching].values()))
    hybrid = HYBRID["batching"]
    comparisons: list[Comparison] = []
    if leader != hybrid:
        named = {
            f"{batching}, {fold}": [seed[fold] for seed in scores[batching]]
            for batching in (hybrid, leader)
            for fold in means[leader]
        }
        pairs = [(f"{hybrid}, {fold}", f"{leader}, {fold}") for fold in means[leader]]
        comparisons = compare_many(named, pairs, correction="holm", margin=MARGIN)
    equivalent = all(is_equivalent(comparison, LEVEL) for comparison in comparisons)
    record = {
        "multilingual_map": means,
        "best": leader,
        "hybrid_less_best": {
            fold: asdict(comparison) for fold, comparison in zip(means[leader], comparisons, strict=False)
        },
    }
    return hybrid if equivalent else leader, record


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description="Choose the recipe of the heads on training data.")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="all other settings, default: %(default)s")
    parser.add_argument("--base", default="offline", help="default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for all figures")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")
    options = parser.parse_args(arguments)
    record = choose(Bench(read_recipe(options.recipe), options.base, options.quiet))
    write_json(options.out, record, indent=1)
    print(", ".join(f"{name} {value}" for name, value in record["chosen"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
