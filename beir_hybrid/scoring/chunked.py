"""A pass over a pool that does not fit into memory, or not into one machine: encoded and counted chunk by chunk.

Counts add up, so a chunk of passages is encoded, counted for the questions of all languages, and forgotten. What all
chunks are compared with is made once, with the plan of the run, and kept in its folder: the questions' embeddings and
the scores of the relevant passages. Another machine may round differently, but no passage is compared with itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from beir_hybrid.corpora.text_columns import take
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.ranks.model_state import (
    PASSAGE,
    QUERY,
    SAMPLED_TEXTS,
    Embed,
    Encode,
    SampledText,
    as_rows,
    close,
    sampled_rows,
    sampled_texts_of,
)
from beir_hybrid.scoring.chunk_plan import Chunk, ChunkPlan
from beir_hybrid.scoring.counting import PassageBlock, Similarity, Wanted, own_scores_in, scores_of
from beir_hybrid.scoring.interruptions import Interruptions
from beir_hybrid.scoring.matrices import on_device, select_rows
from beir_hybrid.scoring.partial_counts import EMBEDDINGS, PartialCounts, sampled_in
from beir_hybrid.scoring.pass_folder import PLAN, PassFolder
from beir_hybrid.scoring.shards import WHOLE, Shard

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

logger = logging.getLogger("mteb.beir_hybrid")

TILE = 2048
"""Passages scored at once, always: a matrix product of another shape rounds differently, and then the chunk size, which
only decides what is in memory, would decide ties."""

CHECKPOINT_SECONDS = 600.0
"""Time between two writes of the counts, unless told otherwise: at MIRACL's size they are 120 MB."""


@dataclass(frozen=True)
class ChunkedRun:
    """One pass of a model over a corpus, or a process's part of it.

    Attributes:
        name: What the bar and the log call it.
        embed: Embeds texts.
        similarity: The model's similarity of two matrices of embeddings.
        plan: The chunks, and the pairs to count.
        folder: Where the plan's embeddings and scores and the counts are kept; the caller removes it when the result
            is safe.
        shard: Which chunks to count; all by default.
        progress: Show a progress bar on a terminal.
        phase: Called with the name of each phase, which the context it returns surrounds.
        confidence: In which pools to find out how sure the model is.
        keep_top: Passages of each query to keep in every pool; None for none.
        device: Where the model computes, which is where embeddings that are read go, too; None where it does not say.
        checkpoint_seconds: Seconds between two writes of the counts; 0 for one after each chunk.
    """

    name: str
    embed: Embed
    similarity: Similarity
    plan: ChunkPlan
    folder: PassFolder
    shard: Shard = WHOLE
    progress: bool = False
    phase: Callable[[str], AbstractContextManager[object]] = nullcontext
    confidence: Wanted = True
    keep_top: int | None = None
    device: torch.device | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    _sampled: dict[SampledText, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    @torch.no_grad()
    def is_current(self, encode: Encode) -> bool:
        """Whether the folder was written by the model as it is now, by the embeddings that are there.

        Some of the texts of every language whose embeddings, or counts, are there are embedded again.

        Args:
            encode: Embeds texts by the model as it is now.
        """
        relevant = self._relevant_chunks
        each = max(1, SAMPLED_TEXTS // (len(self.plan.query_languages) + len(relevant) + 1))
        for texts, embeddings in self._saved_embeddings(relevant):
            rows = sampled_rows(len(texts), each)
            if not close(as_rows(select_rows(embeddings, rows)), as_rows(encode([texts[row] for row in rows]))):
                return False
        return True

    def _saved_embeddings(self, relevant: Sequence[Chunk]) -> Iterator[tuple[list[SampledText], Any]]:
        """Read the embeddings that are there, file by file, with the texts they are of."""
        for language in self.plan.query_languages:
            embeddings = self.folder.saved_embeddings(_questions_file(language))
            if embeddings is not None:
                yield [SampledText(QUERY, language, row) for row in range(self._n_questions(language))], embeddings
        for chunk in relevant:
            embeddings = self.folder.saved_embeddings(chunk.name)
            if embeddings is not None:
                language = self._language(chunk)
                yield [SampledText(PASSAGE, language, int(row)) for row in self.plan.rows(chunk)], embeddings
        saved = self.folder.load_arrays(self.shard.part, only=EMBEDDINGS)
        sampled = sampled_in(*saved) if saved is not None else {}
        if sampled:
            yield [*sampled], np.array([*sampled.values()])

    @torch.no_grad()
    def prepare(self) -> None:
        """Encode the questions and the relevant passages and store the latter's scores, unless that has been done.

        Raises:
            ModelError: The model's embeddings or similarities cannot be ranked by.
            BeirHybridError: The folder cannot be written to.
        """
        with self.phase("Encoding questions"), self.folder.planning():
            if self.folder.load(PLAN) is not None:
                return
            questions = self._questions
            own = {
                language: torch.full((len(targets.queries),), torch.nan)
                for language, targets in self.plan.targets.items()
            }
            for chunk in self._relevant_chunks:
                passages = self._passages(chunk, self._embeddings(chunk))
                for language, targets in self.plan.targets.items():
                    if chunk.language in targets.languages:
                        scores = own_scores_in(targets, self._tiles(questions[language], passages))
                        own[language] = torch.where(scores.isnan(), own[language], scores)
                del passages  # before the next ones come
            self.folder.save(PLAN, own)

    @torch.no_grad()
    def count(self) -> PartialCounts:
        """Encode and count the chunks of the shard, going on where a killed process was.

        Raises:
            ModelError: The model's embeddings or similarities cannot be ranked by.
            BeirHybridError: A file cannot be written.
        """
        self.prepare()
        with self.phase("Encoding and counting passages"):
            counts = self.restored() or self.empty()
            share = self.plan.share(self.shard)
            done = [chunk for chunk in share if chunk.name in counts.chunks]
            if done:
                logger.info(f"{self.name} goes on after {len(done)} of {len(share)} chunks: {self.folder.folder}")
            return self._count_rest(counts, [chunk for chunk in share if chunk.name not in counts.chunks], share)

    def _count_rest(self, counts: PartialCounts, rest: Sequence[Chunk], share: Sequence[Chunk]) -> PartialCounts:
        """Count some chunks, and write the counts now and then, at the end, and when the process is to end before."""
        unwritten, written = not share, time.monotonic()
        with Interruptions() as interruptions:
            try:
                for chunk in self._with_bar(rest, sum(map(len, share))):
                    embeddings = self._embeddings(chunk)
                    with interruptions.held_back():
                        unwritten = False  # counts with half a chunk in them are worth nothing
                        self.add(counts, chunk, embeddings)
                        del embeddings  # before the next ones come
                        unwritten = True
                        if time.monotonic() - written >= self.checkpoint_seconds:
                            self.save(counts)
                            unwritten, written = False, time.monotonic()
            except BaseException as error:
                if unwritten:
                    with interruptions.held_back(), suppress(BeirHybridError, OSError):
                        self.save(counts)
                if isinstance(error, SystemExit):
                    logger.warning(
                        f"{self.name} was told to end and goes on when it is run again: {self.folder.folder}"
                    )
                raise
        if unwritten:
            self.save(counts)
        return counts

    def empty(self) -> PartialCounts:
        """Return the counts of no chunk; the run is prepared.

        Raises:
            BeirHybridError: It is not.
        """
        return PartialCounts.empty(self.plan, self._own_scores(), self.confidence, self.keep_top)

    def _own_scores(self) -> dict[str, torch.Tensor]:
        saved = self.folder.load(PLAN)
        if saved is None:
            raise BeirHybridError(f"{self.folder.folder} has lost its plan; run it again")
        return saved[0]

    @torch.no_grad()
    def add(self, counts: PartialCounts, chunk: Chunk, embeddings: Any = None) -> None:
        """Count a chunk.

        Args:
            counts: What it is added to; worth nothing any more if this fails.
            chunk: The chunk.
            embeddings: Its embeddings, shape (n, D); the chunk is encoded if there are none.
        """
        passages = self._passages(chunk, self._embeddings(chunk) if embeddings is None else embeddings)
        questions = self._questions
        for language, counter in counts.counters.items():
            for block, scores in self._tiles(questions[language], passages):
                counter.add(block, scores)
            counter.compact(self.plan.passage_ids)
        counts.chunks.add(chunk.name)
        counts.sampled.update(self._sampled)

    def restored(self) -> PartialCounts | None:
        """Return the counts that a killed process has left, unless they were compared with other scores."""
        saved = self.folder.load_arrays(self.shard.part)
        if saved is None:
            return None
        counts = PartialCounts.from_arrays(self.plan, *saved, self.confidence, self.keep_top)
        own = self._own_scores()
        if all(torch.equal(counter.own, own[language]) for language, counter in counts.counters.items()):
            return counts
        logger.warning(
            f"{self.folder.folder}: the plan was made anew since {self.shard.part} was counted, which is done again."
        )
        return None

    def save(self, counts: PartialCounts) -> None:
        """Write counts, as those of the shard.

        Raises:
            BeirHybridError: They cannot be written.
        """
        arrays, facts = counts.arrays()
        self.folder.save(self.shard.part, arrays, **facts)

    def _with_bar(self, chunks: Sequence[Chunk], total: int) -> Iterator[Chunk]:
        with tqdm(
            desc=f"{self.name}: passages",
            total=total,
            initial=total - sum(map(len, chunks)),
            unit=" passages",
            disable=None if self.progress else True,
        ) as bar:
            for chunk in chunks:
                yield chunk
                bar.update(len(chunk))

    @property
    def _relevant_chunks(self) -> list[Chunk]:
        return [chunk for chunk in self.plan.chunks.values() if chunk.relevant]

    def _language(self, chunk: Chunk) -> str:
        return self.plan.passage_languages[chunk.language]

    def _n_questions(self, language: str) -> int:
        return len(self.plan.corpus.languages[language].questions)

    @cached_property
    def _wanted(self) -> dict[tuple[str, str], NDArray[np.int64]]:
        """Rows that the sample of the run has, however it is cut into chunks: kind and language -> rows."""
        plan = self.plan
        rows: dict[tuple[str, str], list[int]] = {}
        for text in sampled_texts_of(plan.corpus, plan.query_languages, plan.passage_languages):
            rows.setdefault((text.kind, text.language), []).append(text.row)
        return {group: np.array(numbers) for group, numbers in rows.items()}

    def _keep_some(self, kind: str, language: str, rows: NDArray[np.int64], embeddings: Any) -> None:
        """Put into the sample what it wants of some embeddings, which are those of ``rows``."""
        chosen = np.flatnonzero(np.isin(rows, self._wanted.get((kind, language), [])))
        if len(chosen):
            for row, embedding in zip(rows[chosen], as_rows(select_rows(embeddings, chosen)), strict=True):
                self._sampled[SampledText(kind, language, int(row))] = embedding

    def _passages(self, chunk: Chunk, embeddings: Any) -> PassageBlock:
        """Return an encoded chunk as a block of passages."""
        rows = self.plan.rows(chunk)
        return PassageBlock(
            chunk.language, int(rows[0]), take(self.plan.passage_ids[chunk.language], rows), embeddings, rows
        )

    def _tiles(self, questions: Any, passages: PassageBlock) -> Iterator[tuple[PassageBlock, torch.Tensor]]:
        """Score passages, TILE at a time, the last tile filled up with repeated passages."""
        assert passages.rows is not None
        for first in range(0, len(passages.rows), TILE):
            n = min(TILE, len(passages.rows) - first)
            here = slice(first, first + n)
            tile = select_rows(passages.embeddings, here if n == TILE else first + np.arange(TILE) % n)
            scores = scores_of(self.similarity, questions, tile)[:, :n].contiguous()
            rows = passages.rows[here]
            yield PassageBlock(passages.language, int(rows[0]), passages.ids[here], tile, rows), scores

    @cached_property
    def _questions(self) -> dict[str, Any]:
        """Query language -> the embeddings of its questions, encoded or read."""
        return {language: self._questions_of(language) for language in self.plan.query_languages}

    def _questions_of(self, language: str) -> Any:
        rows = np.arange(self._n_questions(language))
        embeddings = self._stored(_questions_file(language), QUERY, language, rows)
        self._keep_some(QUERY, language, rows, embeddings)
        return embeddings

    def _embeddings(self, chunk: Chunk) -> Any:
        """Encode a chunk, or read its embeddings where its passages are relevant ones, which the plan has encoded."""
        language, rows = self._language(chunk), self.plan.rows(chunk)
        if chunk.relevant:
            embeddings = self._stored(chunk.name, PASSAGE, language, rows)
        else:
            embeddings = self._embed(PASSAGE, language, rows)
        self._keep_some(PASSAGE, language, rows, embeddings)
        return embeddings

    def _stored(self, name: str, kind: str, language: str, rows: NDArray[np.int64]) -> Any:
        """Read embeddings from a file of the folder, or encode texts and write it."""
        return on_device(self.folder.embeddings(name, lambda: self._embed(kind, language, rows)), self.device)

    def _embed(self, kind: str, language: str, rows: NDArray[np.int64]) -> Any:
        logger.info(f"Encoding {len(rows)} {language} {'questions' if kind == QUERY else 'passages'}...")
        return self.embed(kind, language, rows)


def _questions_file(language: str) -> str:
    return f"questions-{language}"
