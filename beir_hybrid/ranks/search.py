"""Ranks from the results of a search: models that do not embed end in the same rank table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from beir_hybrid.ranks.schema import TOP_LANGUAGES, encode_languages
from beir_hybrid.ranks.tops import SCHEMA, Tops
from beir_hybrid.subsets import MULTI, Subset

Results = Mapping[str, Mapping[str, float]]
"""Query id -> passage id -> score."""


@dataclass(frozen=True)
class FoundPassage:
    """A relevant passage in the results of a query.

    Attributes:
        query_id: The query.
        passage_id: The relevant passage.
        rank: Its rank, from 1; None if the search did not return it.
        in_query_language: Passages in the language of the query before it; None if it was not returned.
        grade: Grade of the judgment.
        top_languages: Languages of the first 100 results, as a rank table keeps them.
    """

    query_id: str
    passage_id: str
    rank: int | None
    in_query_language: int | None
    grade: int
    top_languages: str


@dataclass(frozen=True)
class SearchRanks:
    """The relevant passages of all queries of a search, query after query."""

    found: Mapping[str, list[FoundPassage]]

    def mean_average_precision(self) -> float:
        """Mean over the queries of the average precision over everything that the search returned."""
        precisions = []
        for passages in self.found.values():
            ranks = sorted(passage.rank for passage in passages if passage.rank is not None)
            precisions.append(sum(place / rank for place, rank in enumerate(ranks, 1)) / len(passages))
        return sum(precisions) / len(precisions)


def returned(results: Results, model_types: Collection[str] = ()) -> Results:
    """Leave out what a lexical search did not find: passages of score 0, which share no word with the query.

    MTEB's BM25 fills up its results with them, in an arbitrary order; that would become ranks. What searches by meaning
    may score 0 like anything else. So zeros are left out

    - if the model says that it is sparse, as MTEB's BM25 does;
    - if it does not say what it is: where no score of the search is negative and some query has several zeros, which
      is how lexical searches end, and where ranks would follow from the order of the ids alone;
    - never if it says that it is something else: dense, late interaction, or a cross-encoder, which may grade with 0.

    A query keeps its entry, were it an empty one: it was searched for.

    Args:
        results: Scores of the passages that a search handed over for one pool.
        model_types: What the model is, in the words of MTEB's ``ModelMeta.model_type``; empty where that is not known.
    """
    if "sparse" not in model_types and (model_types or not _ends_in_zeros(results)):
        return results
    return {
        query_id: {passage_id: score for passage_id, score in scores.items() if score != 0}
        for query_id, scores in results.items()
    }


def _ends_in_zeros(results: Results) -> bool:
    several = False
    for scores in results.values():
        values = np.fromiter(scores.values(), dtype=np.float64, count=len(scores))
        if not (values >= 0).all():
            return False
        several = several or int((values == 0).sum()) > 1
    return several


def ranks_in_results(results: Results, relevant: Mapping[str, Mapping[str, int]]) -> SearchRanks:
    """Rank the relevant passages of each query among its results.

    Equal scores rank as trec_eval ranks them: the larger passage id first.

    Args:
        results: Scores of the returned passages.
        relevant: Query id -> passage id -> grade; queries without a passage of positive grade are left out.
    """
    found: dict[str, list[FoundPassage]] = {}
    for query_id, grades in relevant.items():
        positive = {passage_id: grade for passage_id, grade in grades.items() if grade > 0}
        if positive:
            found[query_id] = _find(query_id, positive, results.get(query_id, {}))
    return SearchRanks(found)


def _find(query_id: str, grades: Mapping[str, int], scores: Mapping[str, float]) -> list[FoundPassage]:
    prefix = f"{query_id.partition(':')[0]}:"
    places: dict[str, tuple[int, int]] = {}
    in_query_language = 0
    order = [passage_id for _, passage_id in _ranking(scores)]
    for rank, passage_id in enumerate(order, 1):
        places[passage_id] = (rank, in_query_language)
        in_query_language += passage_id.startswith(prefix)
    best = encode_languages([passage_id.partition(":")[0] for passage_id in order[:TOP_LANGUAGES]])
    found = []
    for passage_id, grade in grades.items():
        place, before = places.get(passage_id, (None, None))
        found.append(FoundPassage(query_id, passage_id, place, before, grade, best))
    return found


def _ranking(scores: Mapping[str, float]) -> list[tuple[float, str]]:
    """Return scores and passages, best first."""
    # trec_eval keeps scores in single precision: that is where they are equal.
    single = np.array(list(scores.values()), dtype=np.float32).tolist()
    return sorted(zip(single, scores, strict=True), reverse=True)


def tops_in_results(
    results: Results, relevant: Mapping[str, Mapping[str, int]], pair: Subset, languages: Sequence[str], k: int
) -> Tops:
    """Keep the best results of each query, and count what outranks the relevant passages that were returned.

    Args:
        results: Scores of the returned passages.
        relevant: Query id -> passage id -> grade.
        pair: The language of the queries, and the pool.
        languages: Languages of the pool.
        k: Results of each query to keep.
    """
    rows: list[tuple[str, int, str, float]] = []
    counts = dict.fromkeys(languages, 0)
    for query_id, scores in results.items():
        ranking = [(score, passage_id) for score, passage_id in _ranking(scores) if _language_of(passage_id) in counts]
        best = ((query_id, place, passage_id, score) for place, (score, passage_id) in enumerate(ranking[:k], 1))
        rows += [row for row in best if row[-1] > -np.inf]
        if pair.pool == MULTI:
            outranked = 0  # relevant passages behind
            grades = relevant.get(query_id, {})
            for _, passage_id in reversed(ranking):
                counts[_language_of(passage_id)] += outranked
                outranked += grades.get(passage_id, 0) > 0
    queries, places, passages, of_row = (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 4
    columns = {
        "query_id": queries,
        "query_language": [pair.questions] * len(rows),
        "pool": [pair.pool] * len(rows),
        "place": places,
        "passage_id": passages,
        "passage_language": [_language_of(passage_id) for passage_id in passages],
        "score": of_row,
    }
    table = pa.table({name: _column(values, name) for name, values in columns.items()}, schema=SCHEMA)
    return Tops(table, k, {pair.questions: counts} if pair.pool == MULTI else {})


def _column(values: Any, name: str) -> pa.Array:
    kind = SCHEMA.field(name).type
    return (
        pa.array(values, pa.string()).dictionary_encode()
        if isinstance(kind, pa.DictionaryType)
        else pa.array(values, kind)
    )


def _language_of(passage_id: str) -> str:
    return passage_id.partition(":")[0]
