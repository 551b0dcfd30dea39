"""The languages of each query's best passages: what language bias at a cut-off is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from beir_hybrid.corpora.text_columns import take
from beir_hybrid.ranks.schema import TOP_LANGUAGES
from beir_hybrid.scoring.confidence import TopScores

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE_ELEMENTS = 1_000_000
"""Scores looked at once where many are equal."""


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

    def add(
        self,
        scores: torch.Tensor,
        language: int,
        ids: Sequence[str],
        rows: int | NDArray[np.int64] = 0,
        highest: torch.Tensor | None = None,
    ) -> None:
        """Take in the scores of a block.

        Args:
            scores: Shape (Q, n).
            language: Number of the language of its passages.
            ids: Their ids, n of them.
            rows: Their rows in the language, or the first one where they are consecutive.
            highest: The highest of the scores, lowest first, where they have been sorted.
        """
        self._best.add(scores if highest is None else highest[:, -self._best.top_k :])
        limits = self._limits()[:, None]
        chosen = scores >= limits
        # More than the top k only where many scores are equal, as those of a model that has collapsed.
        crowded = (chosen.sum(1) > 2 * self._best.top_k).nonzero()[:, 0]
        if len(crowded):
            _keep_largest_ids(chosen, scores, limits, crowded, ids, self._best.top_k)
        queries, columns = chosen.nonzero(as_tuple=True)
        found = scores[queries, columns].cpu().numpy()
        self._candidates.append(_Candidates(queries.cpu().numpy(), columns.cpu().numpy(), found))
        self._blocks.append(_Block(language, ids, rows))

    def state(self) -> dict[str, NDArray]:
        """Return the best passages so far, best first: arrays of shape (Q, min(100, pool)).

        Of a passage its language, row and score are kept; ids are the corpus's own.
        """
        found, blocks, best = self._ranking()
        rows = np.zeros(len(blocks), dtype=np.int32)
        for number in np.unique(blocks[best]):
            here = blocks == number
            rows[here] = self._blocks[number].rows_of(found.columns[here])
        languages = np.array([block.language for block in self._blocks], dtype=np.int16)
        return {"languages": languages[blocks[best]], "rows": rows[best], "scores": found.scores[best]}

    @classmethod
    def from_state(
        cls, state: Mapping[str, NDArray], ids: Sequence[Sequence[str]], top_k: int = TOP_LANGUAGES
    ) -> TopLanguages:
        """Restore what ``state`` returned; ``ids`` are those of all passages of each language."""
        top = cls(top_k)
        top._best.values = torch.from_numpy(state["scores"])
        for language, of_language in enumerate(ids):
            here = state["languages"] == language
            rows = state["rows"][here].astype(np.int64)
            top._candidates.append(_Candidates(np.nonzero(here)[0], rows, state["scores"][here]))
            top._blocks.append(_Block(language, of_language, 0))
        return top

    def languages(self) -> NDArray[np.int16]:
        """Return the numbers of the languages of the best passages, best first, shape (Q, min(100, pool)).

        A passage of the score -inf is none of them; -1 stands in its place.
        """
        found, blocks, best = self._ranking()
        languages = np.array([block.language for block in self._blocks], dtype=np.int16)[blocks[best]]
        return np.where(found.scores[best] == -np.inf, np.int16(-1), languages)

    def _ranking(self) -> tuple[_Candidates, NDArray[np.int64], NDArray[np.int64]]:
        """The candidates, the block of each, and the places of the best of each query among them, best first."""
        assert self._best.values is not None, "no block was added"
        found, blocks = self._still_good()
        queries, scores = found.queries, found.scores
        order = np.argsort(_sort_keys(queries, scores))
        tied = order[_tied(queries[order], scores[order])]
        if len(tied):
            ids = np.zeros(len(order), dtype=np.int64)
            ids[tied] = np.unique(self._names(blocks[tied], found.columns[tied]), return_inverse=True)[1]
            order = np.lexsort((-ids, -scores, queries))
        first = np.searchsorted(queries[order], np.arange(len(self._best.values)))
        return found, blocks, order[first[:, None] + np.arange(self._best.values.shape[1])]

    def _names(self, blocks: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.str_]:
        """Ids of some passages, given by the numbers of their blocks and their columns."""
        names = np.empty(len(blocks), dtype=object)
        for number in np.unique(blocks):
            here = blocks == number
            names[here] = take(self._blocks[number].ids, columns[here])
        return names.astype(np.str_)

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
