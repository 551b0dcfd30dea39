"""The columns of the leaderboard: which figure of which task, in which setting."""

from __future__ import annotations

from dataclasses import dataclass

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
        higher_is_better: Whether larger figures are better.
        decimals: Decimals shown.
    """

    key: str
    group: str
    label: str
    task: str
    setting: str
    metric: str
    higher_is_better: bool = True
    decimals: int = 3

    @property
    def is_bias(self) -> bool:
        """Whether the figure is one of language bias."""
        return self.metric in LANGUAGE_FIGURES

    @classmethod
    def of(cls, task: str, setting: str, metric: str, label: str, group: str) -> Column:
        """Make a column, shown as its metric says; a score that is none is shown as retrieval metrics are."""
        shown = find_metric(metric) or MAP
        better = shown.higher_is_better is not False
        return cls(f"{task}/{setting}/{metric}", group, label, task, setting, metric, better, shown.decimals)


def _retrieval(group: str, task: str, metric: str, prefix: str = "") -> tuple[Column, ...]:
    """Make the columns of one metric, a setting each."""
    return tuple(Column.of(task, setting, metric, f"{prefix}{setting}", group) for setting in SETTINGS)


def _bias(group: str, task: str) -> tuple[Column, ...]:
    """Make the bias columns of a task."""
    return tuple(
        Column.of(task, "multilingual", metric.name, metric.label, f"{group} language bias")
        for metric in BOARD_LANGUAGE_FIGURES
    )


COLUMNS: tuple[Column, ...] = (
    *_retrieval("XQuAD-R", "XQuADR", "map"),
    *_retrieval("MLQA-R", "MLQAR", "map"),
    *_retrieval("MIRACL", "MIRACLCL", "ndcg_at_10", "nDCG@10 "),
    *_retrieval("MIRACL", "MIRACLCL", "recall_at_100", "R@100 "),
    *_retrieval("Atlas-R", "AtlasR", "map"),
    *_bias("XQuAD-R", "XQuADR"),
    *_bias("MLQA-R", "MLQAR"),
    *_bias("Atlas-R", "AtlasR"),
)
"""All columns, in the order in which they are shown. MIRACL has cross-lingual figures where a user translated its
questions."""
