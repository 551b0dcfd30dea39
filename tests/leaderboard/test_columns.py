"""The columns of the leaderboard name tasks, settings and figures that exist."""

from __future__ import annotations

from collections import Counter

from beir_hybrid import tasks
from beir_hybrid.corpora import specs
from beir_hybrid.leaderboard.board.columns import board_columns
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES
from beir_hybrid.scoring.bias import BIAS_FIGURES
from beir_hybrid.subsets import SETTINGS

COLUMNS = [column for column in board_columns() if not column.mean_of]
NANO_BEIR = {spec.task.name for spec in specs() if spec.task and spec.group}


def test_keys_are_unique_and_say_task_setting_and_metric() -> None:
    assert max(Counter(column.key for column in COLUMNS).values()) == 1
    assert all(column.key == f"{column.task}/{column.setting}/{column.metric}" for column in COLUMNS)


def test_labels_are_unique_within_their_group() -> None:
    assert max(Counter((column.group, column.label) for column in COLUMNS).values()) == 1


def test_every_column_is_of_a_task_of_ours() -> None:
    for column in COLUMNS:
        assert getattr(tasks, column.task).metadata.name == column.task
        assert column.setting in SETTINGS


def test_retrieval_columns_are_the_tasks_main_scores_in_every_setting() -> None:
    for task in ("XQuADR", "MLQAR", "MIRACLCL"):
        of_task = [column for column in COLUMNS if column.task == task and not column.is_bias]
        settings = [column.setting for column in of_task if column.metric in main_scores(task)]
        assert settings == list(SETTINGS)
        assert all(column.higher_is_better for column in of_task)


def main_scores(task: str) -> set[str]:
    return {getattr(tasks, task).metadata.main_score}


def test_bias_columns_are_figures_of_the_bias_tasks() -> None:
    of_bias = [column for column in COLUMNS if column.is_bias]
    assert (
        {column.metric for column in of_bias} == {metric.name for metric in BOARD_LANGUAGE_FIGURES} <= set(BIAS_FIGURES)
    )
    assert {column.task for column in of_bias if column.task not in NANO_BEIR} == {"XQuADR", "MLQAR", "AtlasR"}
    assert {column.task for column in of_bias} >= NANO_BEIR and len(NANO_BEIR) == 13
    assert {column.setting for column in of_bias} == {"multilingual"}
    lower = {column.metric for column in of_bias if column.higher_is_better is False}
    assert lower == {"rank_distance", "last_answer_rank", "round_robin_gain"}
    assert {column.metric for column in of_bias if column.higher_is_better is None} == {"language_preference"}
