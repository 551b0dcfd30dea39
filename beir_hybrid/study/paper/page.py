"""docs/study.md: the verdicts, every figure that they rest on, and how it was done, from study.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.files import atomic_path
from beir_hybrid.folders import locked
from beir_hybrid.metrics import MAP, RANK_DISTANCE, metric_of
from beir_hybrid.scoring.bias import MIN_COVERAGE
from beir_hybrid.study.paper.claims import CANNOT_BE_TOLD, NOT_SUPPORTED, SUPPORTED, hybrid_label
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

    Raises:
        BeirHybridError: It cannot be written.
    """
    with locked(path), atomic_path(path) as temporary:  # the lock clears away what a killed process left
        temporary.write_text("\n".join(_lines(summary, plot, command)) + "\n", encoding="utf-8")


def _lines(summary: Summary, plot: str | None, command: str) -> Iterator[str]:
    yield from (
        "# Does hybrid training do what its paper says?",
        "",
        "arXiv 2408.10536 trains retrievers on batches of which some are monolingual (X-X: question and answer in one "
        "language) and some cross-lingual (X-Y). This page tests its claims. It is generated from the results of",
        "",
        "```bash",
        command,
        "```",
        "",
    )
    yield from _missing(summary)
    yield from _verdicts(summary)
    yield from _evidence(summary)
    yield from _figures(summary)
    yield from _sweep(plot)
    yield from _selection(summary)
    yield from _method(summary)
    yield from _times(summary)


def _missing(summary: Summary) -> Iterator[str]:
    items = summary["items"]
    if items["done"] < items["all"]:
        yield f"**The study is not complete:** {items['done']} of its {items['all']} items are done."
        yield ""


def _verdicts(summary: Summary) -> Iterator[str]:
    tests = summary["tests"]
    yield from ("## Verdicts", "")
    yield from _table(
        ("claim", "tuning", "seeds", "verdict", "as claimed", "the other way", "not significant"),
        (
            (
                claim["text"],
                claim["base"],
                str(claim["seeds"]),
                f"**{claim['verdict']}**",
                *(str(count) for count in _counts(claim["parts"])),
            )
            for claim in summary["claims"]
        ),
    )
    yield from (
        "",
        f"*{SUPPORTED}*: every comparison of the claim is significant in the claimed direction. *{NOT_SUPPORTED}*: at "
        f"least one is significant in the other direction. *{CANNOT_BE_TOLD}*: anything else. Significant means that "
        f"the p value, corrected for all comparisons on this page (Holm), is at most {tests['level']:g}. The last "
        "three columns count the comparisons. The paper's models, data and amounts of training are others: a claim "
        "that is not supported here is not supported for what was trained here.",
        "",
    )
    yield from _cases(summary)
    if any(claim["seeds"] == 1 for claim in summary["claims"]):
        yield from (
            "With a single seed a comparison is about two particular checkpoints, not about two ways of training: its "
            "p value says nothing about what another seed would give.",
            "",
        )


def _cases(summary: Summary) -> Iterator[str]:
    """Show the verdicts for each training and test set alone."""
    verdicts = {
        (claim["text"], case["experiment"], case["task"]): case["verdict"]
        for claim in summary["claims"]
        for case in claim["cases"]
    }
    cases = list(dict.fromkeys((experiment, task) for _, experiment, task in verdicts))
    if len(cases) < 2:
        return
    yield from ("The same, for each training and test set alone:", "")
    headings = (f"{experiment} to {_data_set(task)}" for experiment, task in cases)
    claims = dict.fromkeys(claim["text"] for claim in summary["claims"])
    yield from _table(
        ("claim", *headings),
        ((claim, *(verdicts.get((claim, *case), "not tested") for case in cases)) for claim in claims),
    )
    yield ""


def _counts(parts: Sequence[Mapping[str, Any]]) -> tuple[int, int, int]:
    """Count the comparisons as claimed, the other way, and not significant."""
    significant = [part for part in parts if part["significant"]]
    as_claimed = sum(part["favourable"] for part in significant)
    return as_claimed, len(significant) - as_claimed, len(parts) - len(significant)


def _evidence(summary: Summary) -> Iterator[str]:
    yield from ("## Comparisons", "")
    level = f"{100 * summary['tests']['confidence']:g} %"
    headings = ("trained on", "tested on", "figure", "baseline", "hybrid", "baseline's", "difference")
    for claim in summary["claims"]:
        yield from (f"### {claim['text']} ({claim['base']}: {claim['verdict']})", "")
        yield from _table((*headings, f"{level} interval", "corrected p"), map(_part_row, claim["parts"]))
        yield ""
        if claim["claim"] == "less-bias":
            yield from (_cuts(claim["parts"]), "")


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


def _cuts(parts: Sequence[Mapping[str, Any]]) -> str:
    cuts = [
        f"{100 * (1 - part['hybrid'] / part['baseline_value']):.0f} % "
        f"({part['experiment']} to {_data_set(part['task'])})"
        for part in parts
        if part["baseline_value"] > 0
    ]
    return f"Rank distance is cut by {', '.join(cuts)}; a negative number is an increase."


def _figures(summary: Summary) -> Iterator[str]:
    yield from (
        "## Figures",
        "",
        "mAP and rank distance are means over the seeds, ± their standard deviation: the figures of the MTEB tasks, "
        "means over the subsets of a setting. Those of the comparisons above are means over questions, which differ "
        "where questions are missing in some languages (MLQA-R). There is no rank distance where fewer than "
        f"{100 * MIN_COVERAGE:g} % of the queries have one: of the others a search did not return every answer.",
        "",
    )
    for experiment in summary["study"]["experiments"]:
        rows = [row for row in summary["systems"] if row["experiment"] == experiment["name"]]
        for task in experiment["tasks"] if rows else ():
            yield from (
                f"### {experiment['name']}: trained on {', '.join(experiment['train'])}, tested on {_data_set(task)}",
                "",
            )
            yield from _table(
                ("model", "seeds", *(f"{setting} mAP" for setting in SETTINGS), "rank distance"),
                [*_anchor_rows(summary, task), *_system_rows(rows, task)],
            )
            yield ""


def _anchor_rows(summary: Summary, task: str) -> Iterator[tuple[str, ...]]:
    for anchor in summary["anchors"]:
        name = "BM25" if anchor["anchor"] == "bm25" else f"{anchor['model']}, untuned"
        if any(column.startswith(f"{task}/") for column in anchor["figures"]):
            yield (name, "", *_cells(anchor["figures"], task))


def _system_rows(rows: Iterable[Mapping[str, Any]], task: str) -> Iterator[tuple[str, ...]]:
    for row in rows:
        yield (f"{row['base']}, {row['system']}", str(row["seeds"]), *_cells(row["figures"], task))


def _cells(figures: Mapping[str, Any], task: str) -> list[str]:
    columns = [(f"{task}/{setting}/{MAP.name}", MAP.name) for setting in SETTINGS]
    columns.append((f"{task}/multilingual/{RANK_DISTANCE.name}", RANK_DISTANCE.name))
    cells = []
    for column, metric in columns:
        figure, digits = figures.get(column), _DIGITS[metric]
        deviation = None if figure is None else figure["deviation"]
        spread = "" if deviation is None else f" ± {deviation:.{digits}f}"
        cells.append("" if figure is None else f"{figure['mean']:.{digits}f}{spread}")
    return cells


def _sweep(plot: str | None) -> Iterator[str]:
    if plot is not None:
        yield from (
            "## Alpha",
            "",
            f"![Multilingual mAP and rank distance against alpha]({plot})",
            "",
            "Means over the seeds; the bars are standard deviations. The ends are X-Y and X-X training, each with "
            "settings of its own; all values of alpha between them have the settings chosen at 0.5.",
            "",
        )


def _selection(summary: Summary) -> Iterator[str]:
    study = summary["study"]
    yield from (
        "## Settings",
        "",
        f"Learning rate and temperature were chosen on held-out training data, never on test data, by one rule for "
        f"every way to make batches: {100 * study['held_out']:g} % of the training rows are held out, whole answers at "
        "a time, so that no answer is on both sides; each setting is trained on the rest with the first seed, for the "
        "same number of steps; the setting with the highest multilingual mAP on the held-out questions is taken, "
        "where the pool is all answers of the training data in all languages. X-X, X-Y and hybrid batches were "
        f"chosen for separately, hybrid at alpha {hybrid_label().rpartition('-')[2]}; other values of alpha use its "
        "settings. The models reported are trained on all rows, the held-out ones too, with the chosen settings. A "
        "tuning with one learning rate and one temperature had nothing to choose.",
        "",
    )
    if summary["selection"]:
        yield from _table(
            ("trained on", "tuning", "batches", "learning rate", "temperature", "held-out multilingual mAP"),
            (
                (
                    row["experiment"],
                    row["base"],
                    row["system"],
                    f"{row['learning_rate']:g}",
                    f"{row['temperature']:g}",
                    f"**{row['map']:.4f}**, chosen" if row["chosen"] else f"{row['map']:.4f}",
                )
                for row in summary["selection"]
            ),
        )
        yield ""


def _method(summary: Summary) -> Iterator[str]:
    tests = summary["tests"]
    yield from ("## What the figures are based on", "")
    for base in summary["study"]["bases"]:
        length = f"{base['steps']:,} steps" if base["steps"] else f"{base['epochs']:g} epochs"
        how = "a linear head on the frozen encoder" if base["tune"] == "head" else "all weights"
        yield f"- {base['name']}: {how}; base `{base['model']}`, {length} of {base['batch_size']} pairs, seeds " + (
            ", ".join(map(str, base["seeds"])) + "."
        )
    for experiment in summary["study"]["experiments"]:
        languages = ", ".join(experiment["languages"] or ()) or "all its languages"
        tested = ", ".join(map(_data_set, experiment["tasks"]))
        yield f"- {experiment['name']}: trained on {', '.join(experiment['train'])} ({languages}), tested on {tested}."
    yield (
        f"- Comparisons pair the scores of {tests['unit']}s: the same question in several languages is one "
        "observation. A question's score is the mean over the subsets of the setting, and over the seeds. p is that of "
        f"the two-sided paired randomization test ({tests['flips']:,} sign flips), the interval a percentile bootstrap "
        f"over questions and seeds ({tests['resamples']:,} resamples); see the page on significance."
    )
    yield "- The hybrid system of the comparisons is the one with alpha 0.5, whatever the sweep shows."
    yield ""


def _times(summary: Summary) -> Iterator[str]:
    yield from ("## How long it took", "")
    rows = [
        (
            _KINDS[kind],
            f"{of_kind['items']:,}",
            f"{of_kind['seconds'] / 60:.1f}",
            f"{of_kind['cpu_seconds'] / 60:.1f}",
        )
        for kind, of_kind in summary["times"].items()
    ]
    yield from _table(("work", "items", "minutes, added up", "processor minutes"), rows)
    total = sum(of_kind["seconds"] for of_kind in summary["times"].values()) / 60
    yield from (
        "",
        f"Added up over all items: {total:.0f} minutes; processes that work side by side (`--jobs`) share them. Texts "
        "that were in the embedding cache, from whatever command, are not counted.",
    )


def _data_set(task: str) -> str:
    return spec_of_task(task).title


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
