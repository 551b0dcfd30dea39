"""The formulas of docs/scale.md are those of the code, and the figures of the record are theirs."""

from __future__ import annotations

import pytest
import torch

from beir_hybrid.cluster import ray_engine
from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus
from beir_hybrid.files import read_json
from beir_hybrid.scoring import chunk_plan, chunked, confidence
from beir_hybrid.scoring.chunk_plan import ChunkPlan
from beir_hybrid.scoring.counting import PassageBlock
from beir_hybrid.scoring.partial_counts import PartialCounts
from tools import scale_figures
from tools.scale_figures import RECORD, Pool, checkpoints, figures_of, miracl_pool, pass_seconds

PASSAGES = {"de": 1100, "en": 2300, "fi": 1000}
QUESTIONS = {"de": 5, "en": 3, "fi": 2}
ANSWERS = {"de": 10, "en": 6, "fi": 4}
POOL = Pool("made up", PASSAGES, QUESTIONS, ANSWERS, 1e6)


published = pytest.mark.skipif(not RECORD.is_file(), reason="no published results here")


@pytest.fixture(scope="module")
def counted() -> PartialCounts:
    """Return the counts of all passages of the pool, scored at random."""
    parts = {}
    for language, n_passages in PASSAGES.items():
        names = tuple(f"{language}-q{n}" for n in range(QUESTIONS[language]))
        relevance = {name: {2 * n: 1, 2 * n + 1: 1} for n, name in enumerate(names)}
        ids = tuple(f"{language}:{row}" for row in range(n_passages))
        parts[language] = LanguageCorpus(language, names, names, names, ids, ids, relevance)
    chunks = ChunkPlan(ParallelCorpus("made up", "1", parts), [*parts], [*parts], chunk_size=300)
    assert sorted(map(len, chunks.chunks.values())) == sorted(POOL.chunk_sizes(300))
    counts = PartialCounts.empty(chunks, {x: torch.rand(len(t.queries)) for x, t in chunks.targets.items()})
    for counter in counts.counters.values():
        for number, part in enumerate(parts.values()):
            scores = torch.rand(counter.targets.n_queries, len(part.passages))
            counter.add(PassageBlock(number, 0, part.passage_ids, None), scores)
    return counts


def test_partial_counts_have_the_bytes_that_the_formula_says(counted: PartialCounts) -> None:
    arrays, _ = counted.arrays()
    assert sum(array.nbytes for array in arrays.values()) == POOL.counts_bytes()


def test_the_constants_of_the_formulas_are_those_of_the_code() -> None:
    assert (scale_figures.CHUNK, scale_figures.TILE) == (chunk_plan.CHUNK_SIZE, chunked.TILE)
    assert scale_figures.HAND_OVER_SECONDS == ray_engine.HAND_OVER_SECONDS
    assert (scale_figures.TOP_SCORES, scale_figures.CHECKPOINT_SECONDS) == (
        confidence.TOP_K,
        chunked.CHECKPOINT_SECONDS,
    )


def test_shares_of_the_chunks_are_those_of_shards() -> None:
    constants = {"seconds_a_million_ids": 1e6, "merge_seconds": 2}
    pool = Pool("made up", {"de": 250_000, "en": 110_000}, {"de": 1, "en": 1}, {"de": 0, "en": 0}, 1)
    assert pool.chunk_sizes() == [50_000] * 5 + [50_000, 50_000, 10_000]
    seconds = pass_seconds(pool, 3, 1000, constants)
    assert seconds == {"opening": 360_000, "plan": 2 / 1000, "chunks": 150, "merging": 6}
    assert pass_seconds(pool, 100, 1000, constants)["chunks"] == 50
    assert [checkpoints(pool, chunk, 180) for chunk in (200, 100, 10, 1)] == [8, 4, 1, 1]


@published
def test_miracl_is_as_large_as_its_authors_say() -> None:
    pool = miracl_pool(read_json(RECORD)["constants"])
    assert (pool.n_passages, pool.n_questions, len(pool.passages)) == (106_332_152, 13_495, 18)


@published
def test_the_record_is_current() -> None:
    record = read_json(RECORD)
    assert record["figures"] == figures_of(record["constants"]), "run: python -m tools.scale_figures"
