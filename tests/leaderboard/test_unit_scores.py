"""Unit scores and figures of columns: equal to MTEB's results, and to a computation by hand from random rank tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.errors import RankTableError
from beir_hybrid.leaderboard.board.columns import Column, board_columns
from beir_hybrid.leaderboard.board.unit_scores import (
    ColumnScores,
    column_scores,
    unit_scores,
)
from beir_hybrid.leaderboard.stats.intervals import average_interval
from beir_hybrid.leaderboard.stats.significance import compare
from beir_hybrid.ranks import build, rank_table
from beir_hybrid.ranks.schema import TableInfo
from beir_hybrid.subsets import SETTINGS, setting_of
from beir_hybrid.tasks import MIRACLCL, MLQAR, MLQARLanguageBias, XQuADR, XQuADRLanguageBias
from tests.support.helpers import property_test
from tests.support.mteb_models import CountingEncoder
from tests.support.small_xquad import LANGUAGES, QUESTIONS
from tests.tasks import test_miracl
from tests.tasks.test_xquad_r import SearchThatEncodes, rank_tables, use_small_data

COLUMNS = board_columns()

BY_KEY = {column.key: column for column in COLUMNS}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_small_data(tmp_path, monkeypatch)
    return tmp_path / "home"


def evaluated(task: Any, model: Any, home: Path, split: str = "test") -> tuple[dict[str, Any], pa.Table, TableInfo]:
    """Let a task score a model; return its scores and the rank table it stored."""
    scores = task.evaluate(model, split, encode_kwargs={"show_progress_bar": False})
    [path] = rank_tables(home)
    return dict(scores), *rank_table.read(path)


def mean_of_setting(scores: dict[str, Any], setting: str, metric: str) -> float:
    return fmean(values[metric] for subset, values in scores.items() if setting_of(subset) == setting)


@pytest.mark.parametrize("task", [XQuADR, MLQAR])
def test_setting_averages_are_those_of_the_result_file(task: Any, home: Path) -> None:
    scores, table, info = evaluated(task(), CountingEncoder(), home)
    for setting in SETTINGS:
        column = BY_KEY[f"{info.task}/{setting}/map"]
        expected = mean_of_setting(scores, setting, "map")
        assert column_scores(table, info, [column])[column.key].average == pytest.approx(expected, abs=1e-5)
        queries = unit_scores(table, info, column).queries
        assert sorted(queries["question_id"].unique()) == sorted(QUESTIONS)
        assert queries["score"].mean() == pytest.approx(expected, abs=1e-5)  # all questions are in every subset


def test_a_search_has_the_averages_of_its_result_file_in_the_columns_it_was_run_for(home: Path) -> None:
    model, subsets = SearchThatEncodes(CountingEncoder()), ["en-en", "de-de", "de-multi"]
    scores = dict(MLQAR().evaluate(model, subsets_to_run=subsets, encode_kwargs={}))
    [path] = rank_tables(home)
    found = column_scores(*rank_table.read(path), COLUMNS)
    assert {key.split("/")[1]: of_column.subsets for key, of_column in found.items()} == {
        "monolingual": ("de-de", "en-en"),
        "multilingual": ("de-multi",),
    }
    for setting in ("monolingual", "multilingual"):
        expected = mean_of_setting(scores, setting, "map")
        assert found[f"MLQAR/{setting}/map"].average == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("task", "name"), [(XQuADRLanguageBias, "XQuADR"), (MLQARLanguageBias, "MLQAR")])
def test_bias_figures_are_those_of_the_bias_tasks(task: Any, name: str, home: Path) -> None:
    scores, table, info = evaluated(task(), CountingEncoder(), home)
    for column in COLUMNS:
        if column.is_bias and column.task == name:
            assert column_scores(table, info, [column])[column.key].average == pytest.approx(
                fmean(values[column.metric] for subset, values in scores.items() if subset != "all"), abs=1e-5
            )


@pytest.fixture
def miracl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], pa.Table, TableInfo]:
    test_miracl.use(tmp_path, monkeypatch)
    return evaluated(MIRACLCL(), CountingEncoder(test_miracl.topical), tmp_path / "home", "dev")


def test_miracl_counts_answers_in_the_language_of_the_question(miracl: tuple) -> None:
    scores, table, info = miracl
    found = column_scores(table, info, COLUMNS)
    assert set(found) == {key for key in BY_KEY if key.startswith("MIRACLCL/") and "/cross-lingual/" not in key}
    for key, of_column in found.items():
        _, setting, metric = key.split("/")
        assert of_column.average == pytest.approx(mean_of_setting(scores, setting, metric), abs=1e-5)
        assert of_column.queries["question_id"].nunique() == len(test_miracl.LANGUAGES) * test_miracl.N_QUESTIONS


def test_a_table_of_some_languages_lacks_the_pool_of_all(home: Path) -> None:
    import mteb

    _, table, info = evaluated(mteb.get_task("XQuADR", languages=["eng", "deu"]), CountingEncoder(), home)
    found = column_scores(table, info, COLUMNS)
    assert {key: scores.subsets for key, scores in found.items()} == {
        "XQuADR/monolingual/map": ("de-de", "en-en"),
        "XQuADR/cross-lingual/map": ("de-en", "en-de"),
    }
    with pytest.raises(RankTableError, match=r"evaluate the multilingual subsets of XQuADR") as caught:
        unit_scores(table, info, BY_KEY["XQuADR/multilingual/rank_distance"])
    assert "\n" not in str(caught.value)
    some = unit_scores(table, info, BY_KEY["XQuADR/monolingual/map"])
    XQuADR().evaluate(CountingEncoder(name="whole"), encode_kwargs={})
    [whole] = [path for path in rank_tables(home) if "whole" in str(path)]
    other = unit_scores(*rank_table.read(whole), BY_KEY["XQuADR/monolingual/map"])
    with pytest.raises(RankTableError, match=f"of 2 subsets and of {len(LANGUAGES)} subsets"):
        compare([some], [other])


def test_other_tasks_and_unknown_metrics_are_left_out(home: Path) -> None:
    _, table, info = evaluated(XQuADR(), CountingEncoder(), home)
    unknown = Column("x", "x", "x", "XQuADR", "monolingual", "main_score")
    assert column_scores(table, info, [BY_KEY["MLQAR/monolingual/map"], unknown]) == {}
    with pytest.raises(RankTableError, match=r"MLQAR/monolingual/map does not follow .* on XQuADR"):
        unit_scores(table, info, BY_KEY["MLQAR/monolingual/map"])


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, TableInfo]:
    """Draw a rank table of MLQA-R's kind: questions lack in some languages, and ranks may be unknown."""
    languages = ["de", "en", "zh"]
    rows = []
    for number in range(draw(st.integers(2, 4))):
        asked = draw(st.lists(st.sampled_from(languages), min_size=1, unique=True))
        n_relevant = {language: draw(st.integers(1, 2)) for language in asked}
        for query_language in asked:
            for language, n in n_relevant.items():
                ranks = draw(st.lists(st.integers(1, 50), min_size=n, max_size=n, unique=True))
                for place, rank in enumerate(ranks):
                    found = draw(st.booleans()) or len(rows) < 3
                    rows.append(
                        {
                            "query_id": f"{query_language}:q{number}",
                            "question_id": f"q{number}",
                            "query_language": query_language,
                            "passage_id": f"{language}:q{number}-{place}",
                            "passage_language": language,
                            "rank_in_language": rank if found else None,
                            "rank_in_pool": rank + 3 if found else None,
                            "outranked_by_query_language": 0,
                            "cluster_id": f"article {number % 2}",
                            "grade": 1,
                            "top_languages": "deenzh",
                        }
                    )
    table = build("MLQAR", [{name: [row[name] for row in rows] for name in rows[0]}])
    return table, TableInfo("MLQAR", "1", "tests/random", "1", {language: 60 for language in languages})


def average_precision(ranks: list[int | None]) -> float:
    known = sorted(rank for rank in ranks if rank is not None)
    return sum(place / rank for place, rank in enumerate(known, 1)) / len(ranks)


def scores_by_hand(table: pa.Table, setting: str) -> list[tuple[str, dict[str, Any], float]]:
    """Compute (subset, first row of the query, average precision) of every query in every evaluated subset."""
    ranks, rows = defaultdict(list), {}
    for row in table.to_pylist():
        pool = "multi" if setting == "multilingual" else row["passage_language"]
        subset = f"{row['query_language']}-{pool}"
        if setting_of(subset) == setting:
            ranks[subset, row["query_id"]].append(row["rank_in_pool" if pool == "multi" else "rank_in_language"])
            rows[subset, row["query_id"]] = row
    evaluated = {subset for (subset, _), found in ranks.items() if setting == "multilingual" or any(found)}
    return [(key[0], rows[key], average_precision(found)) for key, found in ranks.items() if key[0] in evaluated]


def means(pairs: list[tuple[str, float]]) -> dict[str, float]:
    grouped = defaultdict(list)
    for name, value in pairs:
        grouped[name].append(value)
    return {name: fmean(values) for name, values in sorted(grouped.items())}


@property_test(60)
@given(tables(), st.sampled_from(SETTINGS))
def test_scores_and_averages_equal_a_computation_by_hand(drawn: tuple[pa.Table, TableInfo], setting: str) -> None:
    table, info = drawn
    by_hand = scores_by_hand(table, setting)
    column = BY_KEY[f"MLQAR/{setting}/map"]
    if not by_hand:
        assert column_scores(table, info, [column]) == {}
        return
    scores = column_scores(table, info, [column])[column.key]
    assert scores.average == pytest.approx(fmean(means([(subset, ap) for subset, _, ap in by_hand]).values()))
    ids = ["query_id", "question_id", "cluster_id", "subset", "score"]
    expected = [(*(row[name] for name in ids[:3]), subset, ap) for subset, row, ap in by_hand]
    found = list(scores.queries[ids].itertuples(index=False, name=None))
    for mine, by_definition in zip(sorted(found), sorted(expected), strict=True):
        assert mine[:4] == by_definition[:4] and mine[4] == pytest.approx(by_definition[4])


def shifted(scores: ColumnScores, shift: float) -> ColumnScores:
    return replace(scores, queries=scores.queries.assign(score=scores.queries["score"] + shift))


@pytest.mark.parametrize("key", ["MLQAR/cross-lingual/map", "MLQAR/multilingual/rank_distance"])
def test_the_interval_of_several_seeds_counts_how_far_they_differ(key: str, home: Path) -> None:
    _, table, info = evaluated(MLQAR(), CountingEncoder(), home)
    scores = column_scores(table, info, [BY_KEY[key]])[key]
    alone, same = average_interval([scores])[:2], average_interval([scores] * 3)[:2]
    assert same == pytest.approx(alone, abs=1e-9)
    apart = average_interval([shifted(scores, shift) for shift in (-1.0, 0.0, 1.0)])
    assert apart[0] < alone[0] < scores.average < alone[1] < apart[1]
    # 2.5 % of Student's t with 2 degrees of freedom are beyond 4.30; the standard error of the mean is 1 / sqrt(3).
    assert apart[1] - apart[0] > 2 * 4.30 / np.sqrt(3) * 0.9


def test_intervals_that_cannot_be_computed_are_one_line(home: Path) -> None:
    _, table, info = evaluated(MLQAR(), CountingEncoder(), home)
    column = BY_KEY["MLQAR/monolingual/map"]
    scores = column_scores(table, info, [column])[column.key]
    one = replace(scores, queries=scores.queries[scores.queries["question_id"] == "q0"])
    with pytest.raises(RankTableError, match=r"needs two questions at least, here there is 1"):
        average_interval([one])
    with pytest.raises(RankTableError, match=r"were not evaluated on the same questions: 4 and 1"):
        average_interval([scores, one])
