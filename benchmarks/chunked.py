"""What a pool costs that does not fit into memory: time, peak memory and bytes written, encoded and counted in chunks.

`python -m benchmarks.chunked` counts 1,000 questions of four languages against 200,000 synthetic passages, 5,000 at a
time, the way MIRACLCLFull counts 50,000 at a time. The model makes random vectors, so that only the counting is
measured; the memory is what the process held above its level before. With `--checkpoint-seconds 0` what has been
counted is written after every chunk, as it once was.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus, miracl
from beir_hybrid.mteb.encode import Call
from beir_hybrid.scoring.chunk_plan import ChunkPlan
from beir_hybrid.scoring.chunked import CHECKPOINT_SECONDS, ChunkedRun
from beir_hybrid.scoring.pass_folder import PassFolder
from beir_hybrid.tasks import MIRACLCLFull
from benchmarks.measure import measured

DIMENSIONS = 384
LIMIT_MB = 1024
"""The cap: more than this above the model is a failure."""


class CountedWrites(PassFolder):
    """Notes the sizes of the files that are written, by name."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sizes: defaultdict[str, list[int]] = defaultdict(list)

    def save(self, name: str, tensors: Any, **facts: Any) -> None:
        """Write a file."""
        super().save(name, tensors, **facts)
        self.sizes[name].append((self.folder / f"{name}.safetensors").stat().st_size)


class RandomEncoder(AbsEncoder):
    """Gives every text a random unit vector, and counts texts."""

    def __init__(self) -> None:
        self.mteb_model_meta = ModelMeta.create_empty({"name": "benchmarks/random", "revision": "1"})
        self.generator = np.random.default_rng(0)
        self.texts = 0

    def encode(self, inputs: Any, **kwargs: Any) -> np.ndarray:
        """Return a row for each text, shape (n, 384)."""
        count = len(inputs.dataset)
        self.texts += count
        vectors = self.generator.standard_normal((count, DIMENSIONS), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return the dot product."""
        return torch.as_tensor(embeddings1) @ torch.as_tensor(embeddings2).T


def synthetic(n_passages: int, n_questions: int, languages: Sequence[str]) -> ParallelCorpus:
    """Make up passages in some languages, and questions with three right answers each, in their own.

    Args:
        n_passages: Passages of all languages together.
        n_questions: Questions of all languages together.
        languages: The languages.
    """
    generator = np.random.default_rng(0)
    parts = {}
    for number, language in enumerate(languages):
        passages, questions = (
            len(range(number, size, len(languages))) for size in (n_passages, n_questions)
        )  # shares that add up
        relevance = {
            f"{language}-{n}": dict.fromkeys(map(int, generator.choice(passages, 3, replace=False)), 1)
            for n in range(questions)
        }
        parts[language] = LanguageCorpus(
            language=language,
            question_ids=tuple(relevance),
            questions=tuple(f"question {n}" for n in range(questions)),
            articles=tuple(relevance),
            passage_ids=tuple(f"{language}:{n}#0" for n in range(passages)),
            passages=tuple(f"passage {n}" for n in range(passages)),
            relevance=relevance,
        )
    return ParallelCorpus("synthetic", "1", parts)


def main() -> None:
    """Count the pool and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=200_000, help="passages of the pool")
    parser.add_argument("--questions", type=int, default=1_000, help="questions")
    parser.add_argument("--languages", type=int, default=4, help="languages, up to 18")
    parser.add_argument("--chunk", type=int, default=5_000, help="passages of a chunk")
    parser.add_argument("--checkpoint-seconds", type=float, default=CHECKPOINT_SECONDS, help="time between two writes")
    arguments = parser.parse_args()
    languages = miracl.LANGUAGES[: arguments.languages]
    corpus = synthetic(arguments.passages, arguments.questions, languages)
    encoder = RandomEncoder()
    options = {"batch_size": 1024, "show_progress_bar": False}
    call = Call(encoder, MIRACLCLFull.metadata, "dev", options)  # type: ignore[arg-type]  # its meta may be None
    with tempfile.TemporaryDirectory() as folder:
        files = CountedWrites.of({"model": "random", "model_revision": "1", "task": "synthetic"}, Path(folder))
        run = ChunkedRun(
            name="synthetic",
            embed=partial(call.embed, corpus),
            similarity=encoder.similarity,
            plan=ChunkPlan(corpus, languages, languages, arguments.chunk),
            folder=files,
            confidence="own",
            checkpoint_seconds=arguments.checkpoint_seconds,
        )
        with measured() as result:
            run.count()
    counts = files.sizes[run.shard.part]
    print(
        f"{arguments.questions:,} questions in {len(languages)} languages x {arguments.passages:,} passages x "
        f"{DIMENSIONS} dimensions, {arguments.chunk:,} at a time: {result.seconds:.0f} s, {encoder.texts:,} texts "
        f"encoded, {result.megabytes:.0f} MB above the start; counts of {counts[-1]:,} bytes after {len(counts)} of "
        f"{len(run.plan.chunks)} chunks, {sum(counts):,} bytes"
    )
    if result.megabytes > LIMIT_MB:
        raise SystemExit(f"more than {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
