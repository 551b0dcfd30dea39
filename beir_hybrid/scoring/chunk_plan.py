"""How a pool is cut into chunks, the same on every machine: what is counted for whom, and in which order.

The relevant passages of all languages are chunks of their own: everything else is compared with their scores, which are
computed once, before anything is counted, and so no text is encoded twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from beir_hybrid.corpora.parallel import ParallelCorpus
from beir_hybrid.corpora.text_columns import take
from beir_hybrid.scoring.shards import Shard
from beir_hybrid.scoring.targets import Targets

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK_SIZE = 50_000
"""Passages of a chunk, unless told otherwise."""


@dataclass(frozen=True)
class Chunk:
    """Some passages of one language, the unit of work.

    Attributes:
        name: Tells it from all others by its content: language, rows, ids at both ends, revision of the data.
        language: Number of its language among those of the pool.
        first: Place of its first passage, among the relevant passages of the language or among the others.
        last: Place behind its last one.
        relevant: Whether its passages are relevant to a question.
    """

    name: str
    language: int
    first: int
    last: int
    relevant: bool

    def __len__(self) -> int:
        return self.last - self.first


@dataclass(frozen=True)
class ChunkPlan:
    """The chunks of a pool, and the pairs to count.

    Attributes:
        corpus: The questions, passages and judgments.
        query_languages: Languages of the questions.
        passage_languages: Languages of the pool.
        chunk_size: Passages of a chunk.
    """

    corpus: ParallelCorpus
    query_languages: Sequence[str]
    passage_languages: Sequence[str]
    chunk_size: int = CHUNK_SIZE

    @cached_property
    def targets(self) -> dict[str, Targets]:
        """Query language -> its pairs."""
        each = Targets.of_each(self.corpus, self.query_languages, self.passage_languages)
        return {targets.query_language: targets for targets in each}

    @cached_property
    def relevant(self) -> list[NDArray[np.int64]]:
        """Rows of the passages of each language that are relevant to any question, ascending."""
        return [
            np.unique(
                np.concatenate([targets.passages[targets.languages == number] for targets in self.targets.values()])
            )
            for number in range(len(self.passage_languages))
        ]

    @cached_property
    def passage_ids(self) -> list[Sequence[str]]:
        """Ids of all passages of each language."""
        return [self.corpus.languages[language].passage_ids for language in self.passage_languages]

    @cached_property
    def chunks(self) -> dict[str, Chunk]:
        """All chunks by name, those of relevant passages first."""
        sizes = [
            (len(relevant), len(ids) - len(relevant))
            for relevant, ids in zip(self.relevant, self.passage_ids, strict=True)
        ]
        chunks = [
            self._chunk(number, first, min(first + self.chunk_size, size[kind]), kind == 0)
            for kind in (0, 1)
            for number, size in enumerate(sizes)
            for first in range(0, size[kind], self.chunk_size)
        ]
        return {chunk.name: chunk for chunk in chunks}

    def share(self, shard: Shard) -> list[Chunk]:
        """Return the chunks of a shard; those of relevant passages, which are small, are dealt apart."""
        chunks = [*self.chunks.values()]
        dealt = ([chunk for chunk in chunks if chunk.relevant is relevant] for relevant in (True, False))
        return [chunk for of_kind in dealt for chunk in of_kind[shard.number - 1 :: shard.count]]

    def n_passages(self, names: Iterable[str]) -> int:
        """Count the passages of some chunks."""
        return sum(len(self.chunks[name]) for name in names)

    def rows(self, chunk: Chunk) -> NDArray[np.int64]:
        """Return the rows of the passages of a chunk, ascending."""
        return self._rows(chunk.language, np.arange(chunk.first, chunk.last), chunk.relevant)

    def _rows(self, language: int, places: NDArray[np.int64], is_relevant: bool) -> NDArray[np.int64]:
        relevant = self.relevant[language]
        if is_relevant:
            return relevant[places]
        # A passage's place among the others is its row less the relevant passages before it.
        return places + np.searchsorted(relevant - np.arange(len(relevant)), places, side="right")

    def _chunk(self, number: int, first: int, last: int, relevant: bool) -> Chunk:
        language = self.passage_languages[number]
        ends = self._rows(number, np.array([first, last - 1]), relevant)
        content = [
            self.corpus.name,
            self.corpus.revision,
            language,
            self._digests[number],
            *ends.tolist(),
            *take(self.passage_ids[number], ends),
        ]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
        name = f"{language}-{'relevant' if relevant else 'others'}-{first}-{last}-{digest}"
        return Chunk(name, number, first, last, relevant)

    @cached_property
    def _digests(self) -> list[str]:
        """Hash of which passages of each language are relevant."""
        return [hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest() for rows in self.relevant]
