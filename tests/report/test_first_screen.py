"""The first screen of a report, against the figures of a rank table and the comparison of two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from beir_hybrid.interface.model_comparison import compare
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES
from beir_hybrid.report.figures import first_screen
from beir_hybrid.subsets import SETTINGS
from tests.support.ranked_runs import LANGUAGES, corpus_of, random_scores, run_of

CORPUS = corpus_of(questions=36, passages=40)


@pytest.fixture(scope="module")
def runs():
    return [run_of(CORPUS, random_scores(seed, own, 0.6), f"me/{seed}") for seed, own in ((1, 0.1), (2, 0.9))]


def test_figures_are_those_of_the_rank_table_with_intervals_around_them(runs) -> None:
    screen = first_screen(runs[:1])
    assert (screen.unit, screen.units) == ("articles", 18)
    assert [(row.setting, row.metric) for row in screen.rows] == [
        *((setting, "map") for setting in SETTINGS),
        *(("", metric.name) for metric in BOARD_LANGUAGE_FIGURES),
    ]
    wanted = [*runs[0].settings, *(runs[0].languages.loc["all", metric.name] for metric in BOARD_LANGUAGE_FIGURES)]
    for row, value in zip(screen.rows, wanted, strict=True):
        [figure] = row.figures
        assert figure.value == pytest.approx(value) and figure.low <= figure.value <= figure.high
        assert row.difference is None


def test_differences_are_those_of_compare(runs) -> None:
    frame = compare(*runs).frame
    for row in first_screen(runs).rows:
        expected = frame.loc[(row.setting or SETTINGS[-1], row.metric)]
        got = row.difference
        assert (got.value, got.low, got.high, got.p) == tuple(expected[["difference", "low", "high", "p_corrected"]])
        assert got.verdict == expected["verdict"]
        assert got.value == pytest.approx(row.figures[0].value - row.figures[1].value)


def test_what_a_search_did_not_return_leaves_figures_empty_and_untested(runs) -> None:
    search = run_of(CORPUS, random_scores(2, 0.9, 0.6), "me/search", cut=20)
    screen = first_screen([runs[0], search])
    empty = [row for row in screen.rows if row.figures[1].value is None]
    assert "rank_distance" in [row.metric for row in empty]
    assert all(
        row.figures[1].low is None and row.difference.p is None and row.difference.verdict == "" for row in empty
    )
    assert screen.coverage[0]["rank_distance"] == 1 and screen.coverage[1]["rank_distance"] < 0.9


def test_other_questions_have_the_metric_asked_for(runs) -> None:
    rows = first_screen([replace(runs[0], metric="ndcg_at_10")]).rows
    assert [row.metric for row in rows[:3]] == ["ndcg_at_10"] * 3
    assert rows[0].figures[0].value == pytest.approx(
        runs[0].scores.loc[[f"{x}-{x}" for x in LANGUAGES], "ndcg_at_10"].mean()
    )


def test_a_single_article_has_figures_without_intervals() -> None:
    screen = first_screen([run_of(corpus_of(questions=1), random_scores(1))])
    assert screen.units == 0
    assert all(row.figures[0].value is not None and row.figures[0].low is None for row in screen.rows)
