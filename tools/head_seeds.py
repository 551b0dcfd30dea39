"""Trains `ours` with several seeds and evaluates them: ``python -m tools.head_seeds --out FILE``.

The first seed ships; what the others give says how much of its figures is luck. No model is kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

from beir_hybrid.corpora import load
from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.files import write_json
from beir_hybrid.models import heads
from beir_hybrid.models.base import find_base
from beir_hybrid.quiet import silenced
from beir_hybrid.study.head_bench import HeadBench
from beir_hybrid.study.lab import texts_of_corpus
from beir_hybrid.study.trials import ModelName, evaluate_stored
from beir_hybrid.training.pairs import read_source
from beir_hybrid.training.parallel_pairs import texts_by_column
from tools import one_line_errors
from tools.train_heads import EVALUATIONS, RECIPE, read_recipe, recipes

SEEDS = (0, 1, 2, 3, 4)


def figures_of_seeds(base: str = "offline", quiet: bool = False) -> dict[str, list[float]]:
    """Return key of a column of the leaderboard -> its figure with each seed.

    Raises:
        BeirHybridError: The recipe, the base or the data cannot be used.
    """
    recipe = recipes(read_recipe(RECIPE))[heads.OURS]
    parts = [read_source(source, recipe.languages, progress=not quiet) for source in recipe.data]
    bench = HeadBench(find_base(base), recipe.max_length)
    bench.embed(texts_by_column(parts), progress=not quiet)
    corpora = {task: load(spec_of_task(task).name, progress=not quiet) for task in EVALUATIONS}
    for corpus in corpora.values():
        bench.embed(texts_of_corpus(corpus), progress=not quiet)
    figures: dict[str, list[float]] = {}
    with silenced("transformers"), tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            bench.train(parts, replace(recipe, seed=seed))
            for task, corpus in corpora.items():
                name = ModelName(heads.OURS, str(seed))
                for key, value in evaluate_stored(bench.model, name, task, corpus, Path(folder)).items():
                    figures.setdefault(key, []).append(value)
    return figures


def report(figures: Mapping[str, Sequence[float]]) -> dict[str, object]:
    """Return the record: the mean, the standard deviation and the seeds of each figure."""
    return {
        "what": "The recipe of ours with several seeds, the first of which is shipped.",
        "seeds": SEEDS,
        "figures": {
            key: {"mean": fmean(values), "deviation": stdev(values), "seeds": list(values)}
            for key, values in figures.items()
        },
    }


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description="Evaluate the recipe of ours with several seeds.")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for all figures")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")
    options = parser.parse_args(arguments)
    write_json(options.out, report(figures_of_seeds(quiet=options.quiet)), indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
