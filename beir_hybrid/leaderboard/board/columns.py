"""The columns of the leaderboard: which figure of which task, in which setting."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from beir_hybrid.corpora import CorpusSpec, specs
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES, LANGUAGE_FIGURES, MAP, find_metric
from beir_hybrid.subsets import SETTINGS


@dataclass(frozen=True)
class Column:
    """One column of the leaderboard.

    Attributes:
        key: Unique name, ``<task>/<setting>/<metric>``.
        group: Heading over the columns of one data set.
        label: Heading of the column.
        task: Name of the retrieval task, whose rank table the figure is computed from.
        setting: ``monolingual``, ``cross-lingual`` or ``multilingual``.
        metric: Name of a metric, or of another score of MTEB's results.
        higher_is_better: Whether larger figures are better; None where neither side is, and rows have no ranks.
        decimals: Decimals shown.
        mean_of: Keys of the columns of single data sets that this one is the mean of; none for a data set's own.
    """

    key: str
    group: str
    label: str
    task: str
    setting: str
    metric: str
    higher_is_better: bool | None = True
    decimals: int = 3
    mean_of: tuple[str, ...] = ()

    @property
    def is_bias(self) -> bool:
        """Whether the figure is one of language bias."""
        return self.metric in LANGUAGE_FIGURES

    @classmethod
    def of(cls, task: str, setting: str, metric: str, label: str, group: str) -> Column:
        """Make a column, shown as its metric says; a score that is none is shown as retrieval metrics are.

        Args:
            task: Name of the retrieval task.
            setting: ``monolingual``, ``cross-lingual`` or ``multilingual``.
            metric: Name of a metric, or of another score of MTEB's results.
            label: Heading of the column.
            group: Heading over the columns of the data set.
        """
        shown = find_metric(metric) or MAP
        key = f"{task}/{setting}/{metric}"
        return cls(key, group, label, task, setting, metric, shown.higher_is_better, shown.decimals)

    def as_json(self) -> dict[str, Any]:
        """Return what the board says of the column."""
        facts = asdict(self)
        return facts if self.mean_of else {name: value for name, value in facts.items() if name != "mean_of"}


def board_columns() -> tuple[Column, ...]:
    """Return all columns in the order in which they are shown: retrieval, then language bias, corpus by corpus.

    The mean over the data sets of a group stands before the figure of the first. MIRACL has cross-lingual figures where
    a user translated its questions.

    Returns:
        The columns of all corpora that are registered.
    """
    shown = [(spec, spec.task.name) for spec in specs() if spec.task is not None and spec.metrics]
    retrieval = [
        (spec, Column.of(task, setting, metric, f"{_prefix(metric)}{setting}", spec.title))
        for spec, task in shown
        for metric in spec.metrics
        for setting in SETTINGS
    ]
    bias = [
        (spec, column)
        for spec, task in shown
        if not spec.judged_in_own_language
        for column in language_columns(task, spec.title)
    ]
    return (*_with_means(retrieval), *_with_means(bias))


def language_columns(task: str, title: str) -> list[Column]:
    """Return the columns that say how languages are treated in the pool of all languages of a task."""
    heading = f"{title} language bias"
    return [Column.of(task, SETTINGS[-1], figure.name, figure.label, heading) for figure in BOARD_LANGUAGE_FIGURES]


def overview(columns: Sequence[Column]) -> list[Column]:
    """Leave out the columns of single data sets of which the mean is among the columns."""
    single = {key for column in columns for key in column.mean_of}
    return [column for column in columns if column.key not in single]


def _with_means(columns: Sequence[tuple[CorpusSpec, Column]]) -> Iterator[Column]:
    """Yield the columns of some corpora, and those of means over a group of which every data set has the figure."""
    sizes = Counter(spec.group for spec in {spec for spec, _ in columns})
    alike: dict[tuple[str, str, str], list[str]] = {}
    for spec, column in columns:
        alike.setdefault((spec.group, column.setting, column.metric), []).append(column.key)
    for spec, column in columns:
        keys = alike[spec.group, column.setting, column.metric]
        if spec.group and column.key == keys[0] and 1 < len(keys) == sizes[spec.group]:
            heading = f"{spec.group} (mean of {len(keys)} data sets){column.group.removeprefix(spec.title)}"
            mean = Column.of(spec.group, column.setting, column.metric, column.label, heading)
            yield replace(mean, mean_of=tuple(keys))
        yield column


def _prefix(metric: str) -> str:
    """Return what stands before the setting in the heading of a column; nothing before that of mAP."""
    known = find_metric(metric) or MAP
    return "" if known == MAP else f"{known.label.replace('Recall', 'R')} "


def __getattr__(name: str) -> tuple[Column, ...]:
    """Give the columns by the name that they had before corpora could be registered; goes with ``moved.py``."""
    if name != "COLUMNS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("COLUMNS is now board_columns()", DeprecationWarning, stacklevel=2)
    return board_columns()
