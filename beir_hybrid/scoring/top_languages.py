"""The languages of each query's best passages: what language bias at a cut-off is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from beir_hybrid.scoring.confidence import TopScores

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP_LANGUAGES = 100
"""Passages of each query whose language is kept: the largest cut-off of the bias figures."""


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


class TopLanguages:
    """Collects the best passages of each query over blocks of scores, and gives their languages.

    Equal scores rank as trec_eval ranks them: the larger passage id first.
    """

    def __init__(self, top_k: int = TOP_LANGUAGES) -> None:
        self._best = TopScores(top_k)
        self._candidates: list[_Candidates] = []
        self._blocks: list[_Block] = []

    def add(self, scores: torch.Tensor, language: int, ids: Sequence[str], rows: int | NDArray[np.int64] = 0) -> None:
        """Take in the scores of a block.

        Args:
            scores: Shape (Q, n).
            language: Number of the language of its passages.
            ids: Their ids, n of them.
            rows: Their rows in the language, or the first one where they are consecutive.
        """
        self._best.add(scores)
        queries, columns = (scores >= self._limits()[:, None]).nonzero(as_tuple=True)
        found = scores[queries, columns].cpu().numpy()
        self._candidates.append(_Candidates(queries.cpu().numpy(), columns.cpu().numpy(), found))
        self._blocks.append(_Block(language, ids, rows))

    def state(self) -> dict[str, NDArray]:
        """Return the candidates, and the scores that say which are candidates, as arrays.

        Of the blocks only the rows of candidates are kept: the ids are the corpus's own.
        """
        assert self._best.values is not None, "no block was added"
        found, blocks = self._still_good()
        rows = np.zeros(len(blocks), dtype=np.int32)
        for number in np.unique(blocks):
            here = blocks == number
            rows[here] = self._blocks[number].rows_of(found.columns[here])
        languages = np.array([block.language for block in self._blocks], dtype=np.int8)[blocks]
        order = np.lexsort((rows, languages, found.queries))
        return {
            "values": np.sort(self._best.values.cpu().numpy()),
            "queries": found.queries[order].astype(np.int32),
            "languages": languages[order],
            "rows": rows[order],
            "scores": found.scores[order],
        }

    @classmethod
    def from_state(
        cls, state: Mapping[str, NDArray], ids: Sequence[Sequence[str]], top_k: int = TOP_LANGUAGES
    ) -> TopLanguages:
        """Restore what ``state`` returned; ``ids`` are those of all passages of each language."""
        top = cls(top_k)
        top._best.values = torch.from_numpy(state["values"])
        for language, of_language in enumerate(ids):
            here = state["languages"] == language
            queries, rows = state["queries"][here].astype(np.int64), state["rows"][here].astype(np.int64)
            top._candidates.append(_Candidates(queries, rows, state["scores"][here]))
            top._blocks.append(_Block(language, of_language, 0))
        return top

    def languages(self) -> NDArray[np.int8]:
        """Return the numbers of the languages of the best passages, best first, shape (Q, min(100, pool))."""
        assert self._best.values is not None, "no block was added"
        found, blocks = self._still_good()
        queries, scores = found.queries, found.scores
        order = np.lexsort((-scores, queries))
        tied = _tied(queries[order], scores[order])
        if len(tied):
            ids = np.zeros(len(order), dtype=np.int64)
            names = [self._blocks[blocks[place]].ids[found.columns[place]] for place in order[tied]]
            ids[order[tied]] = np.unique(names, return_inverse=True)[1]
            order = np.lexsort((-ids, -scores, queries))
        first = np.searchsorted(queries[order], np.arange(len(self._best.values)))
        width = self._best.values.shape[1]
        best = order[first[:, None] + np.arange(width)]
        return np.array([block.language for block in self._blocks], dtype=np.int8)[blocks[best]]

    def _still_good(self) -> tuple[_Candidates, NDArray[np.int64]]:
        """The candidates that later blocks have not pushed out, and the number of the block of each."""
        limits = self._limits().cpu().numpy()
        kept = [np.flatnonzero(c.scores >= limits[c.queries]) for c in self._candidates]
        pairs = list(zip(self._candidates, kept, strict=True))
        queries, columns, scores = (
            np.concatenate([getattr(candidates, name)[k] for candidates, k in pairs])
            for name in ("queries", "columns", "scores")
        )
        return _Candidates(queries, columns, scores), np.repeat(np.arange(len(kept)), [len(k) for k in kept])

    def _limits(self) -> torch.Tensor:
        """The score of each query that a passage must reach to be among the best so far."""
        values = self._best.values
        assert values is not None
        if values.shape[1] < self._best.top_k:
            return torch.full((len(values),), -torch.inf, device=values.device)
        return values.min(1).values


def _tied(queries: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Places, in an order by query and score, that share both with a neighbour."""
    same = (queries[1:] == queries[:-1]) & (scores[1:] == scores[:-1])
    return np.flatnonzero(np.r_[same, False] | np.r_[False, same])
