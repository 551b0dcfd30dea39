"""The rows of rank tables, whoever ranked: a counting pass, a search, or predictions that somebody has stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from beir_hybrid.ranks.schema import SCHEMA
from beir_hybrid.subsets import MULTI, Subset

if TYPE_CHECKING:
    from beir_hybrid.corpora.parallel import ParallelCorpus
    from beir_hybrid.ranks.search import SearchRanks

Columns = dict[str, Any]
"""Some rows of a rank table: name of a column, but for ``task`` -> its values, as Arrow, numpy or a list has them."""


def build(task: str, chunks: Sequence[Columns], as_written: bool = False) -> pa.Table:
    """Make a rank table.

    Args:
        task: Name of the task.
        chunks: Its rows.
        as_written: Leave texts that repeat in dictionaries, where the rows have them so, which ``rank_table.store``
            takes, too: with the top languages in each row, a table is twice as large.
    """

    def column(name: str) -> pa.ChunkedArray:
        kind = SCHEMA.field(name).type
        arrays = [one if isinstance(one := chunk[name], pa.Array) else pa.array(one, kind) for chunk in chunks]
        if as_written and arrays and all(pa.types.is_dictionary(one.type) for one in arrays):
            return pa.chunked_array(arrays).unify_dictionaries()
        return pa.chunked_array([one.cast(kind) for one in arrays], kind)

    columns = {name: column(name) for name in SCHEMA.names if name != "task"}
    columns["task"] = pa.repeat(task, len(columns["query_id"]))
    return pa.table({name: columns[name] for name in SCHEMA.names})


def columns_of(
    *,
    query_id: Any,
    question_id: Any,
    query_language: str,
    passage_id: Any,
    passage_language: Any,
    cluster_id: Any,
    grade: Any,
    rank_in_language: Any = None,
    rank_in_pool: Any = None,
    outranked_by_query_language: Any = None,
    top_languages: Any = None,
) -> Columns:
    """Give n rows of one question language; ranks that are None are unknown in all of them."""
    n = len(query_id)
    known = {
        "rank_in_language": rank_in_language,
        "rank_in_pool": rank_in_pool,
        "outranked_by_query_language": outranked_by_query_language,
        "top_languages": top_languages,
    }
    return {
        "query_id": query_id,
        "question_id": question_id,
        "query_language": pa.repeat(query_language, n),
        "passage_id": passage_id,
        "passage_language": passage_language,
        "cluster_id": cluster_id,
        "grade": grade,
        **{name: pa.nulls(n, SCHEMA.field(name).type) if values is None else values for name, values in known.items()},
    }


def search_rows(ranks: SearchRanks, corpus: ParallelCorpus, subset: str) -> Columns:
    """Give the rows that a search of one subset knows.

    Args:
        ranks: The ranks of the relevant passages.
        corpus: Where questions and articles come from.
        subset: Subset such as ``en-de``, whose ranks are ranks in a language, or ``en-multi``.
    """
    pair = Subset.parse(subset)
    part = corpus.languages[pair.questions]
    question = dict(zip(part.query_ids, zip(part.question_ids, part.articles, strict=True), strict=True))
    passages = [passage for found in ranks.found.values() for passage in found]
    known = [passage.rank for passage in passages]
    of_pool = {
        "rank_in_pool": known,
        "outranked_by_query_language": [passage.in_query_language for passage in passages],
        "top_languages": [passage.top_languages for passage in passages],
    }
    return columns_of(
        query_id=[passage.query_id for passage in passages],
        question_id=[question[passage.query_id][0] for passage in passages],
        query_language=pair.questions,
        passage_id=[passage.passage_id for passage in passages],
        passage_language=[passage.passage_id.partition(":")[0] for passage in passages],
        cluster_id=[question[passage.query_id][1] for passage in passages],
        grade=[passage.grade for passage in passages],
        **(of_pool if pair.pool == MULTI else {"rank_in_language": known}),
    )


def prediction_rows(ranks: SearchRanks, subset: str) -> Columns:
    """Give the rows of stored predictions of a subset, which stands for a language: each query is its own article."""
    passages = [passage for found in ranks.found.values() for passage in found]
    unit = [f"{subset}:{passage.query_id}" for passage in passages]
    return columns_of(
        query_id=unit,
        question_id=unit,
        query_language=subset,
        passage_id=[passage.passage_id for passage in passages],
        passage_language=pa.repeat(subset, len(passages)),
        cluster_id=unit,
        grade=[passage.grade for passage in passages],
        rank_in_language=[passage.rank for passage in passages],
    )
