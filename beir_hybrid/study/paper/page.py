"""docs/study.md: the verdicts, every figure that they rest on, and how it was done, from study.json.

The words are in page.md.jinja; the tables are made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.files import atomic_path
from beir_hybrid.folders import locked
from beir_hybrid.metrics import MAP, RANK_DISTANCE, metric_of
from beir_hybrid.scoring.bias import MIN_COVERAGE
from beir_hybrid.study.definition import ALPHA
from beir_hybrid.study.paper.claims import CANNOT_BE_TOLD, NOT_SUPPORTED, SUPPORTED
from beir_hybrid.study.paper.summary import Summary
from beir_hybrid.subsets import SETTINGS

_KINDS = {
    "embed": "embedding texts that were not in the embedding cache yet",
    "select": "choosing settings on held-out training data",
    "train": "training",
    "evaluate": "evaluating",
}

_DIGITS = {MAP.name: MAP.decimals + 1, RANK_DISTANCE.name: RANK_DISTANCE.decimals}
"""Metric -> decimals shown here: a mean over seeds has one more than a leaderboard."""


def write_page(summary: Summary, plot: str | None, command: str, path: Path) -> None:
    """Write the page of a study.

    Args:
        summary: All its figures.
        plot: Path of the plot of the alpha sweep, relative to the page; None for none.
        command: What reproduces the study.
        path: The Markdown file.
    """
    with locked(path), atomic_path(path) as temporary:  # the lock clears away what a killed process left
        temporary.write_text(_rendered(summary, plot, command), encoding="utf-8")


def _rendered(summary: Summary, plot: str | None, command: str) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(g=lambda number: f"{number:g}", data_set=_data_set)
    constants = {"SUPPORTED": SUPPORTED, "NOT_SUPPORTED": NOT_SUPPORTED, "CANNOT_BE_TOLD": CANNOT_BE_TOLD}
    return environment.get_template("page.md.jinja").render(
        **constants,
        ALPHA=ALPHA,
        MIN_COVERAGE=MIN_COVERAGE,
        command=command,
        plot=plot,
        study=summary["study"],
        items=summary["items"],
        tests=summary["tests"],
        claims=summary["claims"],
        verdicts=_verdicts(summary),
        cases=_cases(summary),
        evidence=lambda claim: _evidence(claim, summary["tests"]["confidence"]),
        cuts=_cuts,
        figure_tables=list(_figures(summary)),
        selection=_selection(summary),
        times=_times(summary),
        minutes=sum(of_kind["seconds"] for of_kind in summary["times"].values()) / 60,
    )


def _verdicts(summary: Summary) -> str:
    rows = []
    for claim in summary["claims"]:
        significant = [part for part in claim["parts"] if part["significant"]]
        as_claimed = sum(part["favourable"] for part in significant)
        counts = as_claimed, len(significant) - as_claimed, len(claim["parts"]) - len(significant)
        rows.append((claim["text"], claim["base"], str(claim["seeds"]), f"**{claim['verdict']}**", *map(str, counts)))
    return _table(("claim", "tuning", "seeds", "verdict", "as claimed", "the other way", "not significant"), rows)


def _cases(summary: Summary) -> str | None:
    """Show the verdicts for each training and test set alone; None if there is one."""
    verdicts = {
        (claim["text"], case["experiment"], case["task"]): case["verdict"]
        for claim in summary["claims"]
        for case in claim["cases"]
    }
    cases = list(dict.fromkeys((experiment, task) for _, experiment, task in verdicts))
    if len(cases) < 2:
        return None
    claims = dict.fromkeys(claim["text"] for claim in summary["claims"])
    return _table(
        ("claim", *(f"{experiment} to {_data_set(task)}" for experiment, task in cases)),
        ((claim, *(verdicts.get((claim, *case), "not tested") for case in cases)) for claim in claims),
    )


def _evidence(claim: Mapping[str, Any], confidence: float) -> str:
    headings = ("trained on", "tested on", "figure", "baseline", "hybrid", "baseline's", "difference")
    return _table((*headings, f"{100 * confidence:g} % interval", "corrected p"), map(_part_row, claim["parts"]))


def _part_row(part: Mapping[str, Any]) -> tuple[str, ...]:
    metric, digits = metric_of(part["metric"]).label_with_direction, _DIGITS[part["metric"]]
    language = "" if part["language"] is None else f", questions in {part['language']}"
    p = part["p_corrected"]
    return (
        part["experiment"],
        _data_set(part["task"]),
        f"{part['setting']} {metric}{language}",
        part["baseline"],
        f"{part['hybrid']:.{digits}f}",
        f"{part['baseline_value']:.{digits}f}",
        f"{part['difference']:+.{digits}f}",
        f"{part['low']:+.{digits}f} to {part['high']:+.{digits}f}",
        "< 0.0001" if p < 0.0001 else f"{p:.4f}",
    )


def _cuts(claim: Mapping[str, Any]) -> str:
    """Say by how much rank distance is cut in each comparison of a claim."""
    return ", ".join(
        f"{100 * (1 - part['hybrid'] / part['baseline_value']):.0f} % "
        f"({part['experiment']} to {_data_set(part['task'])})"
        for part in claim["parts"]
        if part["baseline_value"] > 0
    )


def _figures(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yield the title and the table of the figures of each training and test set."""
    headings = ("model", "seeds", *(f"{setting} mAP" for setting in SETTINGS), "rank distance")
    for experiment in summary["study"]["experiments"]:
        systems = [row for row in summary["systems"] if row["experiment"] == experiment["name"]]
        for task in experiment["tasks"] if systems else ():
            rows = [
                ("BM25" if row["anchor"] == "bm25" else f"{row['model']}, untuned", "", *_cells(row["figures"], task))
                for row in summary["anchors"]
                if any(column.startswith(f"{task}/") for column in row["figures"])
            ]
            rows += [
                (f"{row['base']}, {row['system']}", str(row["seeds"]), *_cells(row["figures"], task)) for row in systems
            ]
            trained = ", ".join(experiment["train"])
            title = f"{experiment['name']}: trained on {trained}, tested on {_data_set(task)}"
            yield title, _table(headings, rows)


def _cells(figures: Mapping[str, Any], task: str) -> Iterator[str]:
    columns = [*((setting, MAP.name) for setting in SETTINGS), ("multilingual", RANK_DISTANCE.name)]
    for setting, metric in columns:
        figure, digits = figures.get(f"{task}/{setting}/{metric}"), _DIGITS[metric]
        deviation = None if figure is None else figure["deviation"]
        spread = "" if deviation is None else f" ± {deviation:.{digits}f}"
        yield "" if figure is None else f"{figure['mean']:.{digits}f}{spread}"


def _selection(summary: Summary) -> str | None:
    rows = [
        (
            row["experiment"],
            row["base"],
            row["system"],
            f"{row['learning_rate']:g}",
            f"{row['temperature']:g}",
            f"**{row['map']:.4f}**, chosen" if row["chosen"] else f"{row['map']:.4f}",
        )
        for row in summary["selection"]
    ]
    headings = ("trained on", "tuning", "batches", "learning rate", "temperature", "held-out multilingual mAP")
    return _table(headings, rows) if rows else None


def _times(summary: Summary) -> str:
    rows = [
        (_KINDS[kind], f"{spent['items']:,}", f"{spent['seconds'] / 60:.1f}", f"{spent['cpu_seconds'] / 60:.1f}")
        for kind, spent in summary["times"].items()
    ]
    return _table(("work", "items", "minutes, added up", "processor minutes"), rows)


def _data_set(task: str) -> str:
    return spec_of_task(task).title


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [" | ".join(cell.replace("|", "/") for cell in row) for row in rows]
    return "\n".join([f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}", *(f"| {row} |" for row in cells)])
