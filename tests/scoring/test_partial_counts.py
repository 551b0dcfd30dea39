"""Partial counts are a commutative monoid, on machines that round differently, too."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from beir_hybrid.corpora import ParallelCorpus
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.ranks import build
from beir_hybrid.scoring import chunked, confidence, counting
from beir_hybrid.scoring.chunk_plan import Chunk, ChunkPlan
from beir_hybrid.scoring.chunked import ChunkedRun
from beir_hybrid.scoring.corpus_scores import rank_rows, scores_by_subset, top_rows
from beir_hybrid.scoring.counting import CountedRanks, Similarity
from beir_hybrid.scoring.partial_counts import PartialCounts
from beir_hybrid.scoring.pass_folder import PLAN, PassFolder
from beir_hybrid.scoring.shards import Shard
from beir_hybrid.subsets import MULTI
from tests.support.helpers import ScoreTable, corpus_of, property_test, score_tables
from tests.support.random_corpus import random_corpus


def folder_in(root: str | Path) -> PassFolder:
    return PassFolder.of({"model": "m", "model_revision": "1", "task": "T"}, Path(root))


@contextmanager
def narrow(top_k: int, top_languages: int, tile: int, sort_from: int) -> Iterator[None]:
    """Let small pools be pruned and cut as large ones are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confidence.TopScores.__init__, "__defaults__", (top_k,))
        patch.setattr(counting, "TOP_LANGUAGES", top_languages)
        patch.setattr(counting, "SORT_FROM", sort_from)
        patch.setattr(chunked, "TILE", tile)
        yield


def same_arrays(one: PartialCounts, other: PartialCounts) -> bool:
    """Whether the states of two counts are the same bytes."""
    (ours, our_facts), (theirs, their_facts) = one.arrays(), other.arrays()
    return our_facts == their_facts and {
        name: (array.dtype, array.shape, array.tobytes()) for name, array in ours.items()
    } == {name: (array.dtype, array.shape, array.tobytes()) for name, array in theirs.items()}


def outcome_of(counts: PartialCounts, corpus: ParallelCorpus) -> list[Any]:
    """Return all that is made of counts: rank tables, top passages and scores, to the last bit."""
    outcome = []
    for language, ranks in counts.result().items():
        table = build("T", [rank_rows(ranks, corpus, whole_pool=True)])
        tops = top_rows(ranks, corpus, whole_pool=True)
        pools = [pool for pool in ranks.confidence if pool in (MULTI, language) or len(ranks.confidence) > 2]
        outcome += [table.to_pydict(), json.dumps(scores_by_subset(ranks, pools), sort_keys=True)]
        outcome += [] if tops is None else [tops.table.to_pylist(), tops.k, tops.outranking]
        outcome += [
            ranks.outranked_by_language.tolist(),
            [(of.maximum.tolist(), of.std.tolist()) for of in ranks.confidence.values()],
        ]
    return outcome


class Drawn:
    """A pass over a drawn table, whose partial counts are of drawn chunks."""

    def __init__(self, data: st.DataObject, table: ScoreTable, root: str) -> None:
        self.data, self.corpus = data, table.corpus
        asked = [code for code, part in table.corpus.languages.items() if part.question_ids]
        embeddings = table.embeddings
        matrices = {"query": embeddings.questions, "document": embeddings.passages}
        self.run = ChunkedRun(
            name="T",
            embed=lambda kind, language, rows: matrices[kind][language][torch.from_numpy(rows)],
            similarity=table.similarity,
            plan=ChunkPlan(table.corpus, asked, list(table.corpus.languages), data.draw(st.integers(1, 5))),
            folder=folder_in(root),
            confidence=data.draw(st.sampled_from([True, "own"])),
            keep_top=data.draw(st.none() | st.integers(1, 8)),
        )
        self.run.prepare()
        self.chunks = [*self.run.plan.chunks.values()]

    def counts(self, chunks: Sequence[Chunk]) -> PartialCounts:
        """Count chunks in a process of their own, which has read the plan."""
        run = replace(self.run, _sampled={})
        counts = run.empty()
        for chunk in chunks:
            run.add(counts, chunk)
        return counts

    def maybe_filed(self, counts: PartialCounts) -> PartialCounts:
        """Write counts to a file and read them again, or not."""
        if not self.data.draw(st.booleans()):
            return counts
        arrays, facts = counts.arrays()
        self.run.folder.save("counts-9-of-9", arrays, **facts)
        saved = self.run.folder.load_arrays("counts-9-of-9")
        assert saved is not None
        return PartialCounts.from_arrays(self.run.plan, *saved, self.run.confidence, self.run.keep_top)

    def merged(self, parts: list[PartialCounts]) -> PartialCounts:
        """Merge in any order and nesting."""
        while len(parts) > 1:
            one, other = (parts.pop(self.data.draw(st.integers(0, len(parts) - 1))) for _ in range(2))
            merged = one.merge(other)
            if self.data.draw(st.booleans()):
                merged.compact(self.run.plan)
            parts.append(self.maybe_filed(merged))
        return parts[0]


@property_test(50)
@given(st.data(), score_tables(max_passages=7))
def test_any_split_order_and_nesting_gives_the_same(data: st.DataObject, table: ScoreTable) -> None:
    """Nearly all scores tie, both zeros among them, and some passages are no candidates."""
    if not any(part.question_ids for part in table.corpus.languages.values()):
        return
    widths = [data.draw(st.sampled_from(values)) for values in ([3, 1000], [2, 100], [1, 4, 32], [0, 99])]
    with tempfile.TemporaryDirectory() as root, narrow(*widths):
        drawn = Drawn(data, table, root)
        whole = drawn.counts(drawn.chunks)
        groups: list[list[Chunk]] = [[] for _ in range(data.draw(st.integers(1, 6)))]  # some of them empty
        for chunk in data.draw(st.permutations(drawn.chunks)):
            data.draw(st.sampled_from(groups)).append(chunk)
        merged = drawn.merged([drawn.maybe_filed(drawn.counts(group)) for group in groups])
        assert same_arrays(merged, whole)
        assert outcome_of(merged, table.corpus) == outcome_of(whole, table.corpus)
        # What a process has counted goes on, however it came about.
        rest = data.draw(st.lists(st.sampled_from(drawn.chunks), unique=True, max_size=3))
        begun = drawn.merged(
            [drawn.counts([chunk]) for chunk in drawn.chunks if chunk not in rest] + [drawn.run.empty()]
        )
        for chunk in rest:
            drawn.run.add(begun, chunk)
        assert outcome_of(begun, table.corpus) == outcome_of(whole, table.corpus)


@property_test(20)
@given(st.data(), score_tables(max_passages=9))
def test_the_laws_of_a_commutative_monoid(data: st.DataObject, table: ScoreTable) -> None:
    if not any(part.question_ids for part in table.corpus.languages.values()):
        return
    with tempfile.TemporaryDirectory() as root, narrow(3, 2, 4, data.draw(st.sampled_from([0, 99]))):
        drawn = Drawn(data, table, root)
        place = data.draw(st.permutations(range(len(drawn.chunks))))
        a, b, c = (drawn.counts([drawn.chunks[n] for n in place[first::3]]) for first in range(3))
        before = [json.dumps(counts.arrays()[1]) for counts in (a, b, c)]
        assert same_arrays(a.merge(b), b.merge(a))
        assert same_arrays(a.merge(b).merge(c), a.merge(b.merge(c)))
        nothing = drawn.run.empty()
        assert same_arrays(a.merge(nothing), a)
        assert same_arrays(nothing.merge(a), a)
        assert same_arrays(nothing.merge(nothing), nothing)
        assert [json.dumps(counts.arrays()[1]) for counts in (a, b, c)] == before, "a merge leaves both as they are"
        for counts in (a, b, c):
            if counts.chunks:
                with pytest.raises(
                    BeirHybridError, match=rf"^chunk {min(counts.chunks)} was counted twice; "
                ) as caught:
                    a.merge(b).merge(c).merge(counts)
                assert "\n" not in str(caught.value)


# Machines that round differently

DIMENSIONS = 12


def summed(order: Sequence[int]) -> Similarity:
    """Return a dot product in single precision that adds the products up in some order, whatever the shapes."""

    def similarity(questions: Any, passages: Any) -> torch.Tensor:
        questions, passages = torch.as_tensor(questions), torch.as_tensor(passages)
        scores = torch.zeros(len(questions), len(passages))
        for place in order:
            scores = scores + questions[:, place, None] * passages[None, :, place]
        return scores

    return similarity


def in_double_precision(questions: Any, passages: Any) -> torch.Tensor:
    """Return the dot product, rounded once."""
    questions, passages = torch.as_tensor(questions).double(), torch.as_tensor(passages).double()
    return (questions[:, None, :] * passages[None, :, :]).sum(-1).float()


MACHINES: list[Similarity] = [
    summed(range(DIMENSIONS)),
    summed(range(DIMENSIONS - 1, -1, -1)),
    in_double_precision,
]


class NearScores:
    """A corpus whose passages score within a few last digits of each other, encoded on each machine a little else."""

    def __init__(self, seed: int, corpus: ParallelCorpus | None = None) -> None:
        self.corpus = corpus or random_corpus({"en": 40, "de": 33, "zh": 21}, 12, seed)
        random = np.random.default_rng(seed)
        topic = random.normal(size=DIMENSIONS)
        self.matrices = {
            (kind, language): (topic + spread * random.normal(size=(len(texts), DIMENSIONS))).astype(np.float32)
            for language, part in self.corpus.languages.items()
            for kind, texts, spread in (("query", part.questions, 1.0), ("document", part.passages, 1e-7))
        }

    def run(self, machine: int, root: Path, chunk_size: int = 5, noise: float = 0.0) -> ChunkedRun:
        """Return the pass on a machine, whose encoder rounds by ``noise``, too."""

        def embed(kind: str, language: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
            random = np.random.default_rng([machine, *rows.tolist()])
            exact = self.matrices[kind, language][rows]
            return (exact * (1 + noise * random.normal(size=exact.shape))).astype(np.float32)

        languages = [*self.corpus.languages]
        plan = ChunkPlan(self.corpus, languages, languages, chunk_size)
        return ChunkedRun("T", embed, MACHINES[machine], plan, folder_in(root))


def plainly_counted(runs: dict[str, ChunkedRun], keep: PassFolder) -> dict[str, NDArray[np.int64]]:
    """Count what outranks each right answer, given what scores each chunk: one comparison after the other.

    A right answer has the score that the run's plan holds, on the left of the comparison and on the right.
    """
    saved = keep.load(PLAN)
    assert saved is not None
    [plan, *_] = [run.plan for run in runs.values()]
    counted = {}
    for asked, targets in plan.targets.items():
        own = {
            (int(query), int(language), int(row)): score
            for query, language, row, score in zip(
                targets.queries, targets.languages, targets.passages, saved[0][asked].tolist(), strict=True
            )
        }
        ranks = np.ones(len(own), dtype=np.int64)
        for name, run in runs.items():
            chunk = plan.chunks[name]
            scores = run.similarity(run._questions[asked], run._embeddings(chunk)).tolist()
            for query, of_query in enumerate(scores):
                passages = {
                    (plan.passage_ids[chunk.language][row], int(row)): own.get((query, chunk.language, int(row)), score)
                    for row, score in zip(plan.rows(chunk), of_query, strict=True)
                }
                for pair, ((asks, language, answer), score) in enumerate(own.items()):
                    if asks != query:
                        continue
                    name_of_answer = plan.passage_ids[language][answer]
                    ranks[pair] += sum(
                        (theirs, passage_id) > (score, name_of_answer)
                        for (passage_id, row), theirs in passages.items()
                        if (chunk.language, row) != (language, answer)
                    )
        counted[asked] = ranks
    return counted


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("planner", range(len(MACHINES)))
def test_machines_that_round_differently_compare_with_the_same_scores(
    seed: int, planner: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No right answer outranks itself, and each is counted by one score, the one that was made with the plan."""
    near = NearScores(seed)
    near.run(planner, tmp_path, noise=1e-7).prepare()
    machines = [near.run(machine, tmp_path, noise=1e-7) for machine in range(len(MACHINES))]
    dealt = np.random.default_rng(seed).integers(0, len(MACHINES), 1000)
    runs = {name: machines[machine] for name, machine in zip(machines[0].plan.chunks, dealt, strict=False)}

    def counted() -> dict[str, CountedRanks]:
        parts = []
        for name, run in runs.items():
            parts.append(run.empty())
            run.add(parts[-1], run.plan.chunks[name])
        merged = parts[0]
        for part in parts[1:]:
            merged = part.merge(merged)
        return merged.result()

    expected = plainly_counted(runs, machines[0].folder)
    found = {language: ranks.rank_in_pool for language, ranks in counted().items()}
    assert {language: ranks.tolist() for language, ranks in found.items()} == {
        language: ranks.tolist() for language, ranks in expected.items()
    }
    for language, ranks in found.items():
        targets = machines[0].plan.targets[language]
        assert len({*zip(targets.queries.tolist(), ranks.tolist(), strict=True)}) == len(ranks), "two have one rank"
    # The machines do differ: without the stored scores, right answers outrank themselves or are not found at all.
    monkeypatch.setattr(counting, "_put_own_scores", lambda *_: None)
    without = counted()
    assert any((without[language].rank_in_pool != ranks).any() for language, ranks in found.items())


def test_scores_made_anew_by_each_machine_would_contradict_each_other(tmp_path: Path) -> None:
    """The old way: of two right answers each is behind the other, or before it. So such counts do not merge."""
    questions = [f"q{n}" for n in range(60)]
    both_right = {language: {question: {0: 1} for question in questions} for language in ("en", "de")}
    near = NearScores(0, corpus_of({"en": ["0"], "de": ["0"]}, {"en": questions, "de": []}, both_right))
    parts = []
    for machine in (0, 1):
        run = near.run(machine, tmp_path / str(machine))
        run.prepare()
        parts.append(run.empty())
        run.add(parts[-1], [*run.plan.chunks.values()][machine])
    with pytest.raises(BeirHybridError, match="the right answers had other scores there") as caught:
        parts[0].merge(parts[1])
    assert "\n" not in str(caught.value)
    # Added up all the same, they would not even rank two passages.
    first, second = (part.counters["en"]._outranked for part in parts)
    ranks = 1 + (first + second).sum(axis=1).reshape(len(questions), 2)
    assert {(1, 1), (2, 2)} & {*map(tuple, ranks.tolist())}
    whole = near.run(0, tmp_path / "0").count()
    assert {*map(tuple, whole.result()["en"].rank_in_pool.reshape(-1, 2).tolist())} <= {(1, 2), (2, 1)}


def test_a_model_that_does_not_round_gives_one_machines_ranks(tmp_path: Path) -> None:
    near = NearScores(1)
    run = near.run(2, tmp_path / "one")
    whole = run.count()
    elsewhere = near.run(2, tmp_path / "some")
    parts = [replace(elsewhere, shard=Shard(number, 3), _sampled={}).count() for number in (2, 3, 1)]
    merged = parts[0].merge(parts[1].merge(parts[2]))
    # First, since making arrays puts scores in order, on which the last digits of their deviation must not depend.
    assert outcome_of(merged, near.corpus) == outcome_of(whole, near.corpus)
    assert same_arrays(merged, whole)
