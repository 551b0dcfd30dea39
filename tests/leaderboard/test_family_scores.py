"""Figures of groups of language pairs: against loops over made-up rank tables, and those of the published tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.families import BETWEEN_FAMILIES, MONOLINGUAL, UNKNOWN_FAMILY, WITHIN_FAMILY, pair_groups
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.family_scores import family_scores
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, column_scores
from beir_hybrid.ranks import build, rank_table
from tests.support.helpers import property_test
from tests.support.small_ranks import info_of, write_ranks

RANKS = Path(__file__).parents[2] / "leaderboard" / "published" / "ranks"

LANGUAGES = ("de", "en", "eo", "th", "vi")
POOL = 12


@st.composite
def made_up(draw: st.DrawFn) -> pa.Table:
    """Draw the rank table of questions with up to two answers a language; a search may return a part of the pool."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    returned = draw(st.sampled_from([60, 57, 30]))
    rows = []
    for number in range(draw(st.integers(1, 4))):
        n_right = {language: random.integers(0, 3) for language in LANGUAGES}
        for asked in random.permutation(LANGUAGES)[: random.integers(1, 6)]:
            places = random.permutation(POOL * len(LANGUAGES))
            languages = np.repeat(LANGUAGES, POOL)[places]
            for language, right in n_right.items():
                inside = np.flatnonzero(languages == language)
                for answer in random.choice(POOL, size=right, replace=False):
                    known = inside[answer] < returned
                    rows.append(
                        {
                            "query_id": f"{asked}:q{number}",
                            "question_id": f"q{number}",
                            "query_language": str(asked),
                            "passage_id": f"{language}:{len(rows)}",
                            "passage_language": language,
                            "rank_in_language": int(answer) + 1 if known else None,
                            "rank_in_pool": int(inside[answer]) + 1 if known else None,
                            "outranked_by_query_language": 0,
                            "cluster_id": f"article {number // 2}",
                            "grade": 1,
                            "top_languages": None,
                        }
                    )
    columns = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
    return build("XQuADR", [columns] if rows else [])


def by_hand(table: pa.Table) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return figure -> group -> pair -> average precisions of its queries."""
    found: dict = {figure: defaultdict(lambda: defaultdict(list)) for figure in ("map", "one_target_map")}
    queries: dict[str, list[dict]] = defaultdict(list)
    for row in table.to_pylist():
        queries[row["query_id"]].append(row)
    for answers in queries.values():
        for language in {row["passage_language"] for row in answers}:
            targets = [row for row in answers if row["passage_language"] == language]
            ranks = sorted(row["rank_in_language"] for row in targets if row["rank_in_language"])
            precision = sum(place / rank for place, rank in enumerate(ranks, 1)) / len(targets)
            others = [row["rank_in_pool"] for row in answers if row["passage_language"] != language]
            places = [row["rank_in_pool"] for row in targets]
            alone = np.nan
            if all(places):
                left = sorted(place - sum(other < place for other in others if other) for place in places)
                alone = fmean(place / rank for place, rank in enumerate(left, 1))
            asked = targets[0]["query_language"]
            for group in pair_groups(asked, language):
                found["map"][group][f"{asked}-{language}"].append(precision)
                found["one_target_map"][group][f"{asked}-{language}"].append(alone)
    return found


@property_test(25)
@given(made_up())
def test_figures_of_groups_equal_loops(table: pa.Table) -> None:
    info = info_of("made-up", languages=LANGUAGES, pool_sizes=dict.fromkeys(LANGUAGES, POOL), evaluated=everything())
    expected = by_hand(table)
    found = family_scores(table, info)
    for figure, by_group in found.items():
        assert set(by_group) == set(expected[figure])
        for group, scores in by_group.items():
            pairs = expected[figure][group]
            assert scores.subsets == tuple(sorted(pairs))
            values = [value for of_pair in pairs.values() for value in of_pair]
            known = [value for value in values if not np.isnan(value)]
            assert scores.coverage == pytest.approx(len(known) / len(values))
            if len(known) >= 0.9 * len(values):
                means = [float(np.nanmean(of_pair)) for of_pair in pairs.values() if not np.isnan(of_pair).all()]
                assert scores.average == pytest.approx(fmean(means))
            else:
                assert np.isnan(scores.average)
    returned = any(row["rank_in_pool"] for row in table.to_pylist())
    assert set(found) == ({"map", "one_target_map"} if returned else {"map"} if len(table) else set())


def everything() -> dict[str, list[str]]:
    return {language: [*LANGUAGES, "multi"] for language in LANGUAGES}


def test_the_groups_of_families_are_parts_of_the_settings(tmp_path: Path) -> None:
    table, info = rank_table.read(write_ranks(tmp_path, "made/up", 0.5, languages=LANGUAGES))
    columns = [Column.of("XQuADR", setting, "map", setting, "") for setting in ("monolingual", "cross-lingual")]
    monolingual, crossing = (column_scores(table, info, [column])[column.key] for column in columns)
    groups = family_scores(table, info)["map"]
    assert groups[MONOLINGUAL].average == pytest.approx(monolingual.average)
    parts = [groups[name] for name in (WITHIN_FAMILY, BETWEEN_FAMILIES, UNKNOWN_FAMILY)]
    assert sorted(subset for part in parts for subset in part.subsets) == sorted(crossing.subsets)
    sizes = [len(part.subsets) for part in parts]
    assert sizes == [2, 10, 8]
    assert np.average([part.average for part in parts], weights=sizes) == pytest.approx(crossing.average)


@cache
def published(model: str) -> dict[str, Mapping[str, ColumnScores]]:
    """Return the figures of a model on XQuAD-R from its published rank table."""
    files = sorted(RANKS.glob(f"beir-hybrid-study__{model}/*/XQuADR.parquet"))
    if not files:
        pytest.skip("the source distribution has no published results")
    return family_scores(*rank_table.read(files[0]))


UNTUNED, X_X = "multilingual-e5-small-q4_untuned", "mlqa-r-full_full_X-X_seed-0"
HYBRID = "mlqa-r-full_full_hybrid-0.5_seed-0"


@pytest.mark.parametrize(
    ("model", "within", "between"), [(UNTUNED, 0.215, 0.096), (X_X, 0.443, 0.327), (HYBRID, 0.453, 0.351)]
)
def test_one_target_figures_of_the_published_tables(model: str, within: float, between: float) -> None:
    groups = published(model)["one_target_map"]
    assert groups[WITHIN_FAMILY].average == pytest.approx(within, abs=5e-4)
    assert groups[BETWEEN_FAMILIES].average == pytest.approx(between, abs=5e-4)


@pytest.mark.parametrize(
    ("group", "difference", "low", "high"),
    [(WITHIN_FAMILY, -0.0031, -0.0057, -0.0005), (BETWEEN_FAMILIES, 0.0032, 0.0007, 0.0057)],
)
def test_hybrid_helps_between_families_and_not_within(group: str, difference: float, low: float, high: float) -> None:
    hybrid, baseline = (published(model)["map"][group].queries for model in (HYBRID, X_X))
    both = hybrid.merge(baseline, on=["query_id", "subset", "cluster_id"])
    difference_of = both.assign(score=both["score_x"] - both["score_y"]).groupby(["cluster_id", "subset"])["score"]
    sums, counts = (part.unstack(fill_value=0).to_numpy() for part in (difference_of.sum(), difference_of.count()))
    assert (sums.sum(0) / counts.sum(0)).mean() == pytest.approx(difference, abs=5e-5)
    draws = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=10_000)
    means = ((draws @ sums) / (draws @ counts)).mean(axis=1)
    assert np.quantile(means, [0.025, 0.975]) == pytest.approx([low, high], abs=5e-4)
