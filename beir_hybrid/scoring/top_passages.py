"""Each query's best passages in the pool of all languages and in each: what outranks answers, and in which language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from beir_hybrid.corpora.text_columns import take
from beir_hybrid.ranks.schema import TOP_LANGUAGES
from beir_hybrid.scoring.confidence import TopScores
from beir_hybrid.scoring.fast import compiled_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE_ELEMENTS = 1_000_000
"""Scores looked at once where many are equal."""


class BestPassages(NamedTuple):
    """The best passages of Q queries in a pool, best first: arrays of shape (Q, min(k, pool)).

    Attributes:
        languages: Number of the language of each.
        rows: Its row in the language.
        scores: Its score; -inf of a passage that is no candidate for the query.
    """

    languages: NDArray[np.int16]
    rows: NDArray[np.int32]
    scores: NDArray[np.float32]

    def first(self, k: int) -> BestPassages:
        """Return the best k of them."""
        return BestPassages(self.languages[:, :k], self.rows[:, :k], self.scores[:, :k])


@dataclass(frozen=True)
class _Candidates:
    """Passages of one block that may be among the best: rows of queries and columns of the block, and scores."""

    queries: NDArray[np.int64]
    columns: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class _Block:
    """Where the columns of a block are in the corpus: language, ids, and rows or the first of them."""

    language: int
    ids: Sequence[str]
    rows: int | NDArray[np.int64]

    def rows_of(self, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.rows[columns] if isinstance(self.rows, np.ndarray) else columns + self.rows


class TopPassages:
    """Collects the best passages of each query over blocks of scores.

    Equal scores rank as trec_eval ranks them: the larger passage id first. A collector that was saved as ``state`` and
    restored by ``from_state`` goes on to exactly the same result.

    Args:
        in_pool: Passages of each query to keep in the pool of all languages.
        in_language: Passages to keep in the pool of each language; None for no such pools.
    """

    def __init__(self, in_pool: int = TOP_LANGUAGES, in_language: int | None = None) -> None:
        self._in_pool = TopScores(in_pool)
        self._k = in_language
        self._in_language: dict[int, TopScores] = {}
        self._candidates: list[_Candidates] = []
        self._blocks: list[_Block] = []

    def add(
        self,
        scores: torch.Tensor,
        language: int,
        ids: Sequence[str],
        rows: int | NDArray[np.int64] = 0,
        ordered: torch.Tensor | None = None,
    ) -> None:
        """Take in the scores of a block.

        Args:
            scores: Shape (Q, n).
            language: Number of the language of its passages.
            ids: Their ids, n of them.
            rows: Their rows in the language, or the first one where they are consecutive.
            ordered: The same scores, lowest first, where they have been sorted.
        """
        tops = [self._in_pool]
        if self._k is not None:
            tops.append(self._in_language.setdefault(language, TopScores(self._k)))
        for top in tops:
            top.add(scores if ordered is None else ordered[:, -top.top_k :])
        limits = torch.stack([_limits(top) for top in tops]).amin(0)
        # More than the top k only where many scores are equal, as those of a model that has collapsed.
        most = 2 * sum(top.top_k for top in tops)
        compiled, places = compiled_for(scores), None
        if compiled is not None:
            places = compiled.places_from(scores.numpy(), limits.numpy(), most * len(scores))
        if places is None:
            chosen = scores >= limits[:, None]
            if _number_of(chosen) > most * len(scores):
                crowded = (chosen.sum(1) > most).nonzero()[:, 0]
                _keep_largest_ids(chosen, scores, limits[:, None], crowded, ids, max(top.top_k for top in tops))
            self._candidates.append(_chosen(chosen, scores))
        else:
            queries, columns = places
            self._candidates.append(_Candidates(queries, columns, scores.numpy()[queries, columns]))
        self._blocks.append(_Block(language, ids, rows))

    @property
    def is_empty(self) -> bool:
        """Whether no block was added."""
        return self._in_pool.values is None

    def merge(self, other: TopPassages) -> TopPassages:
        """Return the collector of the blocks of both, which share no passage."""
        merged = TopPassages(self._in_pool.top_k, self._k)
        merged._in_pool = TopScores.of_all([self._in_pool, other._in_pool])
        for language in sorted({*self._in_language, *other._in_language}):
            tops = [top._in_language[language] for top in (self, other) if language in top._in_language]
            merged._in_language[language] = TopScores.of_all(tops)
        merged._candidates = self._candidates + other._candidates
        merged._blocks = self._blocks + other._blocks
        return merged

    def in_pool(self) -> BestPassages:
        """Return the best passages in the pool of all languages."""
        return self._best([self._in_pool], dict.fromkeys(range(len(self._blocks)), 0))[0]

    def in_language(self) -> dict[int, BestPassages]:
        """Return the best passages in the pool of each language that had a block, by the number of the language."""
        if not self._in_language:
            return {}
        places = {language: place for place, language in enumerate(self._in_language)}
        pools = {
            number: places[block.language] for number, block in enumerate(self._blocks) if block.language in places
        }
        return dict(zip(places, self._best([*self._in_language.values()], pools), strict=True))

    def state(self) -> dict[str, NDArray]:
        """Return the best passages so far as arrays, none of them before the first block; ids are the corpus's own."""
        if self.is_empty:
            return {}
        pools = {"pool": self.in_pool()} | {str(language): best for language, best in self.in_language().items()}
        return {f"{pool}_{name}": values for pool, best in pools.items() for name, values in best._asdict().items()}

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, NDArray],
        ids: Sequence[Sequence[str]],
        in_pool: int = TOP_LANGUAGES,
        in_language: int | None = None,
    ) -> TopPassages:
        """Restore what ``state`` returned.

        Args:
            state: The arrays.
            ids: Ids of all passages of each language.
            in_pool: As for the class.
            in_language: As for the class.
        """
        top = cls(in_pool, in_language)
        if not state:
            return top
        if in_language is not None:
            top._in_language = {n: TopScores(in_language) for n in range(len(ids)) if f"{n}_scores" in state}
        pools = {"pool": top._in_pool} | {str(language): scores for language, scores in top._in_language.items()}
        saved = {pool: BestPassages(*(state[f"{pool}_{name}"] for name in BestPassages._fields)) for pool in pools}
        for pool, scores in pools.items():
            scores.values = torch.from_numpy(saved[pool].scores)
        for language, of_language in enumerate(ids):
            parts = [_candidates(saved[pool], language) for pool in ("pool", str(language)) if pool in saved]
            top._candidates.append(_union(parts))
            top._blocks.append(_Block(language, of_language, 0))
        return top

    def _best(self, tops: Sequence[TopScores], pools: Mapping[int, int]) -> list[BestPassages]:
        """Rank the candidates, and return the best of each query in some pools.

        Args:
            tops: The top scores of each pool.
            pools: Number of a block -> the place of its pool among ``tops``.
        """
        found, blocks = self._still_good(tops, pools)
        queries, scores = found.queries, found.scores  # a query is another one in each pool
        order = np.argsort(_sort_keys(queries, scores))
        tied = order[_tied(queries[order], scores[order])]
        if len(tied):
            ids = np.zeros(len(order), dtype=np.int64)
            ids[tied] = np.unique(self._names(blocks[tied], found.columns[tied]), return_inverse=True)[1]
            order = np.lexsort((-ids, -scores, queries))
        languages, rows = np.zeros(len(blocks), dtype=np.int16), np.zeros(len(blocks), dtype=np.int32)
        for number in pools:
            here = slice(*np.searchsorted(blocks, [number, number + 1]))
            languages[here] = self._blocks[number].language
            rows[here] = self._blocks[number].rows_of(found.columns[here])
        shapes = [top.values.shape for top in tops if top.values is not None]
        assert len(shapes) == len(tops), "no block was added"
        first = np.searchsorted(queries[order], np.arange(sum(n_queries for n_queries, _ in shapes)))
        parts = np.split(first, np.cumsum([n_queries for n_queries, _ in shapes])[:-1])
        best = [order[part[:, None] + np.arange(k)] for part, (_, k) in zip(parts, shapes, strict=True)]
        return [BestPassages(languages[places], rows[places], scores[places]) for places in best]

    def _names(self, blocks: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.str_]:
        """Ids of some passages, given by the numbers of their blocks and their columns."""
        names = np.empty(len(blocks), dtype=object)
        for number in np.unique(blocks):
            here = blocks == number
            names[here] = take(self._blocks[number].ids, columns[here])
        return names.astype(np.str_)

    def _still_good(self, tops: Sequence[TopScores], pools: Mapping[int, int]) -> tuple[_Candidates, NDArray[np.int64]]:
        """The candidates that no later block has pushed out of their pool, and the number of the block of each."""
        limits = [_limits(top).cpu().numpy() for top in tops]
        some = [(self._candidates[number], pool) for number, pool in pools.items()]
        kept = [np.flatnonzero(found.scores >= limits[pool][found.queries]) for found, pool in some]
        parts = list(zip(some, kept, strict=True))
        queries = np.concatenate([found.queries[k] + pool * len(limits[pool]) for (found, pool), k in parts])
        columns = np.concatenate([found.columns[k] for (found, _), k in parts])
        scores = np.concatenate([found.scores[k] for (found, _), k in parts])
        return _Candidates(queries, columns, scores), np.repeat([*pools], [len(k) for k in kept])


def _number_of(chosen: torch.Tensor) -> int:
    """Count what is true."""
    # numpy counts and finds them several times as fast as torch.
    return int(np.count_nonzero(chosen.numpy()) if chosen.device.type == "cpu" else chosen.count_nonzero())


def _chosen(chosen: torch.Tensor, scores: torch.Tensor) -> _Candidates:
    """Return the passages of a block where ``chosen`` is true, query after query."""
    if chosen.device.type == "cpu":
        queries, columns = np.divmod(np.flatnonzero(chosen.numpy()), max(chosen.shape[1], 1))
        return _Candidates(queries, columns, scores.numpy()[queries, columns])
    rows, places = chosen.nonzero(as_tuple=True)
    return _Candidates(rows.cpu().numpy(), places.cpu().numpy(), scores[rows, places].cpu().numpy())


def _limits(top: TopScores) -> torch.Tensor:
    """The score of each query that a passage must reach to be among the best so far."""
    values = top.values
    assert values is not None
    if values.shape[1] < top.top_k:
        return torch.full((len(values),), -torch.inf, device=values.device)
    return values.min(1).values


def _candidates(best: BestPassages, language: int) -> _Candidates:
    """The passages of one language among the best of a pool."""
    queries, places = np.nonzero(best.languages == language)
    return _Candidates(queries, best.rows[queries, places].astype(np.int64), best.scores[queries, places])


def _union(parts: Sequence[_Candidates]) -> _Candidates:
    """Each candidate once."""
    queries, columns, scores = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("queries", "columns", "scores")
    )
    once = np.unique(queries * 2**32 + columns, return_index=True)[1]
    return _Candidates(queries[once], columns[once], scores[once])


def _keep_largest_ids(
    chosen: torch.Tensor,
    scores: torch.Tensor,
    limits: torch.Tensor,
    crowded: torch.Tensor,
    ids: Sequence[str],
    top_k: int,
) -> None:
    """Of the scores equal to the limit keep, in some rows of ``chosen``, the k with the largest ids: ties rank so."""
    places = torch.empty(len(ids), dtype=torch.int32)
    places[torch.from_numpy(np.argsort(np.asarray(ids)))] = torch.arange(len(ids), dtype=torch.int32)
    places = places.to(scores.device)
    step = max(1, TILE_ELEMENTS // len(ids))
    for start in range(0, len(crowded), step):
        rows = crowded[start : start + step]
        tied = scores[rows] == limits[rows]
        ranked = torch.where(tied, places, -1)
        least = torch.topk(ranked, top_k, dim=1).values[:, -1:]
        chosen[rows] &= ~tied | (ranked >= least)


def _sort_keys(queries: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Integers that sort by query, then by falling score: one fast sort in place of two."""
    bits = (scores + 0.0).view(np.int32).astype(np.int64)  # -0.0 is 0.0
    rising = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)  # the bits of a float rise with it but for the sign
    return queries * 2**33 - rising


def _tied(queries: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Places, in an order by query and score, that share both with a neighbour."""
    same = (queries[1:] == queries[:-1]) & (scores[1:] == scores[:-1])
    return np.flatnonzero(np.r_[same, False] | np.r_[False, same])
