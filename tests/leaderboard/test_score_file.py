"""Scores by question in one file: figures, intervals and tests are those of the rank tables that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beir_hybrid.errors import BeirHybridError, RankTableError
from beir_hybrid.leaderboard.board.strata import in_strata
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.inputs.score_file import RunScores, find_scores, read_scores, write_scores
from beir_hybrid.leaderboard.stats.significance import compare
from beir_hybrid.ranks import rank_table
from beir_hybrid.study.paper.scores import run_scores
from tests.support.small_ranks import write_ranks


@st.composite
def scores_of_two(draw: st.DrawFn) -> tuple[ColumnScores, ColumnScores]:
    """Scores of two models on the same questions, each in some of three languages, by pairs of languages."""
    rows = []
    for question in range(draw(st.integers(4, 8))):
        languages = draw(st.sets(st.sampled_from(("de", "en", "th")), min_size=2))
        rows += [
            {
                "query_id": f"{asked}:q{question}",
                "question_id": f"q{question}",
                "cluster_id": f"article {question // 2}",
                "subset": f"{asked}-{pool}",
            }
            for asked in sorted(languages)
            for pool in sorted(languages)
            if asked != pool
        ]
    values = [draw(st.lists(st.integers(0, 20), min_size=len(rows), max_size=len(rows))) for _ in range(2)]
    model, baseline = (
        ColumnScores(name, "data-1", pd.DataFrame(rows).assign(score=np.array(of_one) / 20))
        for name, of_one in zip(("model", "baseline"), values, strict=True)
    )
    return model, baseline


@settings(max_examples=25, deadline=None)
@given(scores_of_two())
def test_strata_change_neither_figures_nor_tests(scores: tuple[ColumnScores, ColumnScores]) -> None:
    few = {"flips": 200, "resamples": 200}
    for unit in ("question", "article"):
        whole = compare(scores[:1], scores[1:], unit=unit, **few)
        strata = compare([in_strata(scores[0])], [in_strata(scores[1])], unit=unit, **few)
        for name in ("difference", "low", "high", "p", "p_t", "effect_size", "design_effect"):
            values = [getattr(one, name) for one in (whole, strata)]
            assert values[0] == pytest.approx(values[1], abs=1e-9, nan_ok=True), name
        assert (whole.units, whole.questions) == (strata.units, strata.questions)
    for one in scores:
        assert in_strata(one).average == pytest.approx(one.average)
        assert in_strata(one).subsets == one.subsets


def test_subsets_with_the_same_questions_are_one_stratum() -> None:
    rows = [(f"{subset[:2]}:q{number}", f"q{number}", subset) for subset in ("de-en", "en-de") for number in (1, 2)]
    rows.append(("th:q1", "q1", "th-en"))
    queries = pd.DataFrame(rows, columns=["query_id", "question_id", "subset"]).assign(
        cluster_id="a", score=[0.0, 0.5, 1.0, np.nan, 0.25]
    )
    strata = in_strata(ColumnScores("model", "data-1", queries)).queries.set_index(["subset", "question_id"])["score"]
    assert strata.to_dict() == pytest.approx(
        {("de-en en-de", "q1"): 0.5, ("de-en en-de", "q2"): np.nan, ("th-en", "q1"): 0.25}, nan_ok=True
    )


def runs(folder: Path, names: Mapping[str, float]) -> list[RunScores]:
    tables = [write_ranks(folder, name, level, seed=number) for number, (name, level) in enumerate(names.items())]
    return [run_scores(*rank_table.read(path), languages=["th"]) for path in tables]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = runs(tmp_path, {"me/a": 0.7, "me/b": 0.4})
    path = tmp_path / "some.scores.parquet"
    write_scores(path, written)
    again = read_scores(path)
    assert [run[:4] for run in again] == [run[:4] for run in written]
    for run, stored in zip(written, again, strict=True):
        assert set(stored.columns) == set(run.columns)
        assert {"XQuADR/monolingual/map/th", "XQuADR/pairs/map"} < set(stored.columns)
        for key, scores in run.columns.items():
            assert stored.columns[key].average == pytest.approx(
                scores.average, abs=0.05 if "rank" in key else 5e-4, nan_ok=True
            ), key
            assert stored.columns[key].by_subset == pytest.approx(scores.by_subset, abs=1e-4, nan_ok=True)
            assert stored.columns[key].subsets == scores.subsets
    before = path.read_bytes()
    write_scores(path, written)
    assert path.read_bytes() == before
    [first, second] = find_scores(tmp_path)
    assert (first.file, first.model, second.model) == ("some.scores.parquet", "me/a", "me/b")


def test_runs_on_other_questions_are_refused(tmp_path: Path) -> None:
    more = run_scores(*rank_table.read(write_ranks(tmp_path, "me/more", 0.5, questions=30)))
    few = run_scores(*rank_table.read(write_ranks(tmp_path, "me/few", 0.5)))
    with pytest.raises(RankTableError, match="me/more@main and me/few@main were not evaluated on the same questions"):
        write_scores(tmp_path / "x.scores.parquet", [more, few])


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "some.scores.parquet"
    with pytest.raises(BeirHybridError, match="there is no file of scores"):
        read_scores(path)
    write_scores(path, runs(tmp_path, {"me/a": 0.7}))
    table = pq.read_table(path)
    for wrong, says in (
        (table.replace_schema_metadata({}), "is not a file of scores by question"),
        (table.replace_schema_metadata({b"beir_hybrid_scores": b'{"version": 9, "evaluations": []}'}), "has format 9"),
        (table.replace_schema_metadata({b"beir_hybrid_scores": b'{"version": 2}'}), "'evaluations' is missing"),
        (table.drop_columns("me/a@main"), "lacks the column me/a@main"),
        (table.drop_columns("question_id"), "lacks the column question_id"),
    ):
        pq.write_table(wrong, path)
        with pytest.raises(BeirHybridError, match=says) as caught:
            read_scores(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BeirHybridError, match="truncated or not a Parquet file"):
        find_scores(tmp_path)
