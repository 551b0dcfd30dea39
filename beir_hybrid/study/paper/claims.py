"""The claims of arXiv 2408.10536 that a study can test, the comparisons they consist of, and the verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.families import BETWEEN_FAMILIES, WITHIN_FAMILY
from beir_hybrid.leaderboard.board.columns import Column, board_columns
from beir_hybrid.leaderboard.stats.significance import Comparison, Pair, compare_many, is_significant
from beir_hybrid.leaderboard.stats.verdicts import Verdict, is_equivalent
from beir_hybrid.leaderboard.stats.verdicts import verdict as verdict_of
from beir_hybrid.metrics import MAP, ONE_TARGET, RANK_DISTANCE, in_favour
from beir_hybrid.study.definition import ALPHA, Experiment, Study, StudyBase, System
from beir_hybrid.subsets import SETTINGS

if TYPE_CHECKING:
    from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
    from beir_hybrid.study.paper.scores import StudyScores

LEVEL = 0.05
"""Level of significance of the corrected p values."""

MARGINS = {MAP.name: 0.01}
"""Metric -> the difference that does not matter."""

SUPPORTED, NOT_SUPPORTED, EQUIVALENT, CANNOT_BE_TOLD = "supported", "not supported", "equivalent", "can't be told"

UNTUNED = "untuned"

CLAIMS = {
    "best-multilingual": "Hybrid batches are the best in the multilingual setting.",
    "better-everywhere": "Hybrid batches are better than X-X and X-Y batches in all three settings.",
    "less-bias": "Hybrid batches cut the language bias of monolingual (X-X) training.",
    "zero-shot": "What hybrid batches teach carries over to a data set that was not trained on.",
    "unseen-languages": "It also carries over to languages that were not trained on.",
    "between-families": "Hybrid batches improve cross-lingual retrieval between language families.",
    "within-family": "Hybrid batches improve cross-lingual retrieval within a language family.",
}
"""Claim -> its text."""


@dataclass(frozen=True)
class Contrast:
    """A comparison that a claim asks for: hybrid batches with a baseline, in one column.

    The baseline is ``X-X``, ``X-Y`` or ``untuned``; the questions are in one ``language``, None for all. The setting of
    the column may be a group of language pairs.
    """

    claim: str
    experiment: Experiment
    base: StudyBase
    baseline: str
    column: Column
    language: str | None = None

    @property
    def key(self) -> str:
        """What the scores are filed under: the key of the column, and behind it the language."""
        return scores_key(self.column, self.language)


@dataclass(frozen=True)
class Part:
    """A comparison that was made.

    Attributes:
        contrast: What was compared.
        hybrid: The figure with hybrid batches, the mean over the seeds.
        baseline: The figure of the baseline.
        comparison: Difference, interval and p values; the difference is hybrid less baseline.
    """

    contrast: Contrast
    hybrid: float
    baseline: float
    comparison: Comparison

    @property
    def favourable(self) -> bool:
        """Whether the difference has the direction that the claim says."""
        return in_favour(self.comparison.difference, self.contrast.column.higher_is_better)

    @property
    def significant(self) -> bool:
        """Whether the corrected p value is at most `LEVEL`, as on the leaderboard."""
        return is_significant(self.comparison, LEVEL)

    @property
    def equivalent(self) -> bool:
        """Whether the difference was shown to be within the margin of its metric."""
        return is_equivalent(self.comparison, LEVEL)

    @property
    def verdict(self) -> Verdict:
        """What the comparison has shown."""
        return verdict_of(self.comparison, LEVEL, self.contrast.column.higher_is_better)


def verdict(parts: Sequence[Part]) -> str:
    """Judge a claim by its comparisons.

    Returns:
        ``supported`` if every difference is significant and as claimed; ``not supported`` if one is significant the
        other way; ``equivalent`` if all were shown to be within their margins; else ``can't be told``.
    """
    if any(part.significant and not part.favourable for part in parts):
        return NOT_SUPPORTED
    if not parts:
        return CANNOT_BE_TOLD
    if all(part.significant for part in parts):
        return SUPPORTED
    return EQUIVALENT if all(part.equivalent for part in parts) else CANNOT_BE_TOLD


def scores_key(column: Column, language: str | None = None) -> str:
    """Return what the scores of a column are filed under, those of the questions in one language apart."""
    return column.key if language is None else f"{column.key}/{language}"


def compare_all(study: Study, scores: StudyScores, languages: Mapping[str, Sequence[str]]) -> list[Part]:
    """Make the comparisons of all claims, as far as the evaluations are done, corrected together.

    Args:
        study: The study.
        scores: Of its models.
        languages: Name of an experiment -> the languages that it trains on.
    """
    # Two claims may ask for the same comparison, which is one test.
    of_name: dict[str, Sequence[ColumnScores]] = {}
    ready: dict[Contrast, Pair] = {}
    for contrast in contrasts(study, languages):
        labels = hybrid_label(), contrast.baseline
        sides = {_name(contrast, label): scores.of_seeds(contrast, label) for label in labels}
        if all(sides.values()):
            of_name.update(sides)
            model, baseline = sides
            ready[contrast] = model, baseline
    if not ready:
        return []
    columns = {pair: contrast.column for contrast, pair in ready.items()}
    comparisons = compare_many(
        of_name,
        list(columns),
        correction="holm",
        margin=[MARGINS.get(column.metric) for column in columns.values()],
        higher_is_better=[column.higher_is_better for column in columns.values()],
    )
    of_pair = dict(zip(columns, comparisons, strict=True))
    figures = {name: fmean(seed.average for seed in seeds) for name, seeds in of_name.items()}
    return [
        Part(contrast, figures[model], figures[baseline], of_pair[model, baseline])
        for contrast, (model, baseline) in ready.items()
    ]


def hybrid_label() -> str:
    """Return the label of the hybrid system that claims are about."""
    return f"hybrid-{ALPHA:g}"


def contrasts(study: Study, languages: Mapping[str, Sequence[str]]) -> Iterator[Contrast]:
    """Yield the comparisons of all claims.

    Args:
        study: The study.
        languages: Name of an experiment -> the languages that it trains on; nothing of an experiment that has none.
    """
    for experiment, base in study.pairings():
        for task in experiment.tasks:
            columns = claim_columns(task)
            quality = [columns[setting] for setting in SETTINGS]
            for baseline in ("X-X", "X-Y"):
                yield Contrast("best-multilingual", experiment, base, baseline, columns["multilingual"])
                for column in quality:
                    yield Contrast("better-everywhere", experiment, base, baseline, column)
                for claim, group in (("between-families", BETWEEN_FAMILIES), ("within-family", WITHIN_FAMILY)):
                    for column in (column for column in columns.values() if column.setting == group):
                        yield Contrast(claim, experiment, base, baseline, column)
            yield Contrast("less-bias", experiment, base, "X-X", columns["bias"])
            if UNTUNED in study.anchors:
                for column in quality:
                    yield Contrast("zero-shot", experiment, base, UNTUNED, column)
                for language in unseen_languages(task, languages.get(experiment.name, ())):
                    for setting in ("monolingual", "multilingual"):
                        yield Contrast("unseen-languages", experiment, base, UNTUNED, columns[setting], language)


def claim_columns(task: str) -> dict[str, Column]:
    """Return the columns that claims on a task are about: mAP by setting, ``bias``, and by groups of language pairs."""
    of_task = [column for column in board_columns() if column.task == task]
    groups = {
        f"{group} {metric.name}": Column.of(task, group, metric.name, group, spec_of_task(task).title)
        for group in (WITHIN_FAMILY, BETWEEN_FAMILIES)
        for metric in (MAP, ONE_TARGET)
    }
    return {
        **{column.setting: column for column in of_task if column.metric == MAP.name},
        "bias": next(column for column in of_task if column.metric == RANK_DISTANCE.name),
        **groups,
    }


def unseen_languages(task: str, trained_on: Sequence[str]) -> list[str]:
    """Return the languages of a task that are not among those trained on; none before anything was trained."""
    return [language for language in spec_of_task(task).languages if trained_on and language not in trained_on]


def system_of(experiment: Experiment, base: StudyBase, label: str) -> System:
    """Return the system of a label: X-X, X-Y, or the hybrid one that claims are about."""
    systems = {
        "X-X": System(experiment, base, "monolingual"),
        "X-Y": System(experiment, base, "cross-lingual"),
        hybrid_label(): System(experiment, base, "hybrid", ALPHA),
    }
    return systems[label]


def _name(contrast: Contrast, label: str) -> str:
    """Name a side of a comparison in its column."""
    model = contrast.base.model if label == UNTUNED else f"{contrast.experiment.name} {contrast.base.name}"
    return f"{model} {label}, {contrast.key}"
