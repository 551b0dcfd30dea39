"""Interleaved rankings against rankings that are really interleaved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.errors import RankTableError
from beir_hybrid.ranks import build
from beir_hybrid.ranks.schema import TOP_LANGUAGES, decode_languages
from beir_hybrid.scoring.bias import query_bias
from beir_hybrid.scoring.interleaving import SUFFIX, interleaved, interleaved_ranks, round_robin_gain
from beir_hybrid.subsets import MULTI
from tests.support.small_ranks import info_of

LANGUAGES = ("de", "en", "th", "zh-Hant")


@dataclass(frozen=True)
class Drawn:
    """Rankings of every pool: query language -> language -> its passages, best first; and the pool of all likewise."""

    sizes: Mapping[str, int]
    rankings: Mapping[str, Mapping[str, Sequence[str]]]
    pools: Mapping[str, Sequence[str]]
    answers: Sequence[str]


@st.composite
def drawn_rankings(draw: st.DrawFn) -> Drawn:
    languages = draw(st.lists(st.sampled_from(LANGUAGES), min_size=1, max_size=4, unique=True))
    sizes = {language: draw(st.integers(1, 9)) for language in languages}
    passages = {language: [f"{language}:{n}" for n in range(size)] for language, size in sizes.items()}
    everything = [passage for some in passages.values() for passage in some]
    return Drawn(
        sizes,
        {
            asked: {language: draw(st.permutations(some)) for language, some in passages.items()}
            for asked in draw(st.lists(st.sampled_from(LANGUAGES), min_size=1, max_size=2, unique=True))
        },
        {asked: draw(st.permutations(everything)) for asked in LANGUAGES},
        draw(st.lists(st.sampled_from(everything), min_size=1, max_size=6, unique=True)),
    )


def really_interleaved(asked: str, rankings: Mapping[str, Sequence[str]]) -> list[str]:
    """Take the next passage of each language in turn, the question's language first, until nothing is left."""
    waiting = {language: list(rankings[language]) for language in sorted(rankings)}
    if asked in waiting:
        waiting = {asked: waiting.pop(asked), **waiting}
    ranking = []
    while any(waiting.values()):
        ranking += [passages.pop(0) for passages in waiting.values() if passages]
    return ranking


def language_of(passage: str) -> str:
    return passage.partition(":")[0]


def table_of(drawn: Drawn) -> pa.Table:
    """Make the rank table of the drawn rankings."""
    rows = [
        {
            "query_id": f"{asked}:q",
            "question_id": "q",
            "query_language": asked,
            "passage_id": passage,
            "passage_language": language_of(passage),
            "rank_in_language": rankings[language_of(passage)].index(passage) + 1,
            "rank_in_pool": drawn.pools[asked].index(passage) + 1,
            "outranked_by_query_language": 0,
            "cluster_id": "0",
            "grade": 1,
            "top_languages": None,
        }
        for asked, rankings in drawn.rankings.items()
        for passage in drawn.answers
    ]
    return build("XQuADR", [{name: [row[name] for row in rows] for name in rows[0]}])


def precision_of(ranking: Sequence[str], answers: Sequence[str]) -> float:
    places = sorted(ranking.index(passage) + 1 for passage in answers)
    return float(np.mean([number / place for number, place in enumerate(places, 1)]))


def evaluated_of(drawn: Drawn) -> dict[str, list[str]]:
    return {asked: [*drawn.sizes, MULTI] for asked in drawn.rankings}


@given(drawn_rankings())
def test_ranks_are_those_of_interleaved_rankings(drawn: Drawn) -> None:
    info = info_of("some", pool_sizes=dict(drawn.sizes), evaluated=evaluated_of(drawn))
    table, new_info = interleaved(table_of(drawn), info)
    assert new_info.model == f"some{SUFFIX}"
    assert new_info.pairs == info.pairs
    frame = table.to_pandas()
    for row in frame.itertuples():
        ranking = really_interleaved(row.query_language, drawn.rankings[row.query_language])
        place = ranking.index(row.passage_id)
        assert row.rank_in_pool == place + 1
        before = [language_of(passage) for passage in ranking[:place]]
        assert row.outranked_by_query_language == before.count(row.query_language)
        assert decode_languages(row.top_languages) == [language_of(passage) for passage in ranking[:TOP_LANGUAGES]]
    assert interleaved_ranks(frame, drawn.sizes).tolist() == frame["rank_in_pool"].tolist()


@given(drawn_rankings())
def test_the_gain_is_a_difference_of_average_precisions(drawn: Drawn) -> None:
    gain = round_robin_gain(table_of(drawn).to_pandas(), drawn.sizes)
    expected = {
        f"{asked}:q": precision_of(really_interleaved(asked, rankings), drawn.answers)
        - precision_of(drawn.pools[asked], drawn.answers)
        for asked, rankings in drawn.rankings.items()
    }
    assert gain.to_dict() == pytest.approx(expected, abs=1e-12)


def one_question(**ranks: tuple[int | None, int | None]) -> pd.DataFrame:
    """Make the rows of an English question: language -> rank of its answer there, and in the pool of all."""
    return pd.DataFrame(
        {
            "query_id": "en:q",
            "query_language": "en",
            "passage_language": [*ranks],
            "rank_in_language": pd.array([rank for rank, _ in ranks.values()], "Int32").astype("float64"),
            "rank_in_pool": pd.array([rank for _, rank in ranks.values()], "Int32").astype("float64"),
        }
    )


def test_a_question_has_no_gain_where_an_answer_has_no_rank() -> None:
    sizes = {"de": 5, "en": 5}
    assert round_robin_gain(one_question(de=(1, 2), en=(1, 1)), sizes).tolist() == [0.0]
    assert round_robin_gain(one_question(de=(None, 2), en=(1, 1)), sizes).isna().all()
    assert round_robin_gain(one_question(de=(1, None), en=(1, 1)), sizes).isna().all()


def test_an_interleaved_table_gives_figures_of_language_bias() -> None:
    drawn = Drawn(
        {"de": 9, "en": 2},
        {"en": {"de": [f"de:{n}" for n in range(9)], "en": ["en:1", "en:0"]}},
        {"en": [*(f"en:{n}" for n in range(2)), *(f"de:{n}" for n in range(9))]},
        ["de:4", "en:0"],
    )
    table, info = interleaved(
        table_of(drawn), info_of("some", pool_sizes=dict(drawn.sizes), evaluated={"en": ["de", "en", MULTI]})
    )
    figures = query_bias(table.to_pandas(), info.pool_sizes).loc["en:q"]
    assert figures["rank_distance"] == 7 - 3  # en 1, de 0, en 0, de 1, de 2, de 3, de 4
    assert figures["strong_alignment"] == 0.0


def test_only_question_languages_that_were_evaluated_everywhere_are_interleaved() -> None:
    drawn = Drawn(
        {"de": 2, "en": 2},
        {asked: {"de": ["de:0", "de:1"], "en": ["en:1", "en:0"]} for asked in ("de", "en")},
        {asked: ["de:0", "en:0", "de:1", "en:1"] for asked in ("de", "en")},
        ["de:1", "en:0"],
    )
    evaluated = {"de": ["de", MULTI], "en": ["de", "en", MULTI]}
    table, info = interleaved(table_of(drawn), info_of("some", pool_sizes=dict(drawn.sizes), evaluated=evaluated))
    frame = table.to_pandas()
    assert frame.loc[frame["query_language"] == "de", "rank_in_pool"].isna().all()
    assert frame.loc[frame["query_language"] == "en", "rank_in_pool"].notna().all()
    assert info.evaluated == {"de": ["de"], "en": ["de", "en", MULTI]}
    with pytest.raises(RankTableError, match="cannot be interleaved: no language of its questions"):
        interleaved(table_of(drawn), info_of("some", pool_sizes=dict(drawn.sizes), evaluated={"en": ["en", MULTI]}))


def test_the_first_languages_of_a_search_that_was_cut_are_not_known() -> None:
    drawn = Drawn({"en": 2}, {"en": {"en": ["en:0", "en:1"]}}, {"en": ["en:0", "en:1"]}, ["en:1"])
    info = info_of("some", pool_sizes={"en": 2}, evaluated={"en": ["en", MULTI]}, cut=2)
    table, _ = interleaved(table_of(drawn), info)
    assert table["top_languages"].to_pylist() == [None]
    assert table["rank_in_pool"].to_pylist() == [2]
