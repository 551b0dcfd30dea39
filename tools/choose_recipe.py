"""Chooses settings of the shipped heads on training data: ``python -m tools.choose_recipe``.

No evaluation data are looked at: each source of training data is left out in turn, a head is trained on the others and
evaluated on the one left out, whose texts are of another kind. What a head gains there it may gain elsewhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import write_json
from tools.train_heads import RECIPE, HeadsRecipe, read_recipe

if TYPE_CHECKING:
    from beir_hybrid.finetune.recipe import Recipe
    from beir_hybrid.study.head_bench import HeadBench
    from beir_hybrid.training.evaluator import MultilingualRetrievalEvaluator
    from beir_hybrid.training.parallel_pairs import ParallelPairs

LEARNING_RATES = (1e-4, 3e-4)
TEMPERATURES = (0.05, 0.1, 0.2)
INTERPOLATIONS = (0.25, 0.5, 0.75, 1.0)
MOST_LOST = 0.005
"""Monolingual mAP that a head may lose against the base, on every source."""

QUESTIONS = 1000
"""Questions that a source is evaluated with, drawn at random, or all if there are fewer; the pool is always whole."""

Scores = Mapping[str, Mapping[str, float]]
"""Source left out -> metric of `MultilingualRetrievalEvaluator` -> value."""


@dataclass(frozen=True)
class Trial:
    """A setting, and what it gives on the sources left out.

    Attributes:
        learning_rate: Peak learning rate.
        temperature: Temperature of the loss.
        interpolation: Weight of the trained matrix; that of the identity is the rest.
        scores: What it gives.
    """

    learning_rate: float
    temperature: float
    interpolation: float
    scores: Scores

    def lost(self, base: Scores) -> float:
        """Return the largest loss of monolingual mAP against the base, over the sources."""
        lost = (
            base[source]["monolingual_map"] - of_source["monolingual_map"] for source, of_source in self.scores.items()
        )
        return max(lost)

    @property
    def multilingual(self) -> float:
        """Multilingual mAP, the mean over the sources."""
        return float(np.mean([figures["multilingual_map"] for figures in self.scores.values()]))


def choose(base: Scores, trials: Sequence[Trial]) -> Trial:
    """Return the trial with the best multilingual mAP among those that keep monolingual mAP.

    Raises:
        BeirHybridError: None of them does.
    """
    kept = [trial for trial in trials if trial.lost(base) <= MOST_LOST]
    if not kept:
        raise BeirHybridError(
            f"every setting loses more than {MOST_LOST:g} monolingual mAP; try smaller interpolations"
        )
    return max(kept, key=lambda trial: trial.multilingual)


def try_all(recipe: HeadsRecipe, base: str = "offline", quiet: bool = False) -> tuple[Scores, list[Trial]]:
    """Train and evaluate all settings with hybrid batches, each source left out in turn.

    Args:
        recipe: All other settings; at least two sources.
        base: The base.
        quiet: Whether to show no progress.

    Returns:
        The scores of the base as it is, and the trials.

    Raises:
        BeirHybridError: There is one source only, or a source cannot be read.
    """
    from beir_hybrid.finetune.recipe import make_recipe
    from beir_hybrid.models.base import find_base
    from beir_hybrid.quiet import silenced
    from beir_hybrid.study.head_bench import HeadBench
    from beir_hybrid.training.pairs import read_source
    from beir_hybrid.training.parallel_pairs import texts_by_column

    settings = make_recipe(**recipe.settings)
    if len(settings.data) < 2:
        raise BeirHybridError("settings can be chosen where there are two sources or more: one is left out in turn")
    bench = HeadBench(find_base(base), settings.max_length)
    sources = {name: read_source(name, settings.languages, progress=not quiet) for name in settings.data}
    bench.embed(texts_by_column(sources.values()), progress=not quiet)
    of_base: dict[str, Mapping[str, float]] = {}
    of_trials: dict[tuple[float, float, float], dict[str, Mapping[str, float]]] = {}
    with silenced("transformers"):
        for left_out, pairs in sources.items():
            evaluate = _evaluator(pairs)
            bench.reset()
            of_base[left_out] = evaluate(bench.model)
            others = [other for name, other in sources.items() if name != left_out]
            for tried in _trained(bench, others, settings):
                of_trials.setdefault(tried, {})[left_out] = evaluate(bench.model)
    return of_base, [Trial(*tried, scores) for tried, scores in sorted(of_trials.items())]


def _trained(
    bench: HeadBench, parts: Sequence[ParallelPairs], settings: Recipe
) -> Iterator[tuple[float, float, float]]:
    """Make the head that of each learning rate, temperature and interpolation in turn."""
    from beir_hybrid.finetune.start import interpolated

    for rate, temperature in product(LEARNING_RATES, TEMPERATURES):
        data = tuple(part.source for part in parts)
        bench.train(parts, replace(settings, learning_rate=rate, temperature=temperature, data=data))
        start, matrix = bench.start_matrix(parts, settings), bench.matrix()
        for interpolation in INTERPOLATIONS:
            bench.set_matrix(interpolated(start, matrix, interpolation))
            yield rate, temperature, interpolation


def _evaluator(pairs: ParallelPairs) -> MultilingualRetrievalEvaluator:
    """Return what evaluates on the rows of a source."""
    from beir_hybrid.study.held_out import held_out_corpus
    from beir_hybrid.training.evaluator import MultilingualRetrievalEvaluator

    corpus = held_out_corpus(pairs, np.ones(len(pairs.labels), dtype=np.bool_))
    return MultilingualRetrievalEvaluator(corpus, name="", max_questions=QUESTIONS, batch_size=1024, write_csv=False)


def _report(base: Scores, trials: Sequence[Trial], chosen: Trial) -> dict[str, Any]:
    return {
        "what": "Heads trained on all sources but one, evaluated on the one that was left out. A head is "
        "interpolation * trained matrix + (1 - interpolation) * identity.",
        "rule": "The best multilingual mAP, a mean over the sources, of those that lose at most "
        f"{MOST_LOST:g} monolingual mAP against the base on every source.",
        "base": base,
        "trials": [asdict(trial) for trial in trials],
        "chosen": _settings(chosen),
    }


def _settings(trial: Trial) -> dict[str, float]:
    return {name: value for name, value in asdict(trial).items() if name != "scores"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code; what the user can mend becomes one line and exit code 2."""
    parser = argparse.ArgumentParser(description="Choose settings of the heads on training data.")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="all other settings, default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for all figures")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")
    options = parser.parse_args(arguments)
    try:
        base, trials = try_all(read_recipe(options.recipe), quiet=options.quiet)
        chosen = choose(base, trials)
        write_json(options.out, _report(base, trials, chosen), indent=1)
    except BeirHybridError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(", ".join(f"{name} {value:g}" for name, value in _settings(chosen).items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
