"""A report as one self-contained HTML page.

It is complete without JavaScript; page.js adds the filters of the examples, their order, and tabs for the heat maps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from beir_hybrid.metrics import find_metric
from beir_hybrid.pages import self_contained
from beir_hybrid.pages.described import META, Described
from beir_hybrid.report.content import Example, FigureRow, Grid, HeatMap, Passage, Report

HERE = Path(__file__).parent

_LONG = 420
"""Letters from which a text is folded."""
_EXCERPT = 300
"""Letters that are shown of a folded text."""


def write_report(report: Report, path: Path) -> None:
    """Write a report as one HTML file that loads nothing.

    Args:
        report: What it says.
        path: The file to write.

    Raises:
        BeirHybridError: The file cannot be written.
    """
    self_contained.write(render_report(report), path)


def render_report(report: Report) -> str:
    """Render the page of a report; all texts of it are escaped."""
    kinds = kind_labels(report)
    described = Described(report.task, tuple((run.model, run.revision) for run in report.runs))
    content = {
        "report": report,
        "described": {META: described.as_json()},
        "settings": [row for row in report.figures if row.setting],
        "language_figures": [row for row in report.figures if not row.setting],
        "kinds": kinds,
        "filters": [
            ("question", "Question in", _counted((example.question_language,) for example in report.examples)),
            ("answer", "Answer in", _counted((example.answer_language,) for example in report.examples)),
        ],
        "kind_counts": _counted((example.kinds for example in report.examples), kinds),
    }
    filters = (best_rank, decimals, direction, excerpt, highest, is_long, languages_of, more_above, reach)
    return self_contained.render(HERE, content, filters)


def kind_labels(report: Report) -> dict[str, str]:
    """Return the kinds of examples as a reader is told of them."""
    labels = {"lost-in-pool": "found in its own language, lost in the pool", "lost-in-both": "lost in both"}
    if len(report.runs) == 2:
        labels |= {kind: f"{kind} against {report.runs[1].label}" for kind in ("won", "lost")}
    return labels


def _counted(values: Iterable[Iterable[str]], order: Iterable[str] | None = None) -> dict[str, int]:
    """Value -> in how many examples it is, in the given order, or in the alphabet's."""
    counts = Counter(value for some in values for value in some)
    return {value: counts[value] for value in (sorted(counts) if order is None else order) if value in counts}


def decimals(row: FigureRow) -> int:
    """Return the decimals of a figure."""
    metric = find_metric(row.metric)
    return metric.decimals if metric else 3


def direction(row: FigureRow) -> bool | None:
    """Return whether larger figures are better; None where there is no better side."""
    metric = find_metric(row.metric)
    return metric.higher_is_better if metric else None


def highest(grids: Sequence[Grid]) -> float:
    """Return the highest value of some grids, which the darkest colour stands for."""
    return max((value for grid in grids for row in grid for value in row if value is not None), default=1.0)


def reach(subject: HeatMap | Sequence[FigureRow]) -> float:
    """Return how far differences, or their intervals, reach from zero: half the length of a scale they share."""
    if isinstance(subject, HeatMap):
        ends = [value for row in subject.difference or () for value in row]
    else:
        ends = [end for row in subject if row.difference for end in (row.difference.low, row.difference.high)]
    return max((abs(end) for end in ends if end is not None), default=0.0)


def best_rank(example: Example, run: int) -> int | None:
    """Return the rank of the first right answer in the pool, as a run has it; None where it is unknown."""
    return min((rank for answer in example.answers if (rank := answer.ranks_in_pool[run]) is not None), default=None)


def more_above(example: Example, run: int) -> int | None:
    """Return how many passages above the first right answer are not shown; None where it has no rank."""
    rank = best_rank(example, run)
    return None if rank is None else max(0, rank - 1 - len(example.above[run]))


def languages_of(passages: Sequence[Passage]) -> list[tuple[str, int]]:
    """Return the languages of some passages and how many are in each, the most frequent first."""
    return Counter(passage.language for passage in passages).most_common()


def is_long(text: str) -> bool:
    """Return whether a text is folded."""
    return len(text) > _LONG


def excerpt(text: str) -> str:
    """Return the beginning of a long text, cut between words where there are some."""
    cut = text[:_EXCERPT]
    whole = cut.rpartition(" ")[0]
    return whole if len(whole) > _EXCERPT / 2 else cut
