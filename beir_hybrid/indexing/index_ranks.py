"""From what an index returns to rows of a rank table; what it did not return has no rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from beir_hybrid.indexing.faiss_index import NOTHING
from beir_hybrid.ranks.rows import Columns, columns_of
from beir_hybrid.ranks.schema import TOP_LANGUAGES, encode_languages
from beir_hybrid.ranks.tops import SCHEMA, Tops
from beir_hybrid.scoring.targets import Targets
from beir_hybrid.subsets import MULTI

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beir_hybrid.corpora.parallel import ParallelCorpus


_TILE_ELEMENTS = 1_000_000
"""Results looked at once."""


@dataclass(frozen=True)
class Pool:
    """The passages of an index, language after language; their rows are those of the index.

    Attributes:
        corpus: The questions and passages.
        languages: The languages of the pool.
    """

    corpus: ParallelCorpus
    languages: tuple[str, ...]

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """Ids of the N passages."""
        return np.array([x for language in self.languages for x in self.corpus.languages[language].passage_ids])

    @cached_property
    def place_by_id(self) -> NDArray[np.int64]:
        """Place of each passage in the order of the ids, shape (N,)."""
        places = np.empty(len(self.ids), dtype=np.int64)
        places[np.argsort(self.ids)] = np.arange(len(self.ids))
        return places

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """Row of the first passage of each language, and the end of the last one, shape (L + 1,)."""
        return np.cumsum([0, *(len(self.corpus.languages[language].passage_ids) for language in self.languages)])

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """Number of the language of each passage, shape (N,)."""
        return np.repeat(np.arange(len(self.languages)), np.diff(self.first))

    def rows_of(self, number: int) -> NDArray[np.int64]:
        """Return the rows of the passages of a language."""
        return np.arange(self.first[number], self.first[number + 1])


@dataclass(frozen=True)
class Ranking:
    """What an index returned for the questions of a language, best first.

    Attributes:
        rows: Rows of the passages, -1 behind the last, shape (Q, k).
        scores: Their scores, shape (Q, k).
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        scores: NDArray[np.float32],
        rows: NDArray[np.int64],
        pool: Pool,
        ignored: NDArray[np.int64],
        k: int,
    ) -> Ranking:
        """Order results as trec_eval does: falling scores, the larger id first where they are equal.

        Args:
            scores: Scores of the passages, shape (Q, n).
            rows: Their rows, -1 for none, shape (Q, n).
            pool: The passages.
            ignored: Passages that are no candidates: row of the question and of the passage, shape (2, I).
            k: Results that are kept.
        """
        rows = rows.copy()
        if ignored.size:
            size = len(pool.ids)
            keys = np.arange(len(rows))[:, None] * size + rows
            rows[(rows >= 0) & np.isin(keys, ignored[0] * size + ignored[1])] = NOTHING
        scores = np.where(rows >= 0, scores, -np.inf).astype(np.float32)
        unordered = np.flatnonzero(((scores[:, 1:] >= scores[:, :-1]) & (rows[:, 1:] >= 0)).any(axis=1))
        places = np.where(rows[unordered] >= 0, pool.place_by_id[rows[unordered]], -1)
        order = np.lexsort((-places, -scores[unordered]), axis=1)
        rows[unordered] = np.take_along_axis(rows[unordered], order, axis=1)
        scores[unordered] = np.take_along_axis(scores[unordered], order, axis=1)
        return cls(rows[:, :k], scores[:, :k])

    def ranks_of(self, queries: NDArray[np.int64], passages: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ranks of P passages, given by rows of the questions and of the passages; 0 where none is known."""
        ranks = np.zeros(len(queries), dtype=np.int64)
        step = max(1, _TILE_ELEMENTS // max(1, self.rows.shape[1]))
        for start in range(0, len(queries), step):
            some = slice(start, start + step)
            hits = self.rows[queries[some]] == passages[some, None]
            ranks[some] = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0)
        return ranks


def ignored_rows(targets: Targets, pool: Pool) -> NDArray[np.int64]:
    """Return what is no candidate for a question of a language: rows of question and passage, shape (2, I)."""
    queries, languages, passages = targets.ignored
    return np.stack([queries, pool.first[languages] + passages])


def rank_columns(targets: Targets, pool: Pool, in_pool: Ranking, in_language: Sequence[Ranking]) -> Columns:
    """Give the rows of the rank table of one question language.

    Args:
        targets: Its P right answers.
        pool: The passages.
        in_pool: What was returned of the whole pool.
        in_language: What was returned of each language.
    """
    part = pool.corpus.languages[targets.query_language]
    passages = pool.first[targets.languages] + targets.passages
    by_language = np.zeros(len(passages), dtype=np.int64)
    for number, ranking in enumerate(in_language):
        here = targets.languages == number
        by_language[here] = ranking.ranks_of(targets.queries[here], passages[here])
    ranks = in_pool.ranks_of(targets.queries, passages)
    own = pool.languages.index(targets.query_language) if targets.query_language in pool.languages else None
    numbers = np.where(in_pool.rows >= 0, pool.numbers[in_pool.rows], NOTHING)
    before = np.cumsum(numbers == own, axis=1)[targets.queries, np.maximum(ranks - 1, 0)]
    before -= targets.languages == own  # not the answer itself
    names = np.array(pool.languages)
    tops = [encode_languages(names[row[row >= 0]].tolist()) for row in numbers[:, :TOP_LANGUAGES]]
    of_query: dict[str, Sequence[str]] = {
        "query_id": part.query_ids,
        "question_id": part.question_ids,
        "cluster_id": part.articles,
        "top_languages": tops,
    }
    return columns_of(
        query_language=targets.query_language,
        passage_id=pa.array(targets.passage_ids),
        passage_language=pa.array(names[targets.languages]),
        grade=targets.grades,
        rank_in_language=_known(by_language, by_language),
        rank_in_pool=_known(ranks, ranks),
        outranked_by_query_language=None if own is None else _known(before, ranks),
        **{name: pa.array(values, pa.string()).take(pa.array(targets.queries)) for name, values in of_query.items()},
    )


def _known(values: NDArray[np.int64], ranks: NDArray[np.int64]) -> pa.Array:
    return pa.array(values, pa.int32(), mask=ranks == 0)


def first_passages(targets: Targets, pool: Pool, in_pool: Ranking, n: int) -> dict[str, list[str]]:
    """Return query id -> ids of its first n passages, best first, of the queries that have a right answer."""
    query_ids = pool.corpus.languages[targets.query_language].query_ids
    first = {query: in_pool.rows[query, :n] for query in np.unique(targets.queries)}
    return {query_ids[query]: pool.ids[rows[rows != NOTHING]].tolist() for query, rows in first.items()}


def index_tops(targets: Targets, pool: Pool, in_pool: Ranking, in_language: Sequence[Ranking], k: int) -> Tops:
    """Give the top passages of one question language, as ``Tops`` has them.

    Args:
        targets: Its right answers.
        pool: The passages.
        in_pool: What was returned of the whole pool.
        in_language: What was returned of each language.
        k: Passages of a query to keep in each pool.
    """
    query_ids = pool.corpus.languages[targets.query_language].query_ids
    names = [*pool.languages, MULTI]
    rankings = [*in_language, in_pool]
    kept = [np.nonzero(ranking.rows[:, :k] != NOTHING) for ranking in rankings]
    queries, places = (np.concatenate([part[axis] for part in kept]) for axis in (0, 1))
    rows = np.concatenate([ranking.rows[part] for ranking, part in zip(rankings, kept, strict=True)])
    scores = np.concatenate([ranking.scores[part] for ranking, part in zip(rankings, kept, strict=True)])
    passages, codes = np.unique(rows, return_inverse=True)
    table = pa.table(
        [
            _texts(query_ids, queries),
            _texts([targets.query_language], np.zeros(len(queries))),
            _texts(names, np.repeat(np.arange(len(names)), [len(part[0]) for part in kept])),
            pa.array(places + 1, pa.int32()),
            _texts(pool.ids[passages].tolist(), codes),
            _texts(pool.languages, pool.numbers[rows]),
            pa.array(scores, pa.float32()),
        ],
        schema=SCHEMA,
    )
    return Tops(table, k, {targets.query_language: _outranking(targets, pool, in_pool)})


def _outranking(targets: Targets, pool: Pool, in_pool: Ranking) -> dict[str, int]:
    """Count the passages of each language before the right answers, summed over those that were returned."""
    ranks = in_pool.ranks_of(targets.queries, pool.first[targets.languages] + targets.passages)
    queries, ends = targets.queries[ranks > 0], ranks[ranks > 0] - 1
    behind = np.zeros(in_pool.rows.shape, dtype=np.int64)  # right answers at a place, then behind it
    np.add.at(behind, (queries, ends), 1)
    behind = behind[:, ::-1].cumsum(axis=1)[:, ::-1] - behind
    kept = in_pool.rows != NOTHING
    counts = np.bincount(pool.numbers[in_pool.rows[kept]], behind[kept], minlength=len(pool.languages))
    return dict(zip(pool.languages, counts.astype(np.int64).tolist(), strict=True))


def _texts(values: Sequence[str], codes: NDArray[Any]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(values, pa.string()))
