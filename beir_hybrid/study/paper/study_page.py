"""docs/study.md: the verdicts, every figure that they rest on, and how it was done, from study.json.

The text is the template study.md.jinja; here are its tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.files import atomic_path
from beir_hybrid.finetune.recipe import IDENTITY
from beir_hybrid.folders import locked
from beir_hybrid.leaderboard.inputs.published_figures import PublishedFigures
from beir_hybrid.leaderboard.stats.cells import PLURALS
from beir_hybrid.metrics import MAP, ONE_TARGET, RANK_DISTANCE
from beir_hybrid.scoring.bias import MIN_COVERAGE
from beir_hybrid.study.batches import ALPHA
from beir_hybrid.study.paper.claims import CANNOT_BE_TOLD, EQUIVALENT, NOT_SUPPORTED, SUPPORTED, UNTUNED
from beir_hybrid.study.paper.summary import Summary
from beir_hybrid.subsets import SETTINGS

_KINDS = {
    "embed": "embedding texts that were not in the embedding cache yet",
    "start": "fitting the maps that trainings start from",
    "select": "choosing settings on held-out training data",
    "train": "training",
    "evaluate": "evaluating",
}

PAPER = "2408.10536"
"""What the address of the source paper holds."""

METRIC_DECIMALS = {MAP.name: 4, RANK_DISTANCE.name: 1}
"""Metric -> decimals that the source paper gives."""

_METRICS = {metric.name: metric for metric in (MAP, ONE_TARGET, RANK_DISTANCE)}
_DIGITS = {
    MAP.name: MAP.decimals + 1,
    ONE_TARGET.name: ONE_TARGET.decimals + 1,
    RANK_DISTANCE.name: RANK_DISTANCE.decimals,
}
"""Metric -> decimals shown here: a mean over seeds has one more than a leaderboard."""


def write_page(
    summary: Summary, plot: str | None, command: str, path: Path, published: Sequence[PublishedFigures] = ()
) -> None:
    """Write the page of a study.

    Args:
        summary: All its figures.
        plot: Path of the plot of the alpha sweep, relative to the page; None for none.
        command: What reproduces the study.
        path: The Markdown file.
        published: Figures from the literature, of which those of the source paper are shown.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_set"] = _data_set
    text = environment.get_template("study.md.jinja").render(
        command=command,
        plot=plot,
        study=summary["study"],
        done=summary["items"],
        tests=summary["tests"],
        claims=summary["claims"],
        supported=SUPPORTED,
        not_supported=NOT_SUPPORTED,
        equivalent=EQUIVALENT,
        cannot_be_told=CANNOT_BE_TOLD,
        alpha=ALPHA,
        min_coverage=MIN_COVERAGE,
        data_set=_data_set,
        verdicts=_verdicts(summary["claims"]),
        cases=_cases(summary["claims"]),
        missing=", ".join(summary["missing"]),
        paper=list(_paper(summary, published)),
        comparisons=lambda parts: _comparisons(parts, summary["tests"]["confidence"]),
        units=_units(summary["tests"]["units"]),
        margins=", ".join(f"{margin:g} for {_METRICS[name].label}" for name, margin in _margins(summary)),
        deviations=_deviations(summary),
        figures=list(_figures(summary)),
        selection=_selection(summary["selection"]),
        times=_times(summary["times"]),
        minutes=sum(times["seconds"] for times in summary["times"].values()) / 60,
    )
    with locked(path), atomic_path(path) as temporary:  # the lock clears away what a killed process left
        temporary.write_text(text, encoding="utf-8")


def _verdicts(claims: Iterable[Mapping[str, Any]]) -> str:
    headings = ("claim", "tuning", "from", "seeds", "verdict", "as claimed", "the other way", "equivalent", "open")
    return _table(
        headings,
        ((c["text"], c["base"], c["start"], c["seeds"], f"**{c['verdict']}**", *_counts(c)) for c in claims),
    )


def _counts(claim: Mapping[str, Any]) -> tuple[int | str, int | str, int, int]:
    """Count the comparisons as claimed, the other way, without a significant difference but equivalent, and others.

    Of a claim of equivalence: nothing, those that matter, those that are equivalent, and others.
    """
    parts, significant = claim["parts"], [part for part in claim["parts"] if part["significant"]]
    if claim["of_equivalence"]:
        matter = sum(not part["equivalent"] for part in significant)
        equivalent = sum(part["equivalent"] for part in parts)
        return "", matter, equivalent, len(parts) - matter - equivalent
    as_claimed = sum(part["favourable"] for part in significant)
    equivalent = sum(part["equivalent"] and not part["significant"] for part in parts)
    return as_claimed, len(significant) - as_claimed, equivalent, len(parts) - len(significant) - equivalent


def _units(units: Mapping[str, Mapping[str, Any]]) -> str:
    """Say what was flipped and drawn, e.g. ``48 articles with 1,190 questions (XQuAD-R)``."""
    named = []
    for task, of_task in units.items():
        held = "" if of_task["unit"] == "question" else f" with {of_task['questions']:,} questions"
        named.append(f"{of_task['units']:,} {PLURALS[of_task['unit']]}{held} ({_data_set(task)})")
    return ", ".join(named)


def _margins(summary: Summary) -> Iterable[tuple[str, float]]:
    margins: Mapping[str, float] = summary["tests"]["margins"]
    return margins.items()


def _cases(claims: Sequence[Mapping[str, Any]]) -> str:
    """Show the verdicts for each training and test set alone; nothing where there is one only."""
    verdicts = {
        (claim["text"], claim["start"], case["experiment"], case["task"]): case["verdict"]
        for claim in claims
        for case in claim["cases"]
    }
    cases = list(dict.fromkeys((experiment, task) for *_, experiment, task in verdicts))
    if len(cases) < 2:
        return ""
    headings = (f"{experiment} to {_data_set(task)}" for experiment, task in cases)
    rows = (
        (text, start, *(verdicts.get((text, start, *case), "not tested") for case in cases))
        for text, start in dict.fromkeys((claim["text"], claim["start"]) for claim in claims)
    )
    return _table(("claim", "from", *headings), rows)


def _comparisons(parts: Sequence[Mapping[str, Any]], confidence: float) -> str:
    headings = ("trained on", "tested on", "figure", "model", "baseline", "model's", "baseline's", "difference")
    further = (f"{100 * confidence:g} % interval", "corrected p", "design effect", "verdict on the model")
    return _table((*headings, *further), map(_part_row, parts))


def _part_row(part: Mapping[str, Any]) -> tuple[str, ...]:
    metric, digits = _METRICS[part["metric"]].label_with_direction, _DIGITS[part["metric"]]
    language = "" if part["language"] is None else f", questions in {part['language']}"
    p = part["p_corrected"]
    return (
        part["experiment"],
        _data_set(part["task"]),
        f"{part['setting']} {metric}{language}",
        _side(part["model"], part["baseline"]),
        _side(part["baseline"], part["model"]),
        f"{part['model_value']:.{digits}f}",
        f"{part['baseline_value']:.{digits}f}",
        f"{part['difference']:+.{digits}f}",
        f"{part['low']:+.{digits}f} to {part['high']:+.{digits}f}",
        "< 0.0001" if p < 0.0001 else f"{p:.4f}",
        "" if part["design_effect"] is None else f"{part['design_effect']:.1f}",
        part["verdict"],
    )


def _side(side: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Name a side of a comparison, with its start where the other one has another."""
    return side["label"] + ("" if side["start"] == other["start"] else f" from {side['start']}")


_COLUMNS = [*((setting, MAP.name) for setting in SETTINGS), ("multilingual", RANK_DISTANCE.name)]


def _figures(summary: Summary) -> Iterator[tuple[Mapping[str, Any], str, str]]:
    """Yield the table of each experiment and task: a row a way to make batches, and columns for each start."""
    for experiment in summary["study"]["experiments"]:
        systems = [row for row in summary["systems"] if row["experiment"] == experiment["name"]]
        bases = {base["name"]: base["starts"] for base in summary["study"]["bases"]}
        starts = list(dict.fromkeys(start for row in systems for start in bases[row["base"]]))
        headings = [f"{start}: {heading}" for start in starts for heading in (*SETTINGS, "rank distance")]
        for task in experiment["tasks"] if systems else ():
            rows: dict[str, dict[str, Mapping[str, Any]]] = {}
            for anchor in summary["anchors"]:
                if any(column.startswith(f"{task}/") for column in anchor["figures"]):
                    name = "no training" if anchor["anchor"] == UNTUNED else "BM25"
                    rows.setdefault(name, {})[anchor["start"] or IDENTITY] = anchor["figures"]
            for row in systems:
                rows.setdefault(f"{row['base']}, {row['system']}", {})[row["start"]] = row["figures"]
            cells = (
                (name, *(cell for start in starts for cell in _cells(of_starts.get(start, {}), task)))
                for name, of_starts in rows.items()
            )
            yield experiment, task, _table(("batches", *headings), cells)


def _cells(figures: Mapping[str, Any], task: str) -> Iterator[str]:
    for setting, metric in _COLUMNS:
        figure, digits = figures.get(f"{task}/{setting}/{metric}"), _DIGITS[metric]
        yield "" if figure is None else f"{figure['mean']:.{digits}f}"


def _deviations(summary: Summary) -> str:
    """Say how large the standard deviations over seeds are at most, e.g. ``0.0012 (mAP)``; nothing for one seed."""
    most: dict[str, float] = {}
    for row in summary["systems"]:
        for column, figure in row["figures"].items():
            metric = column.rpartition("/")[2]
            if figure["deviation"] is not None and metric in _METRICS:
                most[metric] = max(most.get(metric, 0.0), figure["deviation"])
    return " and ".join(f"{value:.{_DIGITS[name]}f} ({_METRICS[name].label})" for name, value in most.items())


def _paper(summary: Summary, published: Sequence[PublishedFigures]) -> Iterator[tuple[str, str]]:
    """Yield the figures of the source paper on each tested data set, as a table."""
    for task in dict.fromkeys(task for experiment in summary["study"]["experiments"] for task in experiment["tasks"]):
        rows = [
            figures for figures in published if PAPER in figures.url and f"{task}/multilingual/map" in figures.values
        ]
        cells = (
            (
                figures.base or "",
                figures.batching or "",
                *(
                    "" if value is None else f"{value:.{METRIC_DECIMALS[metric]}f}"
                    for setting, metric in _COLUMNS
                    for value in [figures.values.get(f"{task}/{setting}/{metric}")]
                ),
            )
            for figures in rows
        )
        if rows:
            yield task, _table(("base", "batches", *SETTINGS, "rank distance"), cells)


def _selection(tried: Sequence[Mapping[str, Any]]) -> str:
    """Show the settings that were chosen."""
    headings = ("trained on", "tuning", "from", "batches", "learning rate", "temperature", "w", "held-out mAP")
    rows = (
        (
            row["experiment"],
            row["base"],
            row["start"],
            row["system"],
            f"{row['learning_rate']:g}",
            f"{row['temperature']:g}",
            f"{row['interpolation']:g}",
            f"{row['map']:.4f}",
        )
        for row in tried
        if row["chosen"]
    )
    return _table(headings, rows) if tried else ""


def _times(times: Mapping[str, Mapping[str, float]]) -> str:
    rows = (
        (_KINDS[kind], f"{of['items']:,}", f"{of['seconds'] / 60:.1f}", f"{of['cpu_seconds'] / 60:.1f}")
        for kind, of in times.items()
    )
    return _table(("work", "items", "minutes, added up", "processor minutes"), rows)


def _data_set(task: str) -> str:
    return spec_of_task(task).title


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    lines += [f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)
