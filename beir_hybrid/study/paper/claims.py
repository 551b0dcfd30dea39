"""The claims that a study tests, the comparisons they consist of, and the verdicts.

Those about hybrid batches are the claims of arXiv 2408.10536; those about the start of a training are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.families import BETWEEN_FAMILIES, OTHER_SCRIPT, SAME_SCRIPT, WITHIN_FAMILY
from beir_hybrid.finetune.recipe import IDENTITY
from beir_hybrid.leaderboard.board.columns import Column, board_columns
from beir_hybrid.leaderboard.stats.significance import Comparison, Pair, compare_many, is_significant
from beir_hybrid.leaderboard.stats.verdicts import Verdict, is_equivalent
from beir_hybrid.leaderboard.stats.verdicts import verdict as verdict_of
from beir_hybrid.metrics import MAP, ONE_TARGET, RANK_DISTANCE, in_favour
from beir_hybrid.study.batches import ALPHA, MINED, batches_of
from beir_hybrid.study.definition import Experiment, Study, StudyBase, System
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

HYBRID = f"hybrid-{ALPHA:g}"
"""Label of the hybrid system that claims are about."""

BATCHINGS = ("X-X", "X-Y", HYBRID, "mixed")
"""Labels of the ways to make batches that are crossed with the starts."""


@dataclass(frozen=True)
class Claim:
    """Something that comparisons can show.

    Attributes:
        text: What it says.
        equivalent: Whether it says that differences are within the margin; else that they have a direction.
    """

    text: str
    equivalent: bool = False


CLAIMS = {
    "best-multilingual": Claim("Hybrid batches are the best in the multilingual setting."),
    "better-everywhere": Claim("Hybrid batches are better than X-X and X-Y batches in all three settings."),
    "less-bias": Claim("Hybrid batches cut the language bias of monolingual (X-X) training."),
    "zero-shot": Claim("What hybrid batches teach carries over to a data set that was not trained on."),
    "unseen-languages": Claim("It also carries over to languages that were not trained on."),
    "between-families": Claim("Hybrid batches improve cross-lingual retrieval between language families."),
    "within-family": Claim("Hybrid batches improve cross-lingual retrieval within a language family."),
    "other-script": Claim("Hybrid batches improve cross-lingual retrieval between scripts."),
    "same-script": Claim("Hybrid batches improve cross-lingual retrieval within a script."),
    "batching-does-not-matter": Claim("It does not matter how batches are made.", equivalent=True),
    "pairing-does-not-matter": Claim(
        "It does not matter whether cross-lingual batches mix pairs of languages or hold one.", equivalent=True
    ),
    "start": Claim("Training is better from the projection than from the identity, however batches are made."),
    "negatives": Claim("Mined hard negatives help."),
}
"""Claim -> what it says."""

_GROUPS = {
    "between-families": BETWEEN_FAMILIES,
    "within-family": WITHIN_FAMILY,
    "other-script": OTHER_SCRIPT,
    "same-script": SAME_SCRIPT,
}
"""Claim -> the group of language pairs that it is about."""


class Side(NamedTuple):
    """One side of a comparison: where its training starts, and the label of its batches; ``untuned`` for none."""

    start: str
    label: str


@dataclass(frozen=True)
class Contrast:
    """A comparison that a claim asks for: a model with a baseline, in one column.

    The questions are in one ``language``, None for all. The setting of the column may be a group of language pairs.
    """

    claim: str
    experiment: Experiment
    base: StudyBase
    model: Side
    baseline: Side
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
        model: The figure of the model, the mean over the seeds.
        baseline: The figure of the baseline.
        comparison: Difference, interval and p values; the difference is model less baseline.
    """

    contrast: Contrast
    model: float
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


def verdict(parts: Sequence[Part], equivalent: bool = False) -> str:
    """Judge a claim by its comparisons.

    Args:
        parts: The comparisons.
        equivalent: Whether the claim says that the differences are within their margins.

    Returns:
        Of a claim about a direction ``supported`` if every difference is significant and as claimed; ``not supported``
        if one is significant the other way; ``equivalent`` if all were shown to be within their margins. Of a claim of
        equivalence ``supported`` if all were; ``not supported`` if one is significant and was not. Else ``can't be
        told``.
    """
    if not parts:
        return CANNOT_BE_TOLD
    within = all(part.equivalent for part in parts)
    if equivalent:
        if any(part.significant and not part.equivalent for part in parts):
            return NOT_SUPPORTED
        return SUPPORTED if within else CANNOT_BE_TOLD
    if any(part.significant and not part.favourable for part in parts):
        return NOT_SUPPORTED
    if all(part.significant for part in parts):
        return SUPPORTED
    return EQUIVALENT if within else CANNOT_BE_TOLD


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
        model, baseline = (_name(contrast, side) for side in (contrast.model, contrast.baseline))
        for name, side in ((model, contrast.model), (baseline, contrast.baseline)):
            if name not in of_name:
                of_name[name] = scores.of_seeds(contrast, side)
        if of_name[model] and of_name[baseline]:
            ready[contrast] = model, baseline
    if not ready:
        return []
    columns = {pair: contrast.column for contrast, pair in ready.items()}
    of_name = {name: of_name[name] for pair in ready.values() for name in pair}
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


def contrasts(study: Study, languages: Mapping[str, Sequence[str]]) -> Iterator[Contrast]:
    """Yield the comparisons of all claims.

    Args:
        study: The study.
        languages: Name of an experiment -> the languages that it trains on; nothing of an experiment that has none.
    """
    for experiment, base in study.pairings():
        for task in experiment.tasks:
            columns = claim_columns(task)
            trained_on = languages.get(experiment.name, ())
            for start in base.starts:
                untuned = UNTUNED in study.anchors
                pairs = [
                    *_about_hybrid(start, task, columns, trained_on, untuned),
                    *_about_batches(start, columns, experiment.systems),
                    *(_about_start(start, columns, experiment.systems) if IDENTITY in base.starts else ()),
                ]
                for claim, model, baseline, column, language in pairs:
                    yield Contrast(claim, experiment, base, model, baseline, column, language)


_Asked = tuple[str, Side, Side, Column, str | None]
"""Claim, model, baseline, column and language of a comparison."""


def _about_hybrid(
    start: str, task: str, columns: Mapping[str, Column], trained_on: Sequence[str], untuned: bool
) -> Iterator[_Asked]:
    """Yield the comparisons of hybrid batches with X-X and X-Y, and with no training."""
    hybrid, quality = Side(start, HYBRID), [columns[setting] for setting in SETTINGS]
    for baseline in (Side(start, "X-X"), Side(start, "X-Y")):
        yield "best-multilingual", hybrid, baseline, columns["multilingual"], None
        for column in quality:
            yield "better-everywhere", hybrid, baseline, column, None
        for claim, group in _GROUPS.items():
            for column in (column for column in columns.values() if column.setting == group):
                yield claim, hybrid, baseline, column, None
    yield "less-bias", hybrid, Side(start, "X-X"), columns["bias"], None
    if untuned:
        for column in quality:
            yield "zero-shot", hybrid, Side(start, UNTUNED), column, None
        for language in unseen_languages(task, trained_on):
            for setting in ("monolingual", "multilingual"):
                yield "unseen-languages", hybrid, Side(start, UNTUNED), columns[setting], language


def _about_batches(start: str, columns: Mapping[str, Column], systems: Sequence[str]) -> Iterator[_Asked]:
    """Yield the comparisons of ways to make batches with each other."""
    for column in (columns[setting] for setting in SETTINGS):
        for one, other in combinations([label for label in BATCHINGS if label in systems], 2):
            # As the other claims compare them, so that it is one test.
            model, baseline = (one, other) if other != HYBRID else (other, one)
            yield "batching-does-not-matter", Side(start, model), Side(start, baseline), column, None
        for mixed, pair in (("X-Y", "X-Y-pair"), (HYBRID, f"hybrid-pair-{ALPHA:g}")):
            yield "pairing-does-not-matter", Side(start, mixed), Side(start, pair), column, None
        for label in systems:
            if label.endswith(MINED):
                yield "negatives", Side(start, label), Side(start, label.removesuffix(MINED)), column, None


def _about_start(start: str, columns: Mapping[str, Column], systems: Sequence[str]) -> Iterator[_Asked]:
    """Yield the comparisons of a start with the identity."""
    if start != IDENTITY:
        for label in (label for label in BATCHINGS if label in systems):
            for column in (*(columns[setting] for setting in SETTINGS), columns["bias"]):
                yield "start", Side(start, label), Side(IDENTITY, label), column, None


def claim_columns(task: str) -> dict[str, Column]:
    """Return the columns that claims on a task are about: mAP by setting, ``bias``, and by groups of language pairs."""
    of_task = [column for column in board_columns() if column.task == task]
    groups = {
        f"{group} {metric.name}": Column.of(task, group, metric.name, group, spec_of_task(task).title)
        for group in _GROUPS.values()
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


def system_of(contrast: Contrast, side: Side) -> System:
    """Return the system of one side of a comparison."""
    return System(contrast.experiment, contrast.base, side.start, batches_of(side.label))


def _name(contrast: Contrast, side: Side) -> str:
    """Name a side of a comparison in its column."""
    untuned = side.label == UNTUNED
    model = contrast.base.model if untuned else f"{contrast.experiment.name} {contrast.base.name}"
    return f"{model} {side.start} {side.label}, {contrast.key}"
