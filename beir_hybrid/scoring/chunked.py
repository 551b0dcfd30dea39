"""A pass over a pool that does not fit into memory: encoded and counted chunk by chunk, with a checkpoint after each.

Counts add up, so a chunk of passages is encoded, counted for the questions of all languages, and forgotten. The
relevant passages of all languages come first, as chunks of their own: everything else is compared with their scores,
and so no text is encoded twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from beir_hybrid.corpora.parallel import ParallelCorpus
from beir_hybrid.corpora.text_columns import take
from beir_hybrid.ranks.model_state import (
    PASSAGE,
    QUERY,
    SAMPLED_TEXTS,
    Embed,
    Encode,
    Sample,
    SampledText,
    as_rows,
    close,
    sampled_rows,
)
from beir_hybrid.scoring.counting import CountedRanks, PassageBlock, RankCounter, Similarity, own_scores_in, scores_of
from beir_hybrid.scoring.matrices import select_rows
from beir_hybrid.scoring.progress import Checkpoint
from beir_hybrid.scoring.targets import Targets

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

logger = logging.getLogger("mteb.beir_hybrid")

TILE = 2048
"""Passages scored at once, always: a matrix product of another shape rounds differently, and then the chunk size, which
only decides what is in memory, would decide ties."""

_COUNTS = "counts"
_SAMPLED = "sampled"
_EMBEDDINGS = "embeddings"
"""Name of the sampled embeddings among the arrays of the counts; a language comes before the slash in all others."""


@dataclass(frozen=True)
class _Chunk:
    """Encoded passages of the language of a number: n rows, ascending, their ids and embeddings, shape (n, D)."""

    language: int
    rows: NDArray[np.int64]
    ids: list[str]
    embeddings: Any


@dataclass(frozen=True)
class ChunkedRun:
    """One pass of a model over a corpus.

    Attributes:
        name: What the bar and the log call it.
        embed: Embeds texts.
        similarity: The model's similarity of two matrices of embeddings.
        corpus: The questions, passages and judgments.
        query_languages: Languages of the questions.
        passage_languages: Languages of the pool.
        chunk_size: Passages encoded at once; it decides memory and how often a checkpoint is written.
        checkpoint: Where the state goes after each chunk; the caller removes it when the result is safe.
        progress: Show a progress bar on a terminal.
        phase: Called with the name of each phase, which the context it returns surrounds.
        keep_top: Passages of each query to keep in every pool; None for none.
    """

    name: str
    embed: Embed
    similarity: Similarity
    corpus: ParallelCorpus
    query_languages: Sequence[str]
    passage_languages: Sequence[str]
    chunk_size: int
    checkpoint: Checkpoint
    progress: bool = False
    phase: Callable[[str], AbstractContextManager[object]] = nullcontext
    keep_top: int | None = None
    _sampled: dict[SampledText, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    @torch.no_grad()
    def is_current(self, encode: Encode) -> bool:
        """Whether the checkpoint was written by the model as it is now, by the embeddings that it keeps.

        Some of the texts of every language whose embeddings, or counts, are in the checkpoint are embedded again.

        Args:
            encode: Embeds texts by the model as it is now.
        """
        groups: list[tuple[list[SampledText], Any]] = []
        for language in self.query_languages:
            texts = [SampledText(QUERY, language, row) for row in range(len(self.corpus.languages[language].questions))]
            groups.append((texts, self.checkpoint.saved_embeddings(f"questions-{language}")))
        for number, rows, first in self._relevant_chunks():
            language = self.passage_languages[number]
            texts = [SampledText(PASSAGE, language, int(row)) for row in rows]
            groups.append((texts, self.checkpoint.saved_embeddings(f"relevant-{language}-{first}")))
        saved = self.checkpoint.load_arrays(_COUNTS)
        if saved is not None:
            texts = [SampledText(*text) for text in saved[1][_SAMPLED]]
            groups.append((texts, saved[0][_EMBEDDINGS] if texts else None))
        groups = [(texts, embeddings) for texts, embeddings in groups if texts and embeddings is not None]
        each = max(1, SAMPLED_TEXTS // max(len(groups), 1))
        for texts, embeddings in groups:
            rows = sampled_rows(len(texts), each)
            if not close(as_rows(select_rows(embeddings, rows)), as_rows(encode([texts[row] for row in rows]))):
                return False
        return True

    def sample(self) -> Sample:
        """Return a sample of the embeddings that the run has made, of every language."""
        texts = sorted(self._sampled)
        return Sample.of(texts, np.array([self._sampled[text] for text in texts]))

    @torch.no_grad()
    def count(self) -> dict[str, CountedRanks]:
        """Encode every text once and count all ranks, going on where a killed run was.

        Returns:
            Query language -> its counted ranks.

        Raises:
            ModelError: The model's embeddings or similarities cannot be ranked by.
            BeirHybridError: A checkpoint cannot be written.
        """
        with self.phase("Encoding questions"):
            questions = {language: self._questions(language) for language in self.query_languages}
        with self.phase("Encoding and counting passages"):
            counters, done = self._restore() or (self._start(questions), 0)
            for chunk in self._remaining(done):
                self._count(counters, questions, self._chunk(*chunk))
                done += 1
                counters = self._save(counters, done)
        return {language: counter.result() for language, counter in counters.items()}

    @cached_property
    def _targets(self) -> dict[str, Targets]:
        return {
            language: Targets.of(self.corpus, language, self.passage_languages) for language in self.query_languages
        }

    @cached_property
    def _relevant(self) -> list[NDArray[np.int64]]:
        """Rows of the passages of each language that are relevant to any question, ascending."""
        return [
            np.unique(
                np.concatenate([targets.passages[targets.languages == number] for targets in self._targets.values()])
            )
            for number in range(len(self.passage_languages))
        ]

    @cached_property
    def _chunks(self) -> list[tuple[int, int, int]]:
        """The chunks after the relevant passages: language, and first and last + 1 of its other passages."""
        chunks = []
        for number, language in enumerate(self.passage_languages):
            n_others = len(self.corpus.languages[language].passages) - len(self._relevant[number])
            for first in range(0, n_others, self.chunk_size):
                chunks.append((number, first, min(first + self.chunk_size, n_others)))
        return chunks

    def _remaining(self, done: int) -> Iterator[tuple[int, int, int]]:
        with tqdm(
            desc=f"{self.name}: passages",
            total=sum(last - first for _, first, last in self._chunks),
            initial=sum(last - first for _, first, last in self._chunks[:done]),
            unit=" passages",
            disable=None if self.progress else True,
        ) as bar:
            for chunk in self._chunks[done:]:
                yield chunk
                bar.update(chunk[2] - chunk[1])

    def _restore(self) -> tuple[dict[str, RankCounter], int] | None:
        """Return the counters of a run that was killed, and the number of chunks they have seen."""
        saved = self.checkpoint.load_arrays(_COUNTS)
        if saved is None:
            return None
        arrays, facts = saved
        for text, row in zip(facts[_SAMPLED], arrays.pop(_EMBEDDINGS, ()), strict=True):
            self._sampled[SampledText(*text)] = row
        logger.info(
            f"{self.name} goes on after {facts['done']} of {len(self._chunks)} chunks: {self.checkpoint.folder}"
        )
        states: dict[str, dict[str, NDArray]] = {language: {} for language in self.query_languages}
        for name, array in arrays.items():
            language, _, kind = name.partition("/")
            states[language][kind] = array
        return self._counters(states), facts["done"]

    def _save(self, counters: dict[str, RankCounter], done: int) -> dict[str, RankCounter]:
        """Write a checkpoint and return the counters that a run that starts from it would have."""
        states = {language: counter.state() for language, counter in counters.items()}
        arrays = {f"{language}/{name}": array for language, state in states.items() for name, array in state.items()}
        if self._sampled:
            arrays[_EMBEDDINGS] = np.array(list(self._sampled.values()))
        self.checkpoint.save(_COUNTS, arrays, done=done, **{_SAMPLED: list(self._sampled)})
        return self._counters(states)

    def _counters(self, states: dict[str, dict[str, NDArray]]) -> dict[str, RankCounter]:
        ids = [self.corpus.languages[language].passage_ids for language in self.passage_languages]
        return {
            language: RankCounter.from_state(self._targets[language], state, ids, self.keep_top)
            for language, state in states.items()
        }

    def _start(self, questions: dict[str, Any]) -> dict[str, RankCounter]:
        """Encode the relevant passages, look up their scores, and count them."""
        chunks = [self._relevant_chunk(*chunk) for chunk in self._relevant_chunks()]
        counters = {}
        for language, targets in self._targets.items():
            own_languages = set(targets.languages.tolist())
            tiles = (
                tile
                for chunk in chunks
                if chunk.language in own_languages
                for tile in self._tiles(questions[language], chunk)
            )
            counters[language] = RankCounter(targets, own_scores_in(targets, tiles), keep_top=self.keep_top)
        for chunk in chunks:
            self._count(counters, questions, chunk)
        return self._save(counters, 0) if chunks else counters

    def _relevant_chunks(self) -> Iterator[tuple[int, NDArray[np.int64], int]]:
        """Yield the chunks of relevant passages: their language, their rows, and the place of the first of them."""
        for number, relevant in enumerate(self._relevant):
            for first in range(0, len(relevant), self.chunk_size):
                yield number, relevant[first : first + self.chunk_size], first

    @cached_property
    def _wanted(self) -> dict[tuple[str, str], NDArray[np.int64]]:
        """Rows that the sample of the run has, however it is cut into chunks: kind and language -> rows."""
        each = max(1, SAMPLED_TEXTS // (len(self.query_languages) + len(self.passage_languages)))
        wanted = {
            (QUERY, language): sampled_rows(len(self.corpus.languages[language].questions), each)
            for language in self.query_languages
        }
        for number, language in enumerate(self.passage_languages):
            relevant, n_passages = self._relevant[number], len(self.corpus.languages[language].passages)
            rows = relevant[sampled_rows(len(relevant), each)]
            wanted[PASSAGE, language] = rows if len(rows) else sampled_rows(n_passages, each)
        return wanted

    def _keep_some(self, kind: str, language: str, rows: NDArray[np.int64], embeddings: Any) -> None:
        """Put into the sample what it wants of some embeddings, which are those of ``rows``."""
        chosen = np.flatnonzero(np.isin(rows, self._wanted[kind, language]))
        if len(chosen):
            for row, embedding in zip(rows[chosen], as_rows(select_rows(embeddings, chosen)), strict=True):
                self._sampled[SampledText(kind, language, int(row))] = embedding

    def _count(self, counters: dict[str, RankCounter], questions: dict[str, Any], chunk: _Chunk) -> None:
        for language, counter in counters.items():
            for block, scores in self._tiles(questions[language], chunk):
                counter.add(block, scores)

    def _tiles(self, questions: Any, chunk: _Chunk) -> Iterator[tuple[PassageBlock, torch.Tensor]]:
        """Score a chunk, TILE passages at a time, the last tile filled up with repeated passages."""
        for first in range(0, len(chunk.rows), TILE):
            n = min(TILE, len(chunk.rows) - first)
            here = slice(first, first + n)
            tile = select_rows(chunk.embeddings, here if n == TILE else first + np.arange(TILE) % n)
            scores = scores_of(self.similarity, questions, tile)[:, :n].contiguous()
            rows = chunk.rows[here]
            yield PassageBlock(chunk.language, int(rows[0]), chunk.ids[here], tile, rows), scores

    def _chunk(self, number: int, first: int, last: int) -> _Chunk:
        """Encode some of the passages of a language that are relevant to no question, given by their places."""
        relevant, places = self._relevant[number], np.arange(first, last)
        # A passage's place among these is its row less the relevant passages before it.
        rows = places + np.searchsorted(relevant - np.arange(len(relevant)), places, side="right")
        return self._chunk_of(number, rows, self._embed(PASSAGE, self.passage_languages[number], rows))

    def _relevant_chunk(self, number: int, rows: NDArray[np.int64], first: int) -> _Chunk:
        """Encode some of the relevant passages of a language, or read what a killed run has encoded."""
        language = self.passage_languages[number]
        name = f"relevant-{language}-{first}"
        embeddings = self.checkpoint.embeddings(name, lambda: self._embed(PASSAGE, language, rows))
        return self._chunk_of(number, rows, embeddings)

    def _chunk_of(self, number: int, rows: NDArray[np.int64], embeddings: Any) -> _Chunk:
        language = self.passage_languages[number]
        self._keep_some(PASSAGE, language, rows, embeddings)
        return _Chunk(number, rows, take(self.corpus.languages[language].passage_ids, rows), embeddings)

    def _questions(self, language: str) -> Any:
        rows = np.arange(len(self.corpus.languages[language].questions))
        embeddings = self.checkpoint.embeddings(f"questions-{language}", lambda: self._embed(QUERY, language, rows))
        self._keep_some(QUERY, language, rows, embeddings)
        return embeddings

    def _embed(self, kind: str, language: str, rows: NDArray[np.int64]) -> Any:
        logger.info(f"Encoding {len(rows)} {language} {'questions' if kind == QUERY else 'passages'}...")
        return self.embed(kind, language, rows)
