"""Measure the rows of the leaderboard by language family and script: ``python -m tools.family_figures``.

It reads the rank tables that leaderboard.toml names and writes leaderboard/published/measurements/families.json, from
which docs/families.md is made (`make docs-figures`): the figures of every row, and how the rows of a base differ from
the one of it that is trained in one language at a time, or from the untuned encoder.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from tqdm.auto import tqdm

from beir_hybrid.corpora import specs
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.families import (
    BETWEEN_FAMILIES,
    FAMILY_GROUPS,
    OTHER_SCRIPT,
    SAME_SCRIPT,
    SCRIPT_GROUPS,
    WITHIN_FAMILY,
)
from beir_hybrid.files import write_json
from beir_hybrid.leaderboard.board.family_scores import FAMILY_FIGURES, family_scores
from beir_hybrid.leaderboard.board.model_rows import Row, make_rows, runs_of
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.inputs.evaluations import find_rank_tables
from beir_hybrid.leaderboard.inputs.settings import Settings, read_settings
from beir_hybrid.leaderboard.stats.significance import Comparison, compare_many, corrected, is_significant
from leaderboard.regenerate import RANKS, SETTINGS_FILE

RECORD = RANKS.parent / "measurements" / "families.json"
GROUPS = tuple(dict.fromkeys([*FAMILY_GROUPS, *SCRIPT_GROUPS]))
COMPARED = (WITHIN_FAMILY, BETWEEN_FAMILIES, SAME_SCRIPT, OTHER_SCRIPT)
"""Groups that are tested; the families one by one hold too few pairs of most corpora."""

Scores = Mapping[str, Mapping[str, Sequence[ColumnScores]]]
"""Figure -> group -> scores, one a training seed."""


def measure(settings: Settings, ranks: Path) -> dict[str, Any]:
    """Return task -> ``rows``, the figures of each row by group, and ``differences`` between rows of the same base.

    Raises:
        BeirHybridError: A rank table cannot be read, or a row has none.
    """
    of_base: dict[str, list[Row]] = {}
    for row in make_rows(settings, runs_of(find_rank_tables(ranks), ())):
        of_base.setdefault(row.entry.base, []).append(row)
    tasks = [spec.task.name for spec in specs() if spec.task is not None and not spec.judged_in_own_language]
    figures: dict[str, Any] = {}
    for task in tasks:
        rows: dict[str, Any] = {}
        differences: list[tuple[dict[str, Any], Comparison]] = []
        for group in tqdm(of_base.values(), task, disable=None):  # one after the other, for they take much memory
            scores = {row.key: found for row in group if (found := _scores(row, task))}
            known = [row for row in group if row.key in scores]
            rows |= {
                row.key: {"label": row.entry.label, "base": row.entry.base, **_means(scores[row.key])} for row in known
            }
            differences += _differences(settings, known, scores)
        if rows:
            figures[task] = {"rows": rows, "differences": _corrected(settings, differences)}
    return figures


def _scores(row: Row, task: str) -> Scores:
    """Return the scores of a row's seeds by group; nothing where it was not evaluated on the task."""
    of_seeds = [family_scores(run.ranks[task].read(), run.ranks[task].info) for run in row.runs if task in run.ranks]
    if not of_seeds:
        return {}
    return {
        figure: {group: [seed[figure][group] for seed in of_seeds] for group in of_seeds[0][figure]}
        for figure in of_seeds[0]
    }


def _means(scores: Scores) -> dict[str, dict[str, float | None]]:
    """Return figure -> group -> mean over the seeds; None where a row has no pair of the group, or too few queries."""
    means: dict[str, dict[str, float | None]] = {}
    for metric in FAMILY_FIGURES:
        averages = {
            group: fmean(seed.average for seed in seeds) for group, seeds in scores.get(metric.name, {}).items()
        }
        known = {group: round(average, 6) for group, average in averages.items() if not math.isnan(average)}
        means[metric.name] = {**dict.fromkeys([*GROUPS, *averages]), **known}
    return means


def _differences(
    settings: Settings, rows: Sequence[Row], scores: Mapping[str, Scores]
) -> list[tuple[dict[str, Any], Comparison]]:
    """Compare the rows of a base with one of them, in each group; return what is compared, and the comparison."""
    baseline = _baseline(settings, rows)
    found = []
    for metric, group in product(FAMILY_FIGURES, COMPARED):
        of_group = {row.key: scores[row.key].get(metric.name, {}).get(group, ()) for row in rows}
        whole = {key: seeds for key, seeds in of_group.items() if seeds and all(seed.coverage == 1 for seed in seeds)}
        others = [row for row in rows if row.key in whole and row is not baseline]
        if baseline is None or baseline.key not in whole or not others:
            continue
        comparisons = compare_many(
            whole, [(row.key, baseline.key) for row in others], unit="article", seed=settings.seed
        )
        names = {"baseline": baseline.entry.label, "base": baseline.entry.base, "figure": metric.name, "group": group}
        found += [
            ({"row": row.entry.label, **names}, comparison) for row, comparison in zip(others, comparisons, strict=True)
        ]
    return found


def _corrected(settings: Settings, differences: Sequence[tuple[dict[str, Any], Comparison]]) -> list[dict[str, Any]]:
    """Correct the p values over all differences of a task; return a record a pair of rows: figure -> group -> test.

    Pairs that were not compared in every group are left out.
    """
    comparisons = corrected([comparison for _, comparison in differences], "holm")
    records: dict[tuple[str, ...], dict[str, Any]] = {}
    for (names, _), comparison in zip(differences, comparisons, strict=True):
        pair = {name: names[name] for name in ("row", "baseline", "base")}
        record = records.setdefault(tuple(pair.values()), pair)
        record.setdefault(names["figure"], {})[names["group"]] = {
            "difference": round(comparison.difference, 6),
            "low": round(comparison.low, 6),
            "high": round(comparison.high, 6),
            "p": comparison.p,
            "p_corrected": comparison.p_corrected,
            "mark": "*" if is_significant(comparison, settings.alpha) else "",
            "design_effect": comparison.design_effect and round(comparison.design_effect, 3),
            "unit": comparison.unit,
            "units": comparison.units,
        }
    return [
        record
        for record in records.values()
        if all(record.get(metric.name, {}).keys() >= {*COMPARED} for metric in FAMILY_FIGURES)
    ]


def _baseline(settings: Settings, rows: Sequence[Row]) -> Row | None:
    """Return the row of a base that the others are compared with: X-X, or a baseline of the whole board."""
    marked = [row for row in rows if row.entry.baseline] or [row for row in rows if row.key in settings.baselines]
    return marked[0] if marked else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code; what the user can mend becomes one line and exit code 2."""
    parser = argparse.ArgumentParser(description="Measure the rows of the leaderboard by family and script.")
    parser.add_argument("--ranks", type=Path, default=RANKS, help="folder of rank tables, default: %(default)s")
    parser.add_argument("--settings", type=Path, default=SETTINGS_FILE, help="the rows, default: %(default)s")
    parser.add_argument("--out", type=Path, default=RECORD, help="file to write, default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        figures = measure(read_settings(options.settings), options.ranks)
        record = {
            "what": "Figures of groups of language pairs, and differences with whole articles as units.",
            "command": "python -m tools.family_figures",
            "figures": figures,
        }
        write_json(options.out, record, indent=1)
    except BeirHybridError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: now run python -m tools.doc_figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
