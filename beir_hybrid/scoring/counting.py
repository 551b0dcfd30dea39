"""The counting pass: how many passages of each language outrank each relevant passage.

A rank is a count, and counts over disjoint sets of passages add up. One pass over blocks of scores therefore gives
the rank of every relevant passage in every single-language pool and in the multilingual pool; nothing is sorted and
memory does not grow with the pool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from beir_hybrid.errors import BeirHybridError, DataError, ModelError
from beir_hybrid.ranks.schema import TOP_LANGUAGES
from beir_hybrid.scoring.confidence import TOP_K, Confidence, Ignored, TopScores
from beir_hybrid.scoring.fast import compiled_for
from beir_hybrid.scoring.matrices import nonzero_rows, select_rows, widened
from beir_hybrid.scoring.precision import full_precision
from beir_hybrid.scoring.targets import Targets
from beir_hybrid.scoring.top_passages import BestPassages, TopPassages
from beir_hybrid.subsets import MULTI

if TYPE_CHECKING:
    from numpy.typing import NDArray

Similarity = Callable[[Any, Any], Any]

Wanted = bool | Literal["own"]
"""In which pools confidence is wanted: in all, in none, or in that of the queries' own language and that of all."""

BLOCK_ELEMENTS = 16_000_000
"""Scores of one block, 64 MB in float32."""

HELD_ELEMENTS = 32_000_000
"""Scores of all blocks of a query language that are held at once, 128 MB, where the pool is small enough."""

SORT_FROM = 6
"""Relevant passages of a query from which on a block is sorted."""

TILE_ELEMENTS = 1_000_000
"""Scores compared at once, so that a comparison stays in the processor's cache."""


@dataclass(frozen=True)
class PassageBlock:
    """Embeddings of passages of one language, consecutive ones unless ``rows`` says otherwise.

    Attributes:
        language: Number of the language in ``Targets.passage_languages``.
        first: Row of the first passage.
        ids: Ids of the passages, n of them.
        embeddings: What the encoder returned, shape (n, D).
        rows: Rows of the passages, ascending, shape (n,), where they are not consecutive; ``first`` is the first one.
    """

    language: int
    first: int
    ids: Sequence[str]
    embeddings: Any
    rows: NDArray[np.int64] | None = None

    def find(
        self, languages: NDArray[np.int64], passages: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which of some passages, given by language and row, lie in the block, and their columns."""
        pairs = np.flatnonzero(languages == self.language)
        passages = passages[pairs]
        if self.rows is None:
            columns = passages - self.first
            found = (columns >= 0) & (columns < len(self.ids))
        else:
            columns = np.minimum(np.searchsorted(self.rows, passages), len(self.rows) - 1)
            found = self.rows[columns] == passages
        return pairs[found], columns[found]


@dataclass(frozen=True)
class CountedRanks:
    """The outcome of the counting pass for the queries of one language.

    Attributes:
        targets: The P pairs that were counted.
        rank_in_language: Rank of each relevant passage in the pool of its own language, from 1, shape (P,).
        rank_in_pool: Its rank in the pool of all languages, from 1, shape (P,).
        outranked_by_query_language: Passages in the language of the query that outrank it, shape (P,); None where that
            language has no pool.
        confidence: Language of a single-language pool, or ``"multi"`` -> confidence of each query's top scores.
        top_languages: Numbers of the languages of each query's best passages in the pool of all languages, best
            first, shape (Q, min(100, pool size)); -1 behind the last one, where passages are no candidates.
        outranked_by_language: Passages of each language that outrank the relevant passage, summed over all pairs that
            were counted, shape (L,).
        keep_top: Passages of each query to keep in every pool; None for none.
        tops: Language of a single-language pool, or ``"multi"`` -> these passages; None where they were not asked for.
    """

    targets: Targets
    rank_in_language: NDArray[np.int64]
    rank_in_pool: NDArray[np.int64]
    outranked_by_query_language: NDArray[np.int64] | None
    confidence: Mapping[str, Confidence]
    top_languages: NDArray[np.int16]
    outranked_by_language: NDArray[np.int64]
    keep_top: int | None = None
    tops: Mapping[str, BestPassages] | None = None

    def only(self, chosen: NDArray[np.bool_]) -> CountedRanks:
        """Return the same counts for some of the pairs, given as a mask of shape (P,)."""
        by_own = self.outranked_by_query_language
        return replace(
            self,
            targets=self.targets.only(chosen),
            rank_in_language=self.rank_in_language[chosen],
            rank_in_pool=self.rank_in_pool[chosen],
            outranked_by_query_language=None if by_own is None else by_own[chosen],
        )


class RankCounter:
    """Counts, block by block, the passages that outrank the relevant ones of the queries of one language.

    A counter that was saved as ``state`` and restored by ``from_state`` goes on to exactly the same result.
    """

    def __init__(
        self, targets: Targets, own: torch.Tensor, confidence: Wanted = True, keep_top: int | None = None
    ) -> None:
        """Start at zero.

        Args:
            targets: The P pairs of one query language.
            own: Score of the relevant passage of each pair, shape (P,).
            confidence: Of which pools to keep the top scores, from which confidence follows.
            keep_top: Passages of each query to keep in every pool; None for no more than the languages of the top 100.
        """
        self.targets = targets
        self.own = own
        self._confidence = confidence
        self._outranked = np.zeros((len(targets.queries), len(targets.passage_languages)), dtype=np.int64)
        self._thresholds = torch.from_numpy(targets.padded(own.numpy(), np.inf))
        # Nobody asks how sure the model is in a pool without relevant passages: such languages share one list.
        self._tops = {
            int(language): TopScores()
            for language in np.unique(targets.languages)
            if confidence is True or targets.passage_languages[language] == targets.query_language
        }
        self._other_tops = TopScores()
        self._confidences: dict[str, Confidence] = {}
        self._keep_top = keep_top
        self._top_passages = TopPassages(*self._widths)
        self._ignored = np.full(targets.ignored.shape[1], np.nan, dtype=np.float32)

    def add(self, block: PassageBlock, scores: torch.Tensor) -> None:
        """Count a block by its scores, shape (Q, n), which are written to."""
        pairs, columns = block.find(self.targets.languages, self.targets.passages)
        _put_own_scores(scores, self.targets, pairs, columns, self.own)
        self._mask_ignored(block, scores)
        self._thresholds = thresholds = self._thresholds.to(scores.device)
        # Two comparisons for each of many relevant passages cost more than one sort, which also gives the top scores.
        compiled = compiled_for(scores)
        ordered = _sort(scores) if compiled is None and thresholds.shape[1] >= SORT_FROM else None
        highest = None if ordered is None else ordered[:, -TOP_K:]
        if self._confidence:
            self._tops.get(block.language, self._other_tops).add(scores if highest is None else highest)
        rows = block.first if block.rows is None else block.rows
        self._top_passages.add(scores, block.language, block.ids, rows, ordered)
        if compiled is not None:
            above, not_below = compiled.above_and_not_below(scores.numpy(), thresholds.numpy())
        else:
            above, not_below = _compare(scores, thresholds) if ordered is None else _look_up(ordered, thresholds)
        outranking = _outranking(scores, self.targets, block, pairs, self.own, above, not_below)
        self._outranked[:, block.language] += outranking

    def _mask_ignored(self, block: PassageBlock, scores: torch.Tensor) -> None:
        """Put the passages that are no candidates for a query behind all others, and keep their scores."""
        queries, languages, passages = self.targets.ignored
        found, columns = block.find(languages, passages)
        if not len(found):
            return
        rows, places = torch.from_numpy(queries[found]).to(scores.device), torch.from_numpy(columns).to(scores.device)
        self._ignored[found] = scores[rows, places].cpu().numpy()
        scores[rows, places] = -torch.inf

    def _ignored_in(self, language: int | None = None) -> Ignored | None:
        """Return the rows of the queries and the scores of what is ignored in one language, or in all."""
        queries, languages, _ = self.targets.ignored
        here = np.isfinite(self._ignored) & (True if language is None else languages == language)
        return (queries[here], self._ignored[here]) if here.any() else None

    def close(self, language: int) -> None:
        """Take the confidence of a language of which no other block comes, instead of keeping its top scores."""
        top = self._tops.pop(language, None)
        if top is not None and top.values is not None:
            name = self.targets.passage_languages[language]
            self._confidences[name] = top.confidence(self._ignored_in(language))
            self._other_tops.add(top.values)

    def result(self) -> CountedRanks:
        """Return the outcome for the blocks seen so far.

        Raises:
            DataError: There was none.
        """
        names = self.targets.passage_languages
        if self._top_passages.is_empty:
            raise DataError("the pool holds no passage, so nothing can be ranked; name languages that have some")
        confidence = dict(self._confidences)
        for language, top in self._tops.items():
            if top.values is not None:
                confidence[names[language]] = top.confidence(self._ignored_in(language))
        if self._confidence:
            all_tops = TopScores.of_all([*self._tops.values(), self._other_tops])
            confidence[MULTI] = all_tops.confidence(self._ignored_in())
        # Counts of each language are not kept: of 122 languages they would take many times as much as all else.
        counts, targets = self._outranked, self.targets
        own = names.index(targets.query_language) if targets.query_language in names else None
        in_pool = self._top_passages.in_pool()
        best = in_pool.first(TOP_LANGUAGES)
        return CountedRanks(
            targets,
            rank_in_language=counts[np.arange(len(counts)), targets.languages] + 1,
            rank_in_pool=counts.sum(axis=1) + 1,
            outranked_by_query_language=None if own is None else counts[:, own].copy(),
            confidence=confidence,
            top_languages=np.where(best.scores == -np.inf, np.int16(-1), best.languages),
            outranked_by_language=counts.sum(axis=0),
            keep_top=self._keep_top,
            tops=self._tops_of_pools(in_pool),
        )

    def _tops_of_pools(self, in_pool: BestPassages) -> dict[str, BestPassages] | None:
        if self._keep_top is None:
            return None
        names = self.targets.passage_languages
        in_language = {names[number]: best for number, best in self._top_passages.in_language().items()}
        return in_language | {MULTI: in_pool.first(self._keep_top)}

    def merge(self, other: RankCounter) -> RankCounter:
        """Return the counter of the blocks of both, which share no passage.

        Raises:
            BeirHybridError: The relevant passages had other scores.
        """
        if not torch.equal(self.own, other.own):
            raise BeirHybridError("the right answers had other scores there; counts of two plans do not add up")
        merged = RankCounter(self.targets, self.own, self._confidence, self._keep_top)
        merged._outranked = self._outranked + other._outranked
        merged._ignored = np.where(np.isnan(self._ignored), other._ignored, self._ignored)
        merged._tops = {
            language: TopScores.of_all([top, other._tops[language]]) for language, top in self._tops.items()
        }
        merged._other_tops = TopScores.of_all([self._other_tops, other._other_tops])
        merged._top_passages = self._top_passages.merge(other._top_passages)
        return merged

    def compact(self, ids: Sequence[Sequence[str]]) -> None:
        """Forget the passages that others have pushed out of the top, and the ids of the blocks.

        Args:
            ids: Ids of all passages of each language of the pool.
        """
        best = self._top_passages.state()
        self._top_passages = TopPassages.from_state(best, ids, *self._widths)

    @property
    def _widths(self) -> tuple[int, int | None]:
        """Passages of each query to keep in the pool of all languages, and in that of each."""
        return max(TOP_LANGUAGES, self._keep_top or 0), self._keep_top

    def state(self) -> dict[str, NDArray]:
        """Return all that was counted as arrays; equal for equal passages, however they were cut into blocks."""
        tops = {f"top_{language}": top for language, top in self._tops.items()} | {"top": self._other_tops}
        state: dict[str, NDArray] = {"own": self.own.numpy(), "outranked": self._outranked}
        for name, top in tops.items():
            if top.values is not None:
                values = np.ascontiguousarray(top.values.cpu().numpy())
                values += 0.0  # of two zeros, either may come first
                values.sort(axis=1)
                state[name], top.values = values, torch.from_numpy(values)  # one copy: all are 100 MB at MIRACL's size
        if len(self._ignored):
            state["ignored"] = self._ignored
        return state | {f"best_{name}": values for name, values in self._top_passages.state().items()}

    @classmethod
    def from_state(
        cls,
        targets: Targets,
        state: Mapping[str, NDArray],
        ids: Sequence[Sequence[str]],
        keep_top: int | None = None,
        confidence: Wanted = True,
    ) -> RankCounter:
        """Restore a counter.

        Args:
            targets: The pairs it counted.
            state: What ``state`` returned.
            ids: Ids of all passages of each language of the pool.
            keep_top: As for the class.
            confidence: As for the class.
        """
        counter = cls(targets, torch.from_numpy(state["own"]), confidence, keep_top)
        if state["outranked"].shape != counter._outranked.shape:
            raise ValueError("the counts are of other right answers or languages")
        counter._outranked = state["outranked"].copy()
        counter._ignored = state.get("ignored", counter._ignored)
        for name, top in [("top", counter._other_tops), *((f"top_{n}", t) for n, t in counter._tops.items())]:
            if name in state:
                top.values = torch.from_numpy(state[name])
        best = {name.removeprefix("best_"): values for name, values in state.items() if name.startswith("best_")}
        counter._top_passages = TopPassages.from_state(best, ids, *counter._widths)
        return counter


def count_ranks(
    targets: Targets,
    questions: Any,
    blocks: Iterable[PassageBlock],
    similarity: Similarity,
    relevant_embeddings: Callable[[NDArray[np.int64]], Any] | None = None,
    confidence: Wanted = True,
    keep_top: int | None = None,
) -> CountedRanks:
    """Count, for every relevant pair, the passages of each language that outrank it.

    Equal scores rank as trec_eval ranks them: the passage whose id is the larger string comes first.

    Args:
        targets: The pairs of one query language.
        questions: Embeddings of the queries, shape (Q, D).
        blocks: The passages, language after language; a language may come in several blocks.
        similarity: The model's own similarity of (Q, D) and (n, D), shape (Q, n). What it returns is written to.
        relevant_embeddings: Gives the embeddings of the relevant passages of the pairs with the given numbers,
            shape (len(numbers), D). Needed where not all scores can be held; without it they are.
        confidence: In which pools to find out how sure the model is; a fifth of the time, for the abstention metrics.
        keep_top: Passages of each query to keep in every pool; None for none.

    Returns:
        Counts, from which all ranks follow, and the confidence of each query in each pool if that was asked for.

    Raises:
        ModelError: The similarity gives scores that are not finite, or not one for each query and passage.
        DataError: The pool is empty.
    """
    scored: Iterable[tuple[PassageBlock, torch.Tensor]]
    scored = ((block, scores_of(similarity, questions, block.embeddings)) for block in blocks)
    if relevant_embeddings is None:
        # The scores of the relevant passages are taken from the very blocks they are compared with, which makes
        # equal embeddings equal scores whatever the shape of the matrix product rounds to.
        held = deque(scored)
        own = own_scores_in(targets, held)
        scored = (held.popleft() for _ in range(len(held)))  # what is counted is let go
    else:
        own = _own_scores(targets, questions, similarity, relevant_embeddings)
    counter = RankCounter(targets, own, confidence, keep_top)
    for language, of_language in groupby(scored, key=lambda one: one[0].language):
        for block, scores in of_language:
            counter.add(block, scores)
        counter.close(language)
    return counter.result()


def split_blocks(block: PassageBlock, n_queries: int) -> Iterator[PassageBlock]:
    """Cut a block into pieces whose scores against ``n_queries`` queries stay within BLOCK_ELEMENTS."""
    step = max(1, BLOCK_ELEMENTS // max(n_queries, 1))
    if 0 < len(block.ids) <= step:
        yield block
        return
    for start in range(0, len(block.ids), step):
        ids = block.ids[start : start + step]
        embeddings = select_rows(block.embeddings, slice(start, start + len(ids)))
        yield PassageBlock(block.language, block.first + start, ids, embeddings)


def scores_of(similarity: Similarity, questions: Any, passages: Any) -> torch.Tensor:
    """Return the similarity of (Q, D) and (n, D) as float32 of shape (Q, n) that can be written to.

    It is computed in single precision at least, whatever precision the model or the process computes in.

    Raises:
        ModelError: The scores are not finite, or not one for each query and passage.
    """
    with full_precision(questions, passages):
        scores = torch.as_tensor(similarity(widened(questions), widened(passages))).detach()
    scores = (scores if scores.layout == torch.strided else scores.to_dense()).to(torch.float32).contiguous()
    shape = (questions.shape[0], passages.shape[0])
    if scores.shape != shape:
        raise ModelError(
            f"the similarity of {shape[0]} x {shape[1]} embeddings has the shape {tuple(scores.shape)}; check the model"
        )
    scores = scores.clone() if scores.is_inference() else scores  # others cannot be written to
    if not _all_finite(scores) and not _all_finite(_zero_where_nothing_is_known(scores, questions, passages)):
        raise ModelError("the similarity of two embeddings is not finite; the model's scores cannot be ranked")
    return scores


def _all_finite(scores: torch.Tensor) -> bool:
    """Whether no score is NaN or infinite, in one pass: the smallest or the largest one would be."""
    if scores.numel() == 0:
        return True
    smallest, largest = torch.aminmax(scores)
    return bool(torch.isfinite(smallest) & torch.isfinite(largest))


def _zero_where_nothing_is_known(scores: torch.Tensor, questions: Any, passages: Any) -> torch.Tensor:
    """Put 0 where a similarity has divided by the length of an embedding of zeros, as MTEB's own cosine gives."""
    unknown = torch.from_numpy(~nonzero_rows(torch.as_tensor(questions).detach()))[:, None]
    unknown = unknown | torch.from_numpy(~nonzero_rows(torch.as_tensor(passages).detach()))[None, :]
    return scores.masked_fill_(unknown.to(scores.device) & scores.isnan(), 0)


def own_scores_in(targets: Targets, scored: Iterable[tuple[PassageBlock, torch.Tensor]]) -> torch.Tensor:
    """Look up the scores of the relevant passages, shape (P,), in blocks that hold all of them."""
    own = torch.full((len(targets.queries),), torch.nan)
    for block, scores in scored:
        pairs, columns = block.find(targets.languages, targets.passages)
        queries = torch.from_numpy(targets.queries[pairs])
        own[torch.from_numpy(pairs)] = scores[queries, torch.from_numpy(columns)].cpu()
    return own


def _own_scores(
    targets: Targets, questions: Any, similarity: Similarity, relevant_embeddings: Callable[[NDArray[np.int64]], Any]
) -> torch.Tensor:
    own = torch.empty(len(targets.queries))
    step = 256
    for start in range(0, targets.n_queries, step):
        numbers = np.flatnonzero((targets.queries >= start) & (targets.queries < start + step))
        if len(numbers):
            some = select_rows(questions, slice(start, start + step))
            scores = scores_of(similarity, some, relevant_embeddings(numbers))
            rows = torch.from_numpy(targets.queries[numbers] - start)
            own[torch.from_numpy(numbers)] = scores[rows, torch.arange(len(numbers))].cpu()
    return own


def _put_own_scores(
    scores: torch.Tensor,
    targets: Targets,
    pairs: NDArray[np.int64],
    columns: NDArray[np.int64],
    own: torch.Tensor,
) -> None:
    """Write the relevant passages' scores into the block, so that no passage outranks itself by a rounding error."""
    queries = torch.from_numpy(targets.queries[pairs]).to(scores.device)
    scores[queries, torch.from_numpy(columns).to(scores.device)] = own[torch.from_numpy(pairs)].to(scores.device)


def _outranking(
    scores: torch.Tensor,
    targets: Targets,
    block: PassageBlock,
    inside: NDArray[np.int64],
    own: torch.Tensor,
    above: NDArray[np.int32],
    not_below: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Count the passages of the block that outrank each relevant passage, shape (P,).

    ``inside`` are the numbers of the pairs whose relevant passage lies in the block; ``above`` and ``not_below`` are
    the passages whose score is higher, and not lower, than that of each, two (Q, R) arrays.
    """
    outranking = above[targets.queries, targets.slots].astype(np.int64)
    ties = not_below[targets.queries, targets.slots] - outranking
    ties[inside] -= 1  # itself
    tied = np.flatnonzero(ties)
    if len(tied):
        outranking[tied] += _tied_with_larger_id(scores, targets, block, own, tied)
    return outranking


def _sort(scores: torch.Tensor) -> torch.Tensor:
    """Sort each row, lowest first."""
    if scores.device.type == "cpu":
        return torch.from_numpy(np.sort(scores.numpy(), axis=1))  # several times as fast as torch's
    return scores.sort(dim=1).values


def _look_up(ordered: torch.Tensor, thresholds: torch.Tensor) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Count what ``_compare`` counts, in sorted scores."""
    n = ordered.shape[1]
    first = torch.searchsorted(ordered, thresholds)
    # Where the score behind is another, nothing ties; few do, and a second look-up would cost as much as the first.
    queries, slots = (ordered.gather(1, first.clamp(max=n - 1)) == thresholds).nonzero(as_tuple=True)
    limits = thresholds[queries, slots]
    above = first.clone()
    step = max(1, TILE_ELEMENTS // n)
    for start in range(0, len(queries), step):
        some = slice(start, start + step)
        equal = (ordered[queries[some]] == limits[some, None]).sum(1)
        above[queries[some], slots[some]] += equal
    return (n - above).int().cpu().numpy(), (n - first).int().cpu().numpy()


def _compare(scores: torch.Tensor, thresholds: torch.Tensor) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Count, for every query and slot, the scores above and not below the threshold, two (Q, R) arrays."""
    above = torch.empty(thresholds.shape, dtype=torch.int32, device=scores.device)
    not_below = torch.empty_like(above)
    step = max(1, TILE_ELEMENTS // max(scores.shape[1], 1))
    for start in range(0, len(scores), step):
        tile, limits = scores[start : start + step], thresholds[start : start + step]
        for slot in range(limits.shape[1]):
            limit = limits[:, slot : slot + 1]
            above[start : start + step, slot] = (tile > limit).sum(1, dtype=torch.int32)
            not_below[start : start + step, slot] = (tile >= limit).sum(1, dtype=torch.int32)
    return above.cpu().numpy(), not_below.cpu().numpy()


def _tied_with_larger_id(
    scores: torch.Tensor, targets: Targets, block: PassageBlock, own: torch.Tensor, tied: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Count the passages of the block with the same score and a larger id, for the pairs that have ties at all."""
    ids = np.asarray(block.ids)
    order = np.argsort(ids)
    position = np.empty(len(ids), dtype=np.int64)
    position[order] = np.arange(len(ids))
    place = torch.from_numpy(position).to(scores.device)
    first_larger = np.searchsorted(ids[order], targets.passage_ids[tied], side="right")
    counts = np.empty(len(tied), dtype=np.int64)
    step = max(1, TILE_ELEMENTS // len(ids))
    for start in range(0, len(tied), step):
        some = slice(start, start + step)
        rows = scores[torch.from_numpy(targets.queries[tied[some]]).to(scores.device)]
        limit = own[torch.from_numpy(tied[some])].to(scores.device)[:, None]
        larger = place[None, :] >= torch.from_numpy(first_larger[some]).to(scores.device)[:, None]
        counts[some] = ((rows == limit) & larger).sum(1).cpu().numpy()
    return counts
