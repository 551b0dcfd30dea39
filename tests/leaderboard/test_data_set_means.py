"""Means over the data sets of a group: on the board, in its tests, and in what is drawn and written of it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import jsonschema
import pytest

from beir_hybrid.corpora import specs
from beir_hybrid.leaderboard.board.columns import board_columns, overview
from beir_hybrid.leaderboard.inputs.settings import ModelEntry, Settings
from beir_hybrid.leaderboard.publish import Inputs, make_board, write_files
from beir_hybrid.leaderboard.render import board_views, plots
from beir_hybrid.leaderboard.render.table_contents import language_tables, main_table, matrix_tables, set_tables
from beir_hybrid.leaderboard.render.tables_csv import main_csv
from beir_hybrid.subsets import SETTINGS
from tests.leaderboard.test_leaderboard_board import SCHEMA
from tests.support.small_ranks import LANGUAGES, write_ranks

NANO = [spec for spec in specs() if spec.group == "NanoBEIR"]
TASKS = [spec.task.name for spec in NANO if spec.task is not None]
MODELS = {"x-x": 0.2, "better": 0.8}


def settings_of(**changes: Any) -> Settings:
    models = tuple(ModelEntry(key=name, label=name, models=(f"me/{name}",)) for name in MODELS)
    models = (models[0].model_copy(update={"baseline": "X-X"}), *models[1:])
    return Settings(flips=500, resamples=100, ask_mteb=False, margins={}, models=models, **changes)


def board_of(folder: Path) -> dict[str, Any]:
    board = make_board(Inputs(folder / "ranks"), settings_of())
    jsonschema.validate(json.loads(json.dumps(board, allow_nan=False)), json.loads(SCHEMA.read_text(encoding="utf-8")))
    return board


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rank tables of two models on all data sets, of different numbers of questions."""
    folder = tmp_path_factory.mktemp("ranks")
    for model, level in MODELS.items():
        for number, task in enumerate(TASKS):
            write_ranks(folder, f"me/{model}", level, task=task, questions=4 + number % 3, seed=number)
    return folder


@pytest.fixture(scope="module")
def board(folder: Path) -> dict[str, Any]:
    return board_of(folder)


def values_of(board: dict[str, Any], row: str, setting: str, metric: str) -> list[float]:
    return [board["rows"][row]["cells"][f"{task}/{setting}/{metric}"]["value"] for task in TASKS]


def test_a_mean_is_over_data_sets_each_of_which_counts_alike(board: dict[str, Any]) -> None:
    columns = [column for column in board["columns"] if column["task"] == "NanoBEIR"]
    asked = [(column["setting"], column["metric"]) for column in columns]
    assert asked[:6] == [(setting, metric) for metric in ("ndcg_at_10", "map") for setting in SETTINGS]
    assert ("multilingual", "rank_distance") in asked and ("multilingual", "round_robin_gain") in asked
    assert all(len(column["mean_of"]) == 13 and "mean of 13 data sets" in column["group"] for column in columns)
    for row in board["rows"]:
        for column in columns:
            cell = board["rows"][row]["cells"][column["key"]]
            values = values_of(board, row, column["setting"], column["metric"])
            assert cell["value"] == pytest.approx(fmean(values), rel=1e-7, abs=1e-8)
    first = board["rows"]["better"]["cells"]["NanoBEIR/monolingual/ndcg_at_10"]
    assert first["best"] and first["low"] < first["value"] < first["high"]
    assert (first["unit"], first["questions"]) == ("article", sum(4 + number % 3 for number in range(13)))


def test_the_mean_is_tested_and_single_data_sets_are_not(board: dict[str, Any]) -> None:
    tested = {comparison["column"] for comparison in board["comparisons"]}
    assert "NanoBEIR/multilingual/map" in tested
    assert all(column.startswith("NanoBEIR/") for column in tested)
    [comparison] = [one for one in board["comparisons"] if one["column"] == "NanoBEIR/multilingual/map"]
    cells = [board["rows"][row]["cells"]["NanoBEIR/multilingual/map"]["value"] for row in ("better", "x-x")]
    assert comparison["difference"] == pytest.approx(cells[0] - cells[1], abs=1e-8)
    assert "single data sets are not tested" in board["captions"]["main"]


def test_languages_and_pairs_of_languages_are_averaged_too(board: dict[str, Any]) -> None:
    for row in board["rows"]:
        by_task = board["languages"][row]
        for language in LANGUAGES:
            values = [by_task[task][language]["multilingual"] for task in TASKS]
            assert by_task["NanoBEIR"][language]["multilingual"] == pytest.approx(fmean(values), abs=1e-8)
        matrices = board["matrices"][row]
        for kind in ("map", "one_target"):
            pairs = [matrices[task][kind][0][1] for task in TASKS]
            assert matrices["NanoBEIR"][kind][0][1] == pytest.approx(fmean(pairs), abs=1e-8)


def test_tables_show_the_mean_and_the_single_data_sets_by_themselves(board: dict[str, Any], tmp_path: Path) -> None:
    view = board_views.overview(board)
    assert {column["task"] for column in view["columns"]} == {"NanoBEIR"}
    assert board_views.overview(view) == view
    assert {group for group, _ in main_table(view).heads} == {
        "NanoBEIR (mean of 13 data sets)",
        "NanoBEIR (mean of 13 data sets) language bias",
    }
    of_sets = list(set_tables(board))
    assert [table.title for table in of_sets] == [f"NanoBEIR, {setting}" for setting in SETTINGS]
    assert all([head for _, head in table.heads] == [*(spec.title for spec in NANO), "mean"] for table in of_sets)
    [[(label, cells), _]] = [section.rows for section in of_sets[0].sections]
    values = values_of(board, label, "monolingual", "ndcg_at_10")
    assert [cell.text for cell in cells] == [f"{value:.3f}" for value in (*values, fmean(values))]
    assert len(list(language_tables(view))) == 3 and len(list(matrix_tables(view))) == len(MODELS)
    write_files(board, tmp_path, draw=False)
    markdown, latex, page = (
        (tmp_path / f"leaderboard.{end}").read_text(encoding="utf-8") for end in ("md", "tex", "html")
    )
    for text in (markdown, latex, page.partition('<section id="provenance">')[0]):
        assert text.count("NanoTouche2020") == 3 and "mean of 13 data sets" in text
    assert "## Single data sets" in markdown
    assert [path.name for path in plots.plot_files(board, tmp_path)][:2] == [
        "one-target-NanoBEIR.png",
        "one-target-NanoBEIR.svg",
    ]


def test_csv_has_the_figures_of_all(board: dict[str, Any]) -> None:
    [row, _] = csv.DictReader(io.StringIO(main_csv(board)))
    values = [float(row[f"{task}/multilingual/map"]) for task in TASKS]
    assert float(row["NanoBEIR/multilingual/map"]) == pytest.approx(fmean(values), abs=1e-8)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A board of a model without the last data set, and of one that has a data set in fewer languages."""
    folder = tmp_path_factory.mktemp("uneven")
    for number, task in enumerate(TASKS):
        languages = LANGUAGES[:2] if number == 3 else LANGUAGES
        write_ranks(folder, "me/better", 0.8, task=task, questions=4, languages=languages)
        if task != TASKS[-1]:
            write_ranks(folder, "me/x-x", 0.2, task=task, questions=4, languages=languages)
    return board_of(folder)


def test_a_model_that_lacks_a_data_set_has_no_mean(uneven: dict[str, Any]) -> None:
    assert not any(key.startswith("NanoBEIR/") for key in uneven["rows"]["x-x"]["cells"])
    assert uneven["rows"]["x-x"]["cells"][f"{TASKS[0]}/multilingual/map"]["value"] is not None
    assert "NanoBEIR/multilingual/map" in uneven["rows"]["better"]["cells"]
    assert "NanoBEIR" not in uneven["languages"]["x-x"]


def test_data_sets_with_different_subsets_have_a_mean_without_a_test(uneven: dict[str, Any]) -> None:
    cell = uneven["rows"]["better"]["cells"]["NanoBEIR/cross-lingual/map"]
    assert cell["value"] == pytest.approx(fmean(values_of(uneven, "better", "cross-lingual", "map")), abs=1e-8)
    assert not cell["tested"] and cell["rank"] is None
    assert any("different numbers of subsets: better" in note for note in uneven["notes"])


def test_where_no_model_has_all_data_sets_these_are_shown_themselves(tmp_path: Path) -> None:
    for model, level in MODELS.items():
        write_ranks(tmp_path, f"me/{model}", level, task=TASKS[0])
    board = board_of(tmp_path)
    assert {column["task"] for column in board["columns"]} == {TASKS[0]}
    assert board_views.overview(board) is board and not list(set_tables(board))
    assert any(comparison["column"] == f"{TASKS[0]}/multilingual/map" for comparison in board["comparisons"])


def test_boards_without_the_group_have_no_column_of_it(tmp_path: Path) -> None:
    for model, level in MODELS.items():
        write_ranks(tmp_path, f"me/{model}", level)
    board = board_of(tmp_path)
    assert {column["task"] for column in board["columns"]} == {"XQuADR"}
    assert all("mean_of" not in column for column in board["columns"])


def test_columns_of_means_stand_for_those_of_their_data_sets() -> None:
    columns = board_columns()
    means = [column for column in columns if column.mean_of]
    keys = {column.key: column for column in columns}
    assert {column.task for column in means} == {"NanoBEIR"}
    for mean in means:
        of_sets = [keys[key] for key in mean.mean_of]
        assert [column.task for column in of_sets] == TASKS
        assert {(column.setting, column.metric, column.decimals) for column in of_sets} == {
            (mean.setting, mean.metric, mean.decimals)
        }
    assert not {column.task for column in overview(columns)} & set(TASKS)
