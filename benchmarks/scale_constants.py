"""Measures what docs/scale.md reckons with: counting, reading and merging, and how long texts are.

`python -m benchmarks.scale_constants` measures, in processor time of one thread: scores of embeddings that are computed
and counted in a second, for as many questions as MIRACL has in a mean language; what a process does with the ids of a
million passages before it begins, in the layout of MIRACL's repository; and restoring partial counts of all of MIRACL's
questions and adding them to others. From NTREX-128's sentences it takes the bytes
of a character in each language. It writes all to leaderboard/published/measurements/scale.json; after it comes
`python -m tools.scale_figures`. BEIR_HYBRID_DATA names the folder with the data, else it is downloaded.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from beir_hybrid import corpora
from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus, miracl, ntrex
from beir_hybrid.corpora.miracl import MIRACLSource
from beir_hybrid.files import read_json, write_json
from beir_hybrid.scoring.chunk_plan import ChunkPlan
from beir_hybrid.scoring.counting import PassageBlock, RankCounter, own_scores_in, scores_of
from beir_hybrid.scoring.partial_counts import PartialCounts
from beir_hybrid.scoring.targets import Targets
from tools import one_line_errors
from tools.scale_figures import RECORD, TILE, Pool, miracl_pool

IDS = 1_000_000
"""Passages whose ids are read."""

QUESTIONS = 750
"""Questions of a language, as many as MIRACL has in the mean."""

TILES = 20
"""Tiles of passages that are counted, after as many that fill the lists of the best."""


def unit_vectors(generator: np.random.Generator, count: int, dimensions: int) -> torch.Tensor:
    """Make random directions, shape (count, dimensions)."""
    vectors = generator.standard_normal((count, dimensions), dtype=np.float32)
    return torch.from_numpy(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def scores_a_second(dimensions: int) -> float:
    """Return how many scores of embeddings are computed and counted in a second."""
    generator = np.random.default_rng(0)
    ids = [f"en:{row}" for row in range(2 * TILES * TILE)]
    # Two right answers each, and ten of one question, so that blocks are sorted as MIRACL's are.
    relevance = {f"q{n}": {2 * n: 1, 2 * n + 1: 1} for n in range(QUESTIONS)} | {"q0": dict.fromkeys(range(10), 1)}
    names = tuple(relevance)
    part = LanguageCorpus("en", names, names, names, ids, ids, relevance)
    targets = Targets.of(ParallelCorpus("made up", "1", {"en": part}), "en", ["en"])
    questions = unit_vectors(generator, QUESTIONS, dimensions)
    seconds, counter = 0.0, None
    for number in range(2 * TILES):
        first = number * TILE
        block = PassageBlock(0, first, ids[first : first + TILE], unit_vectors(generator, TILE, dimensions))
        start = time.process_time()
        scores = scores_of(lambda some, others: some @ others.T, questions, block.embeddings)
        counter = counter or RankCounter(targets, own_scores_in(targets, [(block, scores)]))
        counter.add(block, scores)
        if number >= TILES:
            seconds += time.process_time() - start
    return QUESTIONS * TILE * TILES / seconds


def merge_seconds(pool: Pool) -> float:
    """Return the seconds of restoring partial counts of all questions from their arrays, and adding them to others."""
    generator = torch.Generator().manual_seed(0)
    parts = {}
    for language, questions in pool.questions.items():
        names = tuple(f"{language}-q{n}" for n in range(questions))
        answers = pool.answers[language] // questions + 1
        ids = [f"{language}:{row}" for row in range(4 * TILE)]
        relevance = {name: {(n * answers + k) % len(ids): 1 for k in range(answers)} for n, name in enumerate(names)}
        parts[language] = LanguageCorpus(language, names, names, names, ids, ids, relevance)
    plan = ChunkPlan(ParallelCorpus("made up", "1", parts), [*parts], [*parts])
    own = {
        language: torch.rand(len(targets.queries), generator=generator) for language, targets in plan.targets.items()
    }

    def counted(half: int) -> PartialCounts:
        counts = PartialCounts.empty(plan, own)
        counts.chunks.add(str(half))
        for language, counter in counts.counters.items():
            mine = plan.passage_languages.index(language)
            for number, tile in ((n, tile) for n in (mine, mine - 1) for tile in (2 * half, 2 * half + 1)):
                first = tile * TILE
                ids = plan.passage_ids[number % len(parts)][first : first + TILE]
                scores = torch.rand(counter.targets.n_queries, TILE, generator=generator)
                counter.add(PassageBlock(number % len(parts), first, ids, None), scores)
        counts.compact(plan)
        return counts

    counts, other = counted(0), counted(1).arrays()
    start = time.process_time()
    counts.merge(PartialCounts.from_arrays(plan, *other)).compact(plan)
    return time.process_time() - start


def reading_ids() -> dict[str, float]:
    """Return the seconds and bytes of what a process reads of passages that others will encode."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ids = [f"{row // 7 * 31}#{row % 7}" for row in range(IDS)]
        tables = {
            "corpus": {"_id": ids, "title": ["a title"] * IDS, "text": ["a passage"] * IDS},
            "queries": {"_id": ["1"], "text": ["a question?"]},
            "qrels": {"query-id": ["1"], "corpus-id": [ids[IDS // 2]], "score": [1]},
        }
        lines = ["---", "configs:"]
        for kind, table in tables.items():
            lines += [f"- config_name: en-{kind}", "  data_files:", "  - split: dev", f"    path: en-{kind}/dev-*"]
            (folder / f"en-{kind}").mkdir()
            pq.write_table(pa.table(table), folder / f"en-{kind}" / "dev-00000-of-00001.parquet")
        (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
        os.environ["BEIR_HYBRID_MIRACL"] = temporary
        source = MIRACLSource("miracl/mmteb-miracl", "1", "miracl", "dev")
        miracl.read(source, ["en-multi"])  # the hub's client prepares its files
        start = time.process_time()
        miracl.read(source, ["en-multi"])
        return {
            "seconds_a_million_ids": time.process_time() - start,
            "bytes_an_id": sum(map(len, ids)) / IDS + 4,  # and where it begins
        }


def bytes_a_character() -> dict[str, float]:
    """Return the bytes of a character in each of MIRACL's languages."""
    sentences = ntrex.read(corpora.spec_of("ntrex"), miracl.LANGUAGES).languages
    return {x: sum(len(text.encode()) for text in of_x) / sum(map(len, of_x)) for x, of_x in sentences.items()}


@one_line_errors
def main() -> int:
    """Measure, and write the record."""
    torch.set_num_threads(1)
    record: dict[str, Any] = read_json(RECORD)
    encoders = record["constants"]["encoders"]
    measured = record["constants"]["measured"]
    measured |= {
        "bytes_a_character": bytes_a_character(),
        "scores_a_second": {str(n): scores_a_second(n) for n in sorted({each["dimensions"] for each in encoders})},
        **reading_ids(),
    }
    measured["merge_seconds"] = merge_seconds(miracl_pool(record["constants"]))
    write_json(RECORD, record, indent=1)
    print(f"{RECORD}: now run python -m tools.scale_figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
