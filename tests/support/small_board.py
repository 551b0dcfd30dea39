"""A made-up leaderboard: every figure is drawn at random, none was measured."""

from __future__ import annotations

import random
from typing import Any

SCRIPT_NAME = "<script>alert(1)</script>"
LATEX_NAME = "a_b & 50 % $x$"
QUOTED_NAME = '"it\'s" <img src=x onerror=alert(2)> \u2028 </style>'
MANY_SCRIPTS_NAME = "模型 मॉडल โมเดล نموذج модель μοντέλο"

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
TASKS = {"XQuADR": ("XQuAD-R", LANGUAGES), "MLQAR": ("MLQA-R", ("ar", "de", "en", "es", "hi", "vi", "zh"))}
SETTINGS = ("monolingual", "cross-lingual", "multilingual")

_Row = tuple[str, str, str | None, int, float]
"""Label, base encoder, batches, seeds, and about how good it is."""

_ROWS: dict[str, _Row] = {
    "e5": ("small encoder", "small encoder", None, 1, 0.52),
    "e5-x-x": ("small encoder, X-X", "small encoder", "X-X", 3, 0.55),
    "e5-x-y": ("small encoder, X-Y", "small encoder", "X-Y", 3, 0.58),
    "e5-hybrid": ("small encoder, hybrid", "small encoder", "hybrid", 3, 0.63),
    "script": (SCRIPT_NAME, QUOTED_NAME, None, 1, 0.41),
    "latex": (LATEX_NAME, QUOTED_NAME, "hybrid", 1, 0.44),
    "many-scripts": (MANY_SCRIPTS_NAME, QUOTED_NAME, None, 1, 0.47),
    "quoted": (QUOTED_NAME, QUOTED_NAME, None, 1, 0.39),
    "published": ("an older encoder, as published", "an older encoder", None, 1, 0.29),
    "published-script": (SCRIPT_NAME, "an older encoder", "X-Y", 1, 0.49),
}
_BASELINES = (("e5-x-x", "X-X", "†"), ("e5-x-y", "X-Y", "‡"))


def small_board(more_models: int = 0) -> dict[str, Any]:
    """Make a board with three groups, three seeds, hostile names and published figures.

    Args:
        more_models: Models to add to the eight that are there.
    """
    chance = random.Random(5)
    described = dict(_ROWS)
    for number in range(more_models):
        described[f"more-{number}"] = (f"encoder {number}", "more encoders", None, 1, 0.3 + 0.04 * number)
    columns = _columns()
    rows = {key: _row(key, row, columns, chance) for key, row in described.items()}
    _mark_best(rows, columns)
    measured = [key for key, row in rows.items() if not row["published"]]
    bases = dict.fromkeys(row["base"] for row in rows.values())
    return {
        "schema_version": 3,
        "title": "A leaderboard of made-up figures & <b>names</b>",
        "alpha": 0.05,
        "confidence": 0.95,
        "unit": "article",
        "correction": "holm",
        "flips": 100_000,
        "seed": 0,
        "margins": {"map": 0.01},
        "columns": columns,
        "baselines": [{"row": row, "label": label, "mark": mark} for row, label, mark in _BASELINES],
        "groups": [{"label": base, "rows": [key for key in rows if rows[key]["base"] == base]} for base in bases],
        "rows": rows,
        "comparisons": _comparisons(rows, measured, columns, chance),
        "families": _families(rows, measured, chance),
        "languages": {key: _languages(described[key][4], chance) for key in measured},
        "matrices": {key: _matrices(described[key][4], key, chance) for key in measured},
        "captions": {
            "main": "Best value bold, second underlined. † better than X-X and ‡ better than X-Y: two-sided paired "
            "randomization test over 48 articles with 1,190 questions, Holm-corrected, alpha = 0.05.",
            "languages": "Means over the subsets of each question language. Not tested.",
            "families": "Means over the pairs of a group.",
            "matrices": "mAP of the questions in one language (rows) on the passages of one language (columns).",
        },
        "notes": ["Every figure here is made up.", "A note with <i>markup</i> & an ampersand."],
        "inputs": [
            {"file": f"ranks/{key}/XQuADR.parquet", "sha256": f"{chance.getrandbits(256):064x}"} for key in rows
        ],
    }


def _columns() -> list[dict[str, Any]]:
    columns = []
    for task, (label, _) in TASKS.items():
        columns += [_column(task, label, setting, setting, "map") for setting in SETTINGS]
    for metric, name in (("ndcg_at_10", "nDCG@10"), ("recall_at_100", "R@100")):
        columns += [_column("MIRACLCL", "MIRACL", f"{name} {one}", one, metric) for one in SETTINGS[:2]]
    for task, (label, _) in TASKS.items():
        group = f"{label} language bias"
        columns.append(_column(task, group, "rank distance", "multilingual", "rank_distance", False, 1))
        columns.append(_column(task, group, "language fairness", "multilingual", "language_fairness"))
        columns.append(_column(task, group, "strong alignment", "multilingual", "strong_alignment"))
        columns.append(_column(task, group, "language preference", "multilingual", "language_preference", None))
    return columns


def _column(task, group, label, setting, metric, higher_is_better=True, decimals=3) -> dict[str, Any]:
    return {
        "key": f"{task}/{setting}/{metric}",
        "group": group,
        "label": label,
        "task": task,
        "setting": setting,
        "metric": metric,
        "higher_is_better": higher_is_better,
        "decimals": decimals,
    }


def _row(key: str, described: _Row, columns: list[dict[str, Any]], chance: random.Random) -> dict[str, Any]:
    label, base, batching, seeds, level = described
    published = key.startswith("published")
    return {
        "label": label,
        "models": [f"{label}/seed-{seed}" for seed in range(seeds)],
        "revisions": [f"{chance.getrandbits(160):040x}" for _ in range(seeds)],
        "base": base,
        "batching": batching,
        "seeds": seeds,
        "published": published,
        "source": {"text": "Doe & Roe, 2020", "url": "https://example.org/paper?a=1&b=2"} if published else None,
        "cells": {
            column["key"]: _cell(column, level, seeds, published, chance)
            for column in columns
            if not (published and column["metric"] != "map") and not (key == "quoted" and column["task"] == "MIRACLCL")
        },
    }


def _cell(column, level: float, seeds: int, published: bool, chance: random.Random) -> dict[str, Any]:
    value = level * chance.uniform(0.85, 1.1)
    if column["metric"] == "rank_distance":
        value = 900 - 800 * level + chance.uniform(-50, 50)
    if published:
        bounds, rank = (None, None), None
    else:
        bounds, rank = (value * 0.97, value * 1.03), [2, 4]
    return {
        "value": value,
        "spread": value * 0.01 if seeds > 1 else None,
        "low": bounds[0],
        "high": bounds[1],
        "best": False,
        "second": False,
        "marks": ["†", "‡"] if level > 0.6 and not published else [],
        "seen_in_training": True if level == 0.47 else (None if level == 0.44 else False),
        "tested": not published,
        "unit": None if published else "article",
        "units": None if published else 48,
        "questions": None if published else 1190,
        "rank": rank,
        "tie_group": None if published else "ab",
        "equivalence_group": "a" if level == 0.55 and column["metric"] == "map" else None,
        "coverage": None if published else 1.0,
        "reason": None,
    }


def lose_figure(board: dict[str, Any], row: str, column: str, coverage: float) -> str:
    """Take a figure away that too few queries have, and return the reason that stands in its cell."""
    cell = board["rows"][row]["cells"][column]
    reason = f"{100 * coverage:.1f} % of the queries have one, 90 % are needed"
    cell.update(
        dict.fromkeys(
            ("value", "spread", "low", "high", "unit", "units", "questions", "rank", "tie_group", "equivalence_group")
        )
    )
    cell.update(best=False, second=False, marks=[], tested=False, coverage=coverage, reason=reason)
    board["comparisons"] = [
        one for one in board["comparisons"] if one["column"] != column or row not in (one["row"], one["baseline"])
    ]
    return reason


def _mark_best(rows: dict[str, Any], columns: list[dict[str, Any]]) -> None:
    for column in columns:
        cells = [
            row["cells"][column["key"]]
            for row in rows.values()
            if column["key"] in row["cells"] and not row["published"]
        ]
        if column["higher_is_better"] is None:
            for cell in cells:
                cell.update(marks=[], rank=None, tie_group=None, equivalence_group=None)
            continue
        cells.sort(key=lambda cell: cell["value"], reverse=column["higher_is_better"])
        cells[0]["best"], cells[1]["second"] = True, True


def _comparisons(rows, measured: list[str], columns, chance: random.Random) -> list[dict[str, Any]]:
    found = []
    for column in columns:
        for row in measured:
            for other in measured:
                first_is_baseline = row in ("e5-x-x", "e5-x-y")
                listed = other in ("e5-x-x", "e5-x-y") or (not first_is_baseline and row < other)
                if row != other and listed and all(column["key"] in rows[one]["cells"] for one in (row, other)):
                    found.append(_comparison(column["key"], row, other, rows, chance))
    return found


def _comparison(column: str, row: str, baseline: str, rows, chance: random.Random) -> dict[str, Any]:
    difference = rows[row]["cells"][column]["value"] - rows[baseline]["cells"][column]["value"]
    width = abs(difference) * chance.uniform(0.3, 1.5)
    p = 0.00001 if width < abs(difference) * 0.7 else chance.random()
    return {
        "column": column,
        "row": row,
        "baseline": baseline,
        "difference": difference,
        "low": difference - width,
        "high": difference + width,
        "p": p,
        "p_corrected": min(1.0, 3 * p),
        "p_t": p * 0.9,
        "p_wilcoxon": p * 0.8,
        "effect_size": difference / 0.3,
        "unit": "article",
        "units": 48,
        "questions": 1190,
        "exact": False,
        "design_effect": chance.uniform(0.9, 4.2),
        **_about_margin(column.endswith("/map"), p, chance),
    }


def _about_margin(has_margin: bool, p: float, chance: random.Random) -> dict[str, Any]:
    p_values = ("p_equivalence", "p_noninferiority", "p_equivalence_corrected", "p_noninferiority_corrected")
    drawn = {name: chance.random() if has_margin else None for name in p_values}
    said = "better" if 3 * p <= 0.05 else "can't be told"
    return {"margin": 0.01 if has_margin else None, **drawn, "verdict": said}


def _families(rows, measured: list[str], chance: random.Random) -> list[dict[str, Any]]:
    found = []
    for figure, label in (("map", "mAP"), ("one_target_map", "one-target mAP")):
        for group, pairs in (("monolingual", 11), ("within family", 30), ("between families", 80)):
            comparisons = []
            for row in measured:
                if row != "e5-x-x":
                    comparison = _comparison("XQuADR/multilingual/map", row, "e5-x-x", rows, chance)
                    del comparison["column"]
                    comparisons.append(comparison)
            value = chance.random()
            cell = {"value": value, "spread": None, "low": value - 0.1, "high": value + 0.1}
            cell |= {"unit": "article", "units": 48, "questions": 1190}
            found.append(
                {
                    "key": f"XQuADR/{group}/{figure}",
                    "task": "XQuADR",
                    "title": "XQuAD-R",
                    "figure": figure,
                    "label": label,
                    "group": group,
                    "pairs": pairs,
                    "higher_is_better": True,
                    "decimals": 3,
                    "cells": dict.fromkeys(measured, cell),
                    "comparisons": comparisons,
                }
            )
    return found


def _languages(level: float, chance: random.Random) -> dict[str, Any]:
    return {
        task: {language: {setting: level * chance.uniform(0.8, 1.1) for setting in SETTINGS} for language in languages}
        for task, (_, languages) in TASKS.items()
    }


def _matrices(level: float, key: str, chance: random.Random) -> dict[str, Any]:
    def matrix(languages, diagonal: float):
        return [[level * (diagonal if x == y else 1) * chance.uniform(0.7, 1.1) for y in languages] for x in languages]

    return {
        task: {
            "languages": list(languages),
            "map": matrix(languages, 1.3),
            # One model whose results came without a rank table.
            "one_target": None if key == "quoted" else matrix(languages, 1.5),
        }
        for task, (_, languages) in TASKS.items()
    }
