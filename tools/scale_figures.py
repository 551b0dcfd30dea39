"""Work out what a pass over a large pool costs, for docs/scale.md: ``python -m tools.scale_figures``.

The constants stand in leaderboard/published/measurements/scale.json, each with where it is from: published by somebody
else, with the address, or measured by ``python -m benchmarks.scale_constants``. From them this script works out the
figures of the same record, from which `make docs-figures` makes the tables. The formulas are the functions below.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from beir_hybrid.files import read_json, write_json
from leaderboard.regenerate import TABLES
from tools import one_line_errors

RECORD = TABLES.parent / "measurements" / "scale.json"

CHUNK = 50_000
"""Passages of a chunk, the default of MIRACLCLFull."""

CHECKPOINT_SECONDS = 600
"""Seconds between two checkpoints, the default."""

HAND_OVER_SECONDS = 180
"""Seconds after which a worker of Ray hands its counts over, at the end of a chunk."""

WORKERS = (1, 8, 64, 512, 4096)
"""Numbers of workers that the last table is for."""

FLOAT, LONG = 4, 8
"""Bytes of a score or a dimension, and of a count."""

TOP_SCORES = 1000
"""Scores of each question that are kept for the abstention metrics, in its own language and in all others."""

TOP_PASSAGES = 100
"""Passages of each question whose languages are kept: number of the language, row and score."""

ID_BYTES = 9
"""Bytes of each id of a language while a process looks whether one stands twice: a hash, and a mark."""

TILE = 2048
"""Passages scored at once."""

Constants = Mapping[str, Any]


@dataclass(frozen=True)
class Pool:
    """A pool whose questions are judged in their own language, as MIRACL's are.

    Attributes:
        name: What the tables call it.
        passages: Language -> passages.
        questions: Language -> questions, all of which are asked on the whole pool.
        answers: Language -> right answers of its questions, all in that language.
        text_bytes: Bytes of all passages' texts.
    """

    name: str
    passages: Mapping[str, int]
    questions: Mapping[str, int]
    answers: Mapping[str, int]
    text_bytes: float

    @property
    def n_passages(self) -> int:
        """Passages in all languages."""
        return sum(self.passages.values())

    @property
    def n_questions(self) -> int:
        """Questions in all languages."""
        return sum(self.questions.values())

    @property
    def n_answers(self) -> int:
        """Right answers of all questions."""
        return sum(self.answers.values())

    def times(self, factor: float, name: str) -> Pool:
        """Return a pool of as many questions, and of so many times the passages in each language."""
        passages = {language: round(n * factor) for language, n in self.passages.items()}
        return Pool(name, passages, self.questions, self.answers, self.text_bytes * factor)

    @property
    def scores(self) -> int:
        """Scores of a pass: each question with each passage."""
        return self.n_questions * self.n_passages

    def flops(self, dimensions: int) -> int:
        """Floating-point operations of these scores: a multiplication and an addition a dimension."""
        return 2 * self.scores * dimensions

    def chunk_sizes(self, chunk: int = CHUNK) -> list[int]:
        """Passages of each chunk, those of right answers first."""
        answers = [self.answers[language] for language in self.passages]
        others = [n - self.answers[language] for language, n in self.passages.items()]
        return [min(chunk, n - first) for n in (*answers, *others) for first in range(0, n, chunk)]

    def counts_bytes(self) -> int:
        """Bytes of partial counts: of each question the top scores of two pools, and the top passages of all.

        And of each right answer, how many passages of each language outrank it, and its own score.
        """
        top = 2 * TOP_SCORES * FLOAT + TOP_PASSAGES * (2 + 4 + FLOAT)
        return self.n_questions * top + self.n_answers * (len(self.passages) * LONG + FLOAT)

    def plan_texts(self) -> int:
        """Texts that are encoded before any chunk is counted: questions and right answers."""
        return self.n_questions + self.n_answers

    def plan_bytes(self, dimensions: int) -> int:
        """Bytes of their embeddings, which all workers read."""
        return self.plan_texts() * dimensions * FLOAT


def encoding_hours(pool: Pool, rate: float) -> float:
    """Hours of one device that encodes so many texts a second."""
    return (pool.n_passages + pool.n_questions) / rate / 3600


def chunk_seconds(pool: Pool, encoder: Mapping[str, Any], scores_a_second: Mapping[str, float]) -> float:
    """Seconds of a chunk: encoding it, and counting it where that is not done on the GPU in next to no time."""
    counting = 0.0 if encoder["counts_on_gpu"] else pool.n_questions / scores_a_second[str(encoder["dimensions"])]
    return CHUNK * (1 / encoder["rate"] + counting)


def checkpoints(pool: Pool, chunk_seconds: float, seconds: float = CHECKPOINT_SECONDS) -> int:
    """Checkpoints of all workers together: after the first chunk that ends so many seconds after the last one."""
    return ceil(len(pool.chunk_sizes()) / max(1, ceil(seconds / chunk_seconds)))


def worker_bytes(pool: Pool, dimensions: int, model_bytes: float) -> dict[str, float]:
    """Bytes of the memory of a worker, part by part; counts are there twice while they are written."""
    return {
        "model": model_bytes,
        "chunk": CHUNK * dimensions * FLOAT + pool.text_bytes / pool.n_passages * CHUNK,
        "questions": pool.n_questions * dimensions * FLOAT,
        "counts": 2 * pool.counts_bytes(),
        "ids": ID_BYTES * max(pool.passages.values()),
        "tile": 2 * max(pool.questions.values()) * TILE * FLOAT,
    }


def pass_seconds(pool: Pool, workers: int, rate: float, constants: Constants) -> dict[str, float]:
    """Seconds of a pass on so many workers, part by part.

    Args:
        pool: The pool.
        workers: Equal workers; each counts every n-th chunk.
        rate: Texts that one encodes in a second.
        constants: Seconds for a million ids that a process reads before it begins, and for partial counts that are
            merged into others.
    """
    sizes = pool.chunk_sizes()
    return {
        "opening": constants["seconds_a_million_ids"] * pool.n_passages / 1e6,
        "plan": pool.plan_texts() / rate,
        "chunks": max(sum(sizes[number::workers]) for number in range(min(workers, len(sizes)))) / rate,
        "merging": constants["merge_seconds"] * workers,
    }


def figures_of(constants: Constants) -> dict[str, Any]:
    """Return the figures of all tables.

    Args:
        constants: ``constants`` of the record.
    """
    measured = constants["measured"]
    miracl = miracl_pool(constants)
    pools = [miracl, miracl.times(1e9 / miracl.n_passages, "a billion passages")]
    encoders = constants["encoders"]
    main = encoders[0]
    return {
        "encoding": [
            {**encoder, **{_key(pool): encoding_hours(pool, encoder["rate"]) for pool in pools}} for encoder in encoders
        ],
        "counting": [_counting(pool, encoder, constants) for pool in pools for encoder in encoders],
        "bytes": [_bytes(pool, main, measured) for pool in pools],
        "memory": [_memory(pool, encoder) for pool in pools for encoder in encoders],
        "checkpoints": [_checkpoints(pool, encoder, measured) for pool in pools for encoder in encoders],
        "workers": [_workers(pool, number, main, measured) for pool in pools for number in WORKERS],
    }


def miracl_pool(constants: Constants) -> Pool:
    """Return MIRACL's full pool, as mteb describes it; bytes are its characters times those of each language."""
    languages = constants["miracl"]["languages"]
    a_character = constants["measured"]["bytes_a_character"]
    return Pool(
        name="MIRACL, full",
        passages={language: facts["passages"] for language, facts in languages.items()},
        questions={language: facts["questions"] for language, facts in languages.items()},
        answers={language: facts["answers"] for language, facts in languages.items()},
        text_bytes=sum(facts["characters"] * a_character[language] for language, facts in languages.items()),
    )


def _key(pool: Pool) -> str:
    return "miracl_hours" if pool.name.startswith("MIRACL") else "billion_hours"


def _counting(pool: Pool, encoder: Mapping[str, Any], constants: Constants) -> dict[str, Any]:
    dimensions = encoder["dimensions"]
    flops = pool.flops(dimensions)
    rate = constants["measured"]["scores_a_second"][str(dimensions)]
    gpu = constants["gpu"]
    return {
        "pool": pool.name,
        "dimensions": dimensions,
        "scores": pool.scores,
        "flops": flops,
        "core_hours": pool.scores / rate / 3600,
        "gpu": gpu["name"],
        "gpu_hours": flops / gpu["flops"] / 3600,
        "encoder": encoder["model"],
        "encoding_hours": encoding_hours(pool, encoder["rate"]),
    }


def _bytes(pool: Pool, encoder: Mapping[str, Any], measured: Constants) -> dict[str, Any]:
    return {
        "pool": pool.name,
        "passages": pool.n_passages,
        "questions": pool.n_questions,
        "text_gigabytes": pool.text_bytes / 1e9,
        "id_gigabytes": measured["bytes_an_id"] * pool.n_passages / 1e9,
        "chunks": len(pool.chunk_sizes()),
        "plan_megabytes": pool.plan_bytes(encoder["dimensions"]) / 1e6,
        "counts_megabytes": pool.counts_bytes() / 1e6,
        "counts_a_question": pool.counts_bytes() / pool.n_questions,
    }


def _memory(pool: Pool, encoder: Mapping[str, Any]) -> dict[str, Any]:
    parts = worker_bytes(pool, encoder["dimensions"], encoder["model_megabytes"] * 2**20)
    megabytes = {name: size / 1e6 for name, size in parts.items()}
    return {"pool": pool.name, "model_name": encoder["model"], **megabytes, "all": sum(megabytes.values())}


def _checkpoints(pool: Pool, encoder: Mapping[str, Any], measured: Constants) -> dict[str, Any]:
    size = pool.counts_bytes() / 1e9
    seconds = chunk_seconds(pool, encoder, measured["scores_a_second"])
    before, now = len(pool.chunk_sizes()), checkpoints(pool, seconds)
    return {
        "pool": pool.name,
        "model": encoder["model"],
        "chunk_seconds": seconds,
        "before": before,
        "before_gigabytes": before * size,
        "now": now,
        "now_gigabytes": now * size,
        "ratio": now / before,
    }


def _workers(pool: Pool, workers: int, encoder: Mapping[str, Any], measured: Constants) -> dict[str, Any]:
    seconds = pass_seconds(pool, workers, encoder["rate"], measured)
    took = sum(seconds.values())
    period = ceil(HAND_OVER_SECONDS * encoder["rate"] / CHUNK) * CHUNK / encoder["rate"]
    return {
        "pool": pool.name,
        "workers": workers,
        "hours": took / 3600,
        "efficiency": encoding_hours(pool, encoder["rate"]) * 3600 / workers / took,
        **{f"{name}_minutes": value / 60 for name, value in seconds.items()},
        "handed_over": workers * pool.counts_bytes() / period / 1e6,
        "driver_share": workers * measured["merge_seconds"] / period,
        "id_gigabytes": workers * measured["bytes_an_id"] * pool.n_passages / 1e9,
    }


@one_line_errors
def main() -> int:
    """Run the script and return its exit code."""
    record = read_json(RECORD)
    write_json(RECORD, {**record, "figures": figures_of(record["constants"])}, indent=1)
    print(f"{RECORD}: now run python -m tools.doc_figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
