"""What some chunks of a pool have been counted to. Counts of disjoint chunks add up, in any order and grouping.

Chunks may be counted on machines that round differently. Each compares with the scores of the relevant passages that
were made with the plan, and takes these, not its own, for the relevant passages that it meets: none outranks itself,
and two of one question have two ranks. What remains is a *different* passage with the text of a relevant one, or with a
score as near as rounding: it is on that side of it which the machine that scores it rounds to. On machines of one kind
the counts are those of one process, to the last integer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.ranks.model_state import Sample, SampledText
from beir_hybrid.scoring.chunk_plan import ChunkPlan
from beir_hybrid.scoring.counting import CountedRanks, RankCounter, Wanted

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNKS, _SAMPLED = "chunks", "sampled"
EMBEDDINGS = "embeddings"
"""Name of the sampled embeddings among the arrays; a language comes before the slash in all others."""


@dataclass
class PartialCounts:
    """The counts of some chunks of a plan.

    Attributes:
        chunks: Names of the chunks.
        counters: Query language -> its counter.
        sampled: Embeddings of some texts of the chunks and of the questions, which stand for the state of the model.
    """

    chunks: set[str]
    counters: dict[str, RankCounter]
    sampled: dict[SampledText, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def empty(
        cls,
        plan: ChunkPlan,
        own: Mapping[str, torch.Tensor],
        confidence: Wanted = True,
        keep_top: int | None = None,
    ) -> PartialCounts:
        """Return the counts of no chunk.

        Args:
            plan: What is counted.
            own: Query language -> score of the relevant passage of each pair, shape (P,).
            confidence: As for ``RankCounter``.
            keep_top: As for ``RankCounter``.
        """
        counters = {
            language: RankCounter(targets, own[language], confidence, keep_top)
            for language, targets in plan.targets.items()
        }
        return cls(set(), counters)

    def merge(self, other: PartialCounts) -> PartialCounts:
        """Return the counts of the chunks of both.

        Raises:
            BeirHybridError: A chunk is in both, or the relevant passages had other scores.
        """
        twice = self.chunks & other.chunks
        if twice:
            raise BeirHybridError(f"chunk {min(twice)} was counted twice; leave out one of the two")
        return PartialCounts(
            self.chunks | other.chunks,
            {language: counter.merge(other.counters[language]) for language, counter in self.counters.items()},
            {**self.sampled, **other.sampled},
        )

    def compact(self, plan: ChunkPlan) -> None:
        """Forget what no longer matters: passages that others have pushed out, and copies of ids."""
        for counter in self.counters.values():
            counter.compact(plan.passage_ids)

    def result(self) -> dict[str, CountedRanks]:
        """Return query language -> its counted ranks."""
        return {language: counter.result() for language, counter in self.counters.items()}

    def sample(self, texts: Iterable[SampledText]) -> Sample:
        """Return the sample of the model's embeddings, as far as its texts have been embedded.

        Args:
            texts: The texts of the sample, in its order.
        """
        seen = [text for text in texts if text in self.sampled]
        return Sample.of(seen, np.array([self.sampled[text] for text in seen]))

    def arrays(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Return all there is as arrays and facts that JSON can hold."""
        states = {language: counter.state() for language, counter in self.counters.items()}
        arrays = {f"{language}/{name}": array for language, state in states.items() for name, array in state.items()}
        texts = sorted(self.sampled)
        if texts:
            arrays[EMBEDDINGS] = np.array([self.sampled[text] for text in texts])
        return arrays, {_CHUNKS: sorted(self.chunks), _SAMPLED: texts}

    @classmethod
    def from_arrays(
        cls,
        plan: ChunkPlan,
        arrays: Mapping[str, NDArray],
        facts: Mapping[str, Any],
        confidence: Wanted = True,
        keep_top: int | None = None,
    ) -> PartialCounts:
        """Restore what ``arrays`` returned.

        Args:
            plan: What is counted.
            arrays: The arrays.
            facts: The facts.
            confidence: As for ``RankCounter``.
            keep_top: As for ``RankCounter``.
        """
        states: dict[str, dict[str, NDArray]] = {language: {} for language in plan.query_languages}
        for name, array in arrays.items():
            if name != EMBEDDINGS:
                language, _, kind = name.partition("/")
                states[language][kind] = array
        counters = {
            language: RankCounter.from_state(plan.targets[language], state, plan.passage_ids, keep_top, confidence)
            for language, state in states.items()
        }
        return cls(set(facts[_CHUNKS]), counters, sampled_in(arrays, facts))


def sampled_in(arrays: Mapping[str, NDArray], facts: Mapping[str, Any]) -> dict[SampledText, NDArray[np.float64]]:
    """Return the sampled embeddings among what ``PartialCounts.arrays`` returned; no other array need be there."""
    return dict(zip([SampledText(*text) for text in facts[_SAMPLED]], arrays.get(EMBEDDINGS, ()), strict=True))
