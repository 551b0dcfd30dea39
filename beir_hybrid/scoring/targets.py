"""What is counted: the (query, relevant passage) pairs of one query language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from beir_hybrid.corpora.parallel import ParallelCorpus
from beir_hybrid.corpora.text_columns import take

_NOTHING: dict[int, int] = {}


@dataclass(frozen=True)
class Targets:
    """The P relevant pairs of the Q queries of one language, ordered by query, language and passage row.

    Attributes:
        query_language: Language of the queries.
        passage_languages: The L languages of the pool, in the order of ``languages``' numbers.
        n_queries: Q, with the queries that have no relevant passage.
        queries: Row of the query of each pair, shape (P,).
        languages: Number of the language of the relevant passage, shape (P,).
        passages: Row of the relevant passage in its language, shape (P,).
        grades: Grade of the judgment, 1 or more, shape (P,).
        slots: Running number of the pair within its query, shape (P,).
        passage_ids: Id of the relevant passage, shape (P,).
        ignored: Passages that are no candidates for a query: row of the query, number of the language and row of the
            passage in it, shape (3, I).
    """

    query_language: str
    passage_languages: tuple[str, ...]
    n_queries: int
    queries: NDArray[np.int64]
    languages: NDArray[np.int64]
    passages: NDArray[np.int64]
    grades: NDArray[np.int64]
    slots: NDArray[np.int64]
    passage_ids: NDArray[np.str_]
    ignored: NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 0), dtype=np.int64))

    @property
    def width(self) -> int:
        """R, the largest number of relevant passages of a query."""
        return int(self.slots.max()) + 1 if len(self.slots) else 0

    @classmethod
    def of(cls, corpus: ParallelCorpus, query_language: str, passage_languages: Sequence[str]) -> Targets:
        """Collect the pairs of the queries in one language and a pool of some languages."""
        question_ids = corpus.languages[query_language].question_ids
        pool = [corpus.languages[language] for language in passage_languages]
        queries, languages, passages, grades = _pairs([part.relevance for part in pool], question_ids)
        ids = np.empty(len(queries), dtype=object)
        for number, part in enumerate(pool):  # at once: ids that are read from files take long one by one
            here = languages == number
            ids[here] = take(part.passage_ids, passages[here])
        return cls(
            query_language=query_language,
            passage_languages=tuple(passage_languages),
            n_queries=len(question_ids),
            queries=queries,
            languages=languages,
            passages=passages,
            grades=grades,
            slots=_running_numbers(queries),
            passage_ids=ids.astype(np.str_),
            ignored=_ignored(corpus, question_ids, passage_languages),
        )

    @classmethod
    def of_each(
        cls, corpus: ParallelCorpus, query_languages: Iterable[str], passage_languages: Sequence[str]
    ) -> Iterator[Targets]:
        """Collect the pairs of several query languages, whose arrays are shared where they ask the same questions."""
        targets: Targets | None = None
        asked: Sequence[str] = ()
        for language in query_languages:
            question_ids = corpus.languages[language].question_ids
            if targets is None or list(question_ids) != list(asked):
                targets, asked = cls.of(corpus, language, passage_languages), question_ids
            yield replace(targets, query_language=language)

    def only(self, chosen: NDArray[np.bool_]) -> Targets:
        """Return some of the pairs, given as a mask of shape (P,); the queries stay the same."""
        return replace(
            self,
            queries=self.queries[chosen],
            languages=self.languages[chosen],
            passages=self.passages[chosen],
            grades=self.grades[chosen],
            slots=_running_numbers(self.queries[chosen]),
            passage_ids=self.passage_ids[chosen],
        )

    def padded(self, values: NDArray, fill: float) -> NDArray:
        """Spread one value a pair, shape (P,), over a matrix of queries and slots, shape (Q, R)."""
        matrix = np.full((self.n_queries, max(self.width, 1)), fill, dtype=values.dtype)
        matrix[self.queries, self.slots] = values
        return matrix


def _pairs(relevance: Sequence[Mapping[str, Mapping[int, int]]], question_ids: Sequence[str]) -> NDArray[np.int64]:
    """Return query, language, passage and grade of all pairs, ordered by the first three, shape (4, P)."""
    parts = [np.empty((4, 0), dtype=np.int64)]
    for number, of_language in enumerate(relevance):
        judged = [of_language.get(question_id, _NOTHING) for question_id in question_ids]
        queries = np.repeat(np.arange(len(judged)), [len(passages) for passages in judged])
        rows = [row for passages in judged for row in passages]
        grades = [grade for passages in judged for grade in passages.values()]
        parts.append(np.array([queries, np.full(len(rows), number), rows, grades], dtype=np.int64))
    pairs = np.concatenate(parts, axis=1)
    return pairs[:, np.lexsort(pairs[2::-1])]


def _ignored(
    corpus: ParallelCorpus, question_ids: Sequence[str], passage_languages: Sequence[str]
) -> NDArray[np.int64]:
    pairs = [
        (query, number, row)
        for number, ignored in enumerate(corpus.languages[language].ignored for language in passage_languages)
        if ignored
        for query, question_id in enumerate(question_ids)
        for row in ignored.get(question_id, ())
    ]
    return np.ascontiguousarray(np.array(pairs, dtype=np.int64).reshape(len(pairs), 3).T)


def _running_numbers(queries: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the pairs of each query from 0, where the pairs are ordered by query."""
    places = np.arange(len(queries))
    first = np.ones(len(queries), dtype=bool)
    first[1:] = queries[1:] != queries[:-1]
    return places - np.maximum.accumulate(np.where(first, places, 0)) if len(queries) else places
