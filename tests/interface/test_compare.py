"""``beir_hybrid.compare`` against the leaderboard's own tests, and what cannot be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pytest

import beir_hybrid as bh
from beir_hybrid.errors import BeirHybridError, RankTableError
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.unit_scores import unit_scores
from beir_hybrid.leaderboard.stats.corrections import correct
from beir_hybrid.leaderboard.stats.significance import compare
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES
from tests.support.small_ranks import lose_ranks, write_ranks

TASK = "XQuADR"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[bh.RankTable, bh.RankTable]:
    folder = tmp_path_factory.mktemp("ranks")
    good, bad = (write_ranks(folder, name, level) for name, level in (("me/good", 0.9), ("me/bad", 0.3)))
    return bh.RankTable.load(good), bh.RankTable.load(bad)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[bh.RankTable, bh.RankTable]:
    folder = tmp_path_factory.mktemp("small")
    paths = [write_ranks(folder, f"me/{level}", level, questions=8, languages=("de", "en")) for level in (0.9, 0.3)]
    return bh.RankTable.load(paths[0]), bh.RankTable.load(paths[1])


def test_it_gives_the_tests_of_the_leaderboard(tables: tuple[bh.RankTable, bh.RankTable]) -> None:
    found = bh.compare(*tables)
    columns = [Column.of(TASK, setting, "map", "", "") for setting in ("monolingual", "cross-lingual", "multilingual")]
    columns += [Column.of(TASK, "multilingual", metric.name, "", "") for metric in BOARD_LANGUAGE_FIGURES]
    assert list(found.frame.index) == [(column.setting, column.metric) for column in columns]
    p_values = []
    for column in columns:
        scores = [unit_scores(table.table, table.info, column) for table in tables]
        margin = 0.01 if column.metric == "map" else None
        expected = compare(*([one] for one in scores), margin=margin, higher_is_better=column.higher_is_better)
        row = found.frame.loc[column.setting, column.metric]
        assert (row["value"], row["baseline"]) == (scores[0].average, scores[1].average)
        for name in ("difference", "low", "high", "p"):
            assert row[name] == getattr(expected, name)
        p_values.append(expected.p)
    assert found.frame["p_corrected"].to_list() == pytest.approx(list(correct(p_values)))
    assert set(found.frame["verdict"]) <= {"better", "worse", "higher", "lower", "can't be told"}
    assert found.frame.loc[("multilingual", "map"), "verdict"] == "better"
    assert (found.unit, found.units) == ("article", 10)


def test_the_same_ranks_are_equivalent_and_turned_round_the_signs_change(
    small: tuple[bh.RankTable, bh.RankTable], tables: tuple[bh.RankTable, bh.RankTable]
) -> None:
    same = bh.compare(tables[0], tables[0])
    assert same.frame.loc[("monolingual", "map"), "verdict"] == "equivalent"
    assert same.frame["p"].to_list() == [1.0] * len(same.frame)
    forth, back = bh.compare(*small).frame, bh.compare(*reversed(small)).frame
    assert forth["difference"].to_list() == pytest.approx([-x for x in back["difference"]])
    assert forth["p_corrected"].to_list() == pytest.approx(back["p_corrected"].to_list())


def test_it_is_shown_as_a_table_and_names_are_no_markup(small: tuple[bh.RankTable, bh.RankTable]) -> None:
    named = replace(small[0], info=replace(small[0].info, model="me/<i>good</i>"))
    found = bh.compare(named, small[1])
    text = repr(found)
    assert text.startswith("me/<i>good</i> less me/0.3 on XQuADR, ")
    row = found.frame.loc[("multilingual", "map")]
    assert f"{row['difference']:+.3f}" in text
    assert f"{row['low']:+.3f} to {row['high']:+.3f}" in text
    page = found._repr_html_()
    assert "<i>" not in page
    assert page.count("<tr") == len(found.frame) + 1


def test_what_cannot_be_compared_is_said_in_one_line(small: tuple[bh.RankTable, bh.RankTable], tmp_path: Path) -> None:
    one, other = small
    few = bh.RankTable.load(write_ranks(tmp_path, "me/few", 0.6, questions=6, languages=("de", "en")))
    pool = replace(other.info, evaluated={"en": ["multi"]})
    alone = replace(one.info, evaluated={"en": ["en"]})
    for baseline, said in (
        (replace(other, info=replace(other.info, dataset_revision="data-2")), "data revision"),
        (replace(other, info=replace(other.info, task="MLQAR")), "the ranks are of XQuADR and of MLQAR"),
        (few, "not evaluated on the same questions"),
        ("ranks.parquet", "a str cannot be compared"),
    ):
        with pytest.raises(RankTableError, match=said) as error:
            bh.compare(one, baseline)
        assert len(str(error.value).splitlines()) == 1
    with pytest.raises(RankTableError, match="on no subsets of the same setting"):
        bh.compare(replace(one, info=alone), replace(other, info=pool))
    assert len(bh.compare(one, few, common_questions=True).frame) > 3
    for options, said in (
        ({"unit": "word"}, "unit ="),
        ({"alpha": 2}, "alpha ="),
        ({"margins": {"map": -1}}, "margin"),
    ):
        with pytest.raises(BeirHybridError, match=said):
            bh.compare(one, other, **options)


def test_the_gate_asks_for_all_settings(tables: tuple[bh.RankTable, bh.RankTable]) -> None:
    forth, back = bh.compare(*tables), bh.compare(*reversed(tables))
    gate = forth.gate(0.01)
    assert gate.passed and list(gate.settings) == ["monolingual", "cross-lingual", "multilingual"]
    assert not back.gate(0.01).passed
    assert back.gate(0.9, ["multilingual"]).passed
    for setting, test in gate.settings.items():
        row = forth.frame.loc[setting, "map"]
        assert (test.difference, test.bound) == (row["difference"], row["low"])  # what the table shows decides
        assert test.shown and test.p <= 0.025
    loss = float(back.frame.loc[("multilingual", "map"), "low"])
    at_the_bound = [back.gate(-loss * factor, ["multilingual"]).settings["multilingual"] for factor in (0.99, 1.5)]
    assert [test.shown for test in at_the_bound] == [False, True]


def test_a_gate_decides_what_the_verdicts_come_to(tables: tuple[bh.RankTable, bh.RankTable]) -> None:
    same = bh.compare(tables[0], tables[0])
    key = ("multilingual", "map")
    assert same.decisions()[key] == same.decisions(same.gate(0.01))[key] == "not worse"
    back = bh.compare(*reversed(tables))
    assert back.decisions()[key] == back.decisions(back.gate(0.9))[key] == "worse"
    assert set(back.decisions().values()) <= {"better", "worse", "higher", "lower", "cannot tell"}


def test_a_setting_that_is_worse_stops_the_gate(tables: tuple[bh.RankTable, bh.RankTable]) -> None:
    good, bad = tables
    ranks = good.table.set_column(
        good.table.schema.get_field_index("rank_in_pool"), "rank_in_pool", bad.table["rank_in_pool"]
    )
    gate = bh.compare(replace(good, table=ranks), good).gate(0.01)
    assert {setting: test.shown for setting, test in gate.settings.items()} == {
        "monolingual": True,
        "cross-lingual": True,
        "multilingual": False,
    }
    assert not gate.passed


def test_what_a_gate_cannot_be_asked(tables: tuple[bh.RankTable, bh.RankTable]) -> None:
    found = bh.compare(*tables)
    for margin in (0, -0.01, float("nan"), float("inf")):
        with pytest.raises(BeirHybridError, match="write a number above 0"):
            found.gate(margin)
    with pytest.raises(BeirHybridError, match="no setting 'multi' was compared; there are monolingual"):
        found.gate(0.01, ["multi"])
    with pytest.raises(BeirHybridError, match="no settings"):
        found.gate(0.01, [])
    alone = [replace(table, info=replace(table.info, evaluated={"en": ["en"]})) for table in tables]
    only = [replace(table, table=table.table.filter(_english(table))) for table in alone]
    with pytest.raises(BeirHybridError, match="no setting 'multilingual' was compared; there are monolingual"):
        bh.compare(*only).gate(0.01, ["multilingual"])
    with pytest.raises(RankTableError, match="rank_distance is no score of a setting"):
        bh.compare(replace(tables[0], metric="rank_distance"), tables[1])


def _english(table: bh.RankTable) -> object:
    return pc.and_(pc.equal(table.table["query_language"], "en"), pc.equal(table.table["passage_language"], "en"))


def test_ranks_that_a_search_did_not_return_can_be_compared(
    tables: tuple[bh.RankTable, bh.RankTable], tmp_path: Path
) -> None:
    path = write_ranks(tmp_path, "me/search", 0.9, cut=1000)
    lose_ranks(path, queries=20)
    found = bh.compare(bh.RankTable.load(path), tables[0])
    assert found.frame.loc["multilingual", "map"]["difference"] < 0
    assert found.frame.loc["multilingual", "rank_distance"]["verdict"] == "not tested"
    assert found.gate(0.01, ["monolingual"]).passed
