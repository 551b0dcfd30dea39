"""The claims of arXiv 2408.10536 that a study can test, the comparisons they consist of, and the verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import pyarrow.compute as pc

from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.leaderboard.board.columns import Column, board_columns
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, column_scores
from beir_hybrid.leaderboard.stats.significance import Comparison, Pair, compare_many, is_significant
from beir_hybrid.metrics import MAP, RANK_DISTANCE, in_favour
from beir_hybrid.ranks import rank_table
from beir_hybrid.study.definition import ALPHA, Experiment, Study, StudyBase, System
from beir_hybrid.study.ledger import Entry
from beir_hybrid.study.plan import Plan

LEVEL = 0.05
"""Level of significance of the corrected p values."""

SUPPORTED, NOT_SUPPORTED, CANNOT_BE_TOLD = "supported", "not supported", "can't be told"

UNTUNED = "untuned"

CLAIMS = {
    "best-multilingual": "Hybrid batches are the best in the multilingual setting.",
    "better-everywhere": "Hybrid batches are better than X-X and X-Y batches in all three settings.",
    "less-bias": "Hybrid batches cut the language bias of monolingual (X-X) training.",
    "zero-shot": "What hybrid batches teach carries over to a data set that was not trained on.",
    "unseen-languages": "It also carries over to languages that were not trained on.",
}
"""Claim -> its text."""


@dataclass(frozen=True)
class Contrast:
    """A comparison that a claim asks for: hybrid batches with a baseline, in one column.

    The baseline is ``X-X``, ``X-Y`` or ``untuned``; the questions are in one ``language``, None for all.
    """

    claim: str
    experiment: Experiment
    base: StudyBase
    baseline: str
    column: Column
    language: str | None = None


@dataclass(frozen=True)
class Part:
    """A comparison that was made.

    Attributes:
        contrast: What was compared.
        hybrid: The figure with hybrid batches.
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


def verdict(parts: Sequence[Part]) -> str:
    """Judge a claim by its comparisons.

    Returns:
        ``supported`` if every difference is significant and as claimed; ``not supported`` if one is significant the
        other way; else ``can't be told``.
    """
    if any(part.significant and not part.favourable for part in parts):
        return NOT_SUPPORTED
    return SUPPORTED if parts and all(part.significant for part in parts) else CANNOT_BE_TOLD


def compare_all(study: Study, plan: Plan) -> list[Part]:
    """Make the comparisons of all claims, as far as the evaluations are done, corrected together."""
    scores = _Scores(plan)
    # Two claims may ask for the same comparison, which is one test.
    of_name: dict[str, list[ColumnScores]] = {}
    ready: list[tuple[Contrast, Pair]] = []
    for contrast in contrasts(study, plan):
        sides = {label: scores.evaluated(contrast, label) for label in (hybrid_label(), contrast.baseline)}
        if all(sides.values()):
            names = {label: _name(contrast, label) for label in sides}
            ready.append((contrast, (names[hybrid_label()], names[contrast.baseline])))
            for label, name in names.items():
                if name not in of_name:
                    of_name[name] = [scores.in_column(evaluated, contrast) for evaluated in sides[label]]
    if not ready:
        return []
    distinct = list(dict.fromkeys(pair for _, pair in ready))
    comparisons = dict(zip(distinct, compare_many(of_name, distinct, correction="holm"), strict=True))
    means = {name: fmean(of_seed.average for of_seed in seeds) for name, seeds in of_name.items()}
    return [Part(contrast, means[pair[0]], means[pair[1]], comparisons[pair]) for contrast, pair in ready]


def hybrid_label() -> str:
    """Return the label of the hybrid system that claims are about."""
    return f"hybrid-{ALPHA:g}"


def contrasts(study: Study, plan: Plan) -> Iterator[Contrast]:
    """Yield the comparisons of all claims."""
    for experiment, base in study.pairings():
        for task in experiment.tasks:
            columns = _columns(task)
            quality = [columns[setting] for setting in ("monolingual", "cross-lingual", "multilingual")]
            for baseline in ("X-X", "X-Y"):
                yield Contrast("best-multilingual", experiment, base, baseline, columns["multilingual"])
                for column in quality:
                    yield Contrast("better-everywhere", experiment, base, baseline, column)
            yield Contrast("less-bias", experiment, base, "X-X", columns["bias"])
            if UNTUNED in study.anchors:
                for column in quality:
                    yield Contrast("zero-shot", experiment, base, UNTUNED, column)
                for language in _unseen_languages(plan, experiment, base, task):
                    for setting in ("monolingual", "multilingual"):
                        yield Contrast("unseen-languages", experiment, base, UNTUNED, columns[setting], language)


def _columns(task: str) -> dict[str, Column]:
    of_task = [column for column in board_columns() if column.task == task]
    return {
        **{column.setting: column for column in of_task if column.metric == MAP.name},
        "bias": next(column for column in of_task if column.metric == RANK_DISTANCE.name),
    }


def _unseen_languages(plan: Plan, experiment: Experiment, base: StudyBase, task: str) -> list[str]:
    """Return the languages of a task that an experiment does not train on; none before anything was trained."""
    trained = plan.trained(_system(experiment, base, hybrid_label()), base.seeds[0])
    if trained is None:
        return []
    seen = set(trained.facts["languages"])
    return [language for language in spec_of_task(task).languages if language not in seen]


def _system(experiment: Experiment, base: StudyBase, label: str) -> System:
    systems = {
        "X-X": System(experiment, base, "monolingual"),
        "X-Y": System(experiment, base, "cross-lingual"),
        hybrid_label(): System(experiment, base, "hybrid", ALPHA),
    }
    return systems[label]


def _name(contrast: Contrast, label: str) -> str:
    """Name a side of a comparison in its column."""
    model = contrast.base.model if label == UNTUNED else f"{contrast.experiment.name} {contrast.base.name}"
    return f"{model} {label}, {contrast.column.key}, {contrast.language or 'all languages'}"


class _Scores:
    """Scores of the models that are compared, from their rank tables, each of which is read once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[tuple[str, str, str | None], ColumnScores] = {}

    def evaluated(self, contrast: Contrast, label: str) -> list[Entry]:
        """Return the evaluations of a side of a comparison with all seeds; none if one is missing."""
        task = contrast.column.task
        if label == UNTUNED:
            found = [self._plan.evaluated_untuned(contrast.base, task)]
        else:
            system = _system(contrast.experiment, contrast.base, label)
            found = [self._plan.evaluated(system, seed, task) for seed in contrast.base.seeds]
        known = [evaluated for evaluated in found if evaluated is not None]
        return known if len(known) == len(found) else []

    def in_column(self, evaluated: Entry, contrast: Contrast) -> ColumnScores:
        """Return the scores of an evaluation in the column of a comparison."""
        path = self._plan.rank_table(evaluated)
        key = (str(path), contrast.column.key, contrast.language)
        if key not in self._known:
            table, info = rank_table.read(path)
            if contrast.language is not None:
                table = table.filter(pc.equal(table["query_language"], contrast.language))
            # Bias takes longer than all the rest, and is not asked of every model.
            columns = [c for c in _columns(info.task).values() if c.is_bias == contrast.column.is_bias]
            for column, scores in column_scores(table, info, columns).items():
                self._known[str(path), column, contrast.language] = scores
        return self._known[key]
