"""The scores of a study's models by question: from their rank tables, or from the one file that keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from beir_hybrid.leaderboard.board.columns import board_columns
from beir_hybrid.leaderboard.board.family_scores import by_group, pair_scores, pairs_in_strata, pairs_key
from beir_hybrid.leaderboard.board.strata import in_strata
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, column_scores
from beir_hybrid.leaderboard.inputs.score_file import RunScores
from beir_hybrid.models.base import name_of
from beir_hybrid.ranks import rank_table
from beir_hybrid.study.paper.claims import UNTUNED, Contrast, Side, scores_key, system_of, unseen_languages
from beir_hybrid.study.trials import NAMESPACE, trained_name, untuned_name, without_top_languages
from beir_hybrid.subsets import SETTINGS, Subset

if TYPE_CHECKING:
    import pyarrow as pa

    from beir_hybrid.ranks.schema import TableInfo
    from beir_hybrid.study.definition import Study
    from beir_hybrid.study.plan import Plan

SCORES = "study.scores.parquet"
"""The file in the folder of a study that keeps them."""


class StudyScores:
    """The scores of the models of a study, by model, task and what they are filed under."""

    def __init__(self, runs: Iterable[RunScores]) -> None:
        self._runs = {(run.model, run.task): run.columns for run in runs}

    def of_seeds(self, contrast: Contrast, side: Side) -> Sequence[ColumnScores]:
        """Return the scores of one side of a comparison, one a seed; none where one of them is not there."""
        base = contrast.base
        if side.label == UNTUNED:
            names = [untuned_name(name_of(base.model), side.start)]
        else:
            system = system_of(contrast, side)
            names = [trained_name(system, seed) for seed in base.seeds]
        of_models = [self._find(name, contrast) for name in names]
        known = [scores for scores in of_models if scores is not None]
        return known if len(known) == len(of_models) else []

    def _find(self, model: str, contrast: Contrast) -> ColumnScores | None:
        columns, column = self._runs.get((model, contrast.column.task), {}), contrast.column
        if column.setting in SETTINGS:
            return columns.get(contrast.key)
        pairs = columns.get(pairs_key(column.task, column.metric))
        return None if pairs is None else by_group(pairs).get(column.setting)


def evaluated_scores(study: Study, plan: Plan, languages: Mapping[str, Sequence[str]]) -> Iterator[RunScores]:
    """Yield the scores of the models that were evaluated, from their rank tables.

    Args:
        study: The study.
        plan: Finds what is done.
        languages: Name of an experiment -> the languages that it trains on.

    Raises:
        RankTableError: A rank table is missing or damaged.
    """
    for entry in plan.entries():
        if entry.facts.get("model", "").startswith(f"{NAMESPACE}/"):
            table, info = rank_table.read(plan.rank_table(entry))
            yield run_scores(table, info, asked_languages(study, info.task, languages))


def asked_languages(study: Study, task: str, languages: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the languages that a claim asks a task about one by one: those that an experiment does not train on."""
    trained_on = [languages.get(one.name, ()) for one in study.experiments if task in one.tasks]
    return list(dict.fromkeys(language for known in trained_on for language in unseen_languages(task, known)))


def run_scores(table: pa.Table, info: TableInfo, languages: Sequence[str] = ()) -> RunScores:
    """Compute what a leaderboard and the claims of a study need of a rank table.

    Args:
        table: The rank table.
        info: What holds for all of it.
        languages: Languages whose questions have figures of their own.

    Returns:
        The scores of the columns of the leaderboard, of all pairs of languages, and of single languages; those of
        subsets with the same questions put together.
    """
    table = without_top_languages(table)
    asked = [column for column in board_columns() if column.task == info.task]
    scores = column_scores(table, info, asked)
    alone = {
        scores_key(column, language): _of_language(scores[column.key], language)
        for column in asked
        if column.key in scores and not column.is_bias and column.setting != SETTINGS[1]
        for language in languages
    }
    pairs = {
        pairs_key(info.task, figure): pairs_in_strata(of_pairs)
        for figure, of_pairs in pair_scores(table, info, scores).items()
    }
    columns = {key: in_strata(of_column) for key, of_column in {**scores, **alone}.items()}
    return RunScores(info.model, info.model_revision, info.task, info.dataset_revision, {**columns, **pairs})


def _of_language(scores: ColumnScores, language: str) -> ColumnScores:
    names = [subset for subset in scores.subsets if Subset.parse(subset).questions == language]
    return replace(scores, queries=scores.queries[scores.queries["subset"].isin(names)])
