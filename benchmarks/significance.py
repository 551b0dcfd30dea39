"""What the randomization test costs against scipy and ranx: all pairs of 10 models on 4 tasks x 3 settings.

`python -m benchmarks.significance` prints the processor time of 100,000 sign flips for all 540 comparisons. Ours tests
them in one call; scipy.stats.permutation_test and ranx's fisher_randomization_test are timed on some comparisons of
each task in the same run, and scaled up to all. Processor time is that of all threads together.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from ranx.statistical_tests.fisher_randomization_test import fisher_randomization_test
from scipy.stats import permutation_test
from tabulate import tabulate

from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.stats.cells import CellMatrix
from beir_hybrid.leaderboard.stats.resampling import Batch, flip_p_values
from beir_hybrid.leaderboard.stats.significance import compare_many

QUESTIONS = {"XQuAD-R": 1190, "MLQA-R": 1148, "a third task": 1000, "a fourth task": 2000}
SETTINGS = 3
SCIPY_BATCH = 1_000
"""Flips that scipy makes at once: fast, and without gigabytes of memory."""

Scores = NDArray[np.float64]
Test = Callable[[Scores, Scores, int], float]


def draw_scores(n_models: int) -> dict[str, Scores]:
    """Draw scores of all tasks, shape (settings, models, questions); models differ little, questions much."""
    rng = np.random.default_rng(0)
    scores = {}
    for task, n_questions in QUESTIONS.items():
        difficulty = rng.normal(scale=1.5, size=(SETTINGS, 1, n_questions))
        models = rng.normal(scale=0.1, size=(1, n_models, 1))
        own = rng.normal(size=(SETTINGS, n_models, n_questions))
        scores[task] = 1 / (1 + np.exp(-(difficulty + models + own)))
    return scores


def by_scipy(model: Scores, baseline: Scores, flips: int) -> float:
    """Test one pair with scipy."""

    def statistic(x: Scores, y: Scores, axis: int) -> Scores:
        return x.mean(axis=axis) - y.mean(axis=axis)

    return permutation_test(
        (model, baseline),
        statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=flips,
        batch=SCIPY_BATCH,
        rng=np.random.default_rng(0),
    ).pvalue


def by_ranx(model: Scores, baseline: Scores, flips: int) -> float:
    """Test one pair with ranx."""
    return fisher_randomization_test(baseline, model, n_permutations=flips)[0]


def ours(scores: dict[str, Scores], pairs: Sequence[tuple[int, int]], flips: int) -> tuple[float, float, list[Scores]]:
    """Test all pairs; return the seconds of ``compare_many``, those of its flips alone, and the p values by task."""
    columns = {
        f"{task} {setting} {model}": [_column(row)]
        for task, of_task in scores.items()
        for setting, of_setting in enumerate(of_task)
        for model, row in enumerate(of_setting)
    }
    names = [
        (f"{task} {setting} {i}", f"{task} {setting} {j}")
        for task in scores
        for setting in range(SETTINGS)
        for i, j in pairs
    ]
    start = time.process_time()
    compare_many(columns, names, flips=flips, correction="holm")
    everything = time.process_time() - start
    p_values = []
    start = time.process_time()
    for of_task in scores.values():
        n_models = of_task.shape[1]
        units = pd.Series(np.arange(of_task.shape[2]))
        cells = CellMatrix.of(units, pd.Series("en-en", index=units.index), of_task.reshape(SETTINGS * n_models, -1))
        places = [(setting * n_models + i, setting * n_models + j) for setting in range(SETTINGS) for i, j in pairs]
        batch = Batch.of(cells, np.ones(SETTINGS * n_models, dtype=np.int64), places, [None] * len(places))
        p_values.append(np.array([p.differ for p in flip_p_values(batch, flips, seed=0)]))
    return everything, time.process_time() - start, p_values


def _column(scores: Scores) -> ColumnScores:
    """Make a column of one subset, whose units are questions."""
    ids = pd.Series(np.arange(len(scores))).map("q{:04}".format)
    queries = {"query_id": ids, "question_id": ids, "cluster_id": ids, "subset": "en-en", "score": scores}
    return ColumnScores("random scores", "1", pd.DataFrame(queries))


def theirs(test: Test, scores: dict[str, Scores], pairs: Sequence[tuple[int, int]], flips: int, sample: int) -> tuple:
    """Test some pairs of each task; return the seconds for all, scaled up, and the p values by task."""
    seconds, p_values = 0.0, []
    for of_task in scores.values():
        start = time.process_time()
        p_values.append(np.array([test(of_task[0, i], of_task[0, j], flips) for i, j in pairs[:sample]]))
        seconds += (time.process_time() - start) / sample * SETTINGS * len(pairs)
    return seconds, p_values


def main() -> None:
    """Time the three ways and print their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--flips", type=int, default=100_000)
    parser.add_argument(
        "--sample", type=int, default=3, help="comparisons of each task that scipy and ranx are timed on"
    )
    arguments = parser.parse_args()
    scores, pairs = draw_scores(arguments.models), list(combinations(range(arguments.models), 2))
    fisher_randomization_test(np.zeros(2), np.ones(2), n_permutations=2)  # numba compiles it now
    everything, flipping, p_values = ours(scores, pairs, arguments.flips)
    others = {
        name: theirs(test, scores, pairs, arguments.flips, arguments.sample)
        for name, test in (("scipy.stats.permutation_test", by_scipy), ("ranx fisher_randomization_test", by_ranx))
    }
    rows = [("compare_many: randomization test alone", f"{flipping:.1f}", "1.0", "")]
    rows.append(
        ("compare_many: all figures of the comparisons", f"{everything:.1f}", f"{everything / flipping:.1f}", "")
    )
    for name, (seconds, found) in others.items():
        apart = max(
            float(np.abs(one[: arguments.sample] - other).max()) for one, other in zip(p_values, found, strict=True)
        )
        rows.append((f"{name}, scaled up", f"{seconds:.0f}", f"{seconds / flipping:.0f}", f"{apart:.4f}"))
    n_comparisons = len(scores) * SETTINGS * len(pairs)
    print(f"{n_comparisons} comparisons, {arguments.flips:,} flips, {'/'.join(map(str, QUESTIONS.values()))} questions")
    headers = ["", "processor seconds", "x randomization test", "largest difference of p"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
