"""Balanced retrieval: the rankings of the single languages, interleaved, instead of one ranking of all passages.

The question's language comes first, then the other languages of the pool in the order of their codes; each gives its
next passage in turn, and one that is used up is skipped. So no score is compared across languages. Which ranks that
gives follows exactly from the ranks in the single-language pools: before the answer of rank r stand min(n, r) passages
of each language of n passages that has its turn earlier, min(n, r - 1) of each that has it later, and r - 1 of its own.

Source: arXiv 2507.07543.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from beir_hybrid.corpora.registry import is_judged_in_own_language
from beir_hybrid.errors import RankTableError
from beir_hybrid.ranks.rank_table import evaluated_pairs
from beir_hybrid.ranks.schema import SCHEMA, TOP_LANGUAGES, TableInfo, encode_languages
from beir_hybrid.subsets import MULTI

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIX = "+interleaved"
"""Follows the name of a model in rank tables of its interleaved rankings."""


def order_of_turns(query_language: str, pool_sizes: Mapping[str, int]) -> list[str]:
    """Return the languages of a pool in the order of their turns: the question's, then the others by code."""
    return sorted(pool_sizes, key=lambda language: (language != query_language, language))


def interleaved_ranks(table: pd.DataFrame, pool_sizes: Mapping[str, int]) -> pd.Series:
    """Compute the rank of each answer in the interleaved rankings of its question.

    Args:
        table: A rank table of n rows. Of a search that returned a part of a pool only, the rest is taken to follow.
        pool_sizes: Language -> passages of the pool.

    Returns:
        Ranks from 1 as floats, shape (n,), in the index of ``table``; NaN where the rank in the language is unknown.
    """
    before = _passages_before(table, pool_sizes)
    rank = before.sum(axis=1) + 1.0
    return pd.Series(np.where(table["rank_in_language"].notna(), rank, np.nan), table.index, name="interleaved_rank")


def interleaved(table: pa.Table, info: TableInfo) -> tuple[pa.Table, TableInfo]:
    """Make the rank table of the interleaved rankings from that of a model.

    Args:
        table: The rank table of the model.
        info: What holds for all of it.

    Returns:
        The same rows with ``rank_in_pool``, ``outranked_by_query_language`` and ``top_languages`` as they are in the
        interleaved rankings, null for question languages that were not evaluated on all pools; and what holds for them,
        the model's name ending with `SUFFIX`. Of a search whose results were cut, ``top_languages`` are not known.

    Raises:
        RankTableError: No question language was evaluated on each single-language pool and on the pool of all.
    """
    frame = table.to_pandas()
    languages = _evaluated_everywhere(frame, info)
    if not languages:
        raise RankTableError(
            f"the rank table of {info.model} on {info.task} cannot be interleaved: no language of its questions was "
            "evaluated on the pool of each language and on the pool of all; evaluate all subsets"
        )
    before = _passages_before(frame, info.pool_sizes)
    known = (frame["rank_in_language"].notna() & frame["query_language"].isin(languages)).to_numpy()
    same = frame["query_language"].to_numpy(dtype=object)[:, None] == np.array([*info.pool_sizes], dtype=object)
    tops = {language: _top_languages(language, info.pool_sizes) for language in languages if info.cut is None}
    columns = {
        "rank_in_pool": pa.array(before.sum(axis=1) + 1, pa.int32(), mask=~known),
        "outranked_by_query_language": pa.array((before * same).sum(axis=1), pa.int32(), mask=~known),
        "top_languages": pa.array([tops.get(language) for language in frame["query_language"]], pa.string()),
    }
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), SCHEMA.field(name), values)
    pools: dict[str, list[str]] = {}
    for language, pool in sorted(evaluated_pairs(frame, info)):
        if pool != MULTI or language in languages:
            pools.setdefault(language, []).append(pool)
    return table, replace(info, model=info.model + SUFFIX, evaluated=pools)


def round_robin_gain(table: pd.DataFrame, pool_sizes: Mapping[str, int]) -> pd.Series:
    """Compute what comparing scores across languages costs each question: below 0 where it helps.

    Args:
        table: A rank table with ranks in each single-language pool and in the pool of all languages.
        pool_sizes: Language -> passages of the pool.

    Returns:
        query_id -> average precision of the interleaved rankings less that of the pool; NaN where one of the ranks of
        a question's answers is unknown.
    """
    interleaving = _average_precision(table, interleaved_ranks(table, pool_sizes))
    return (interleaving - _average_precision(table, table["rank_in_pool"])).rename("round_robin_gain")


def _passages_before(table: pd.DataFrame, pool_sizes: Mapping[str, int]) -> NDArray[np.int64]:
    """Count the passages of each language before each answer, shape (n, languages); 0 where its rank is unknown."""
    languages = list(pool_sizes)
    ranks = table["rank_in_language"].fillna(0).to_numpy(dtype=np.int64)
    before = np.zeros((len(table), len(languages)), dtype=np.int64)
    pairs: Any = table.groupby(["query_language", "passage_language"], sort=False).indices
    for (query_language, passage_language), rows in pairs.items():
        turns = order_of_turns(query_language, pool_sizes)
        not_earlier = [turns.index(language) >= turns.index(passage_language) for language in languages]
        before[rows] = np.clip(ranks[rows, None] - np.array(not_earlier), 0, [*pool_sizes.values()])
    return before


def _average_precision(table: pd.DataFrame, ranks: pd.Series) -> pd.Series:
    """Compute the average precision of each query, by query_id; NaN where a rank is unknown."""
    rows = pd.DataFrame({"query_id": table["query_id"], "rank": ranks.astype(float)})
    rows = rows.sort_values(["query_id", "rank"], kind="stable")
    place = rows.groupby("query_id", sort=False).cumcount() + 1
    of_query = (place / rows["rank"]).groupby(rows["query_id"], sort=False)
    return of_query.mean().where(of_query.count() == of_query.size())


def _evaluated_everywhere(frame: pd.DataFrame, info: TableInfo) -> set[str]:
    """Return the question languages that were evaluated on the pool of all and on each pool that has their answers."""
    pairs = evaluated_pairs(frame, info)
    own_only = is_judged_in_own_language(info.task)
    return {
        language
        for language, pool in pairs
        if pool == MULTI and all((language, one) in pairs for one in ([language] if own_only else info.pool_sizes))
    }


def _top_languages(query_language: str, pool_sizes: Mapping[str, int]) -> str:
    """Return the languages of the first passages of the interleaved rankings, as rank tables hold them."""
    turns = order_of_turns(query_language, pool_sizes)
    top: list[str] = []
    for number in range(max(pool_sizes.values())):
        top += [language for language in turns if number < pool_sizes[language]]
        if len(top) >= TOP_LANGUAGES:
            break
    return encode_languages(top[:TOP_LANGUAGES])
