"""What a pool costs that does not fit into memory: seconds and peak memory of encoding and counting it in chunks.

`python -m benchmarks.chunked` counts 2,000 questions of four languages against 1,000,000 synthetic passages, 50,000 at
a time with a checkpoint after each, the way MIRACLCLFull does. The model makes random vectors, so that only the
counting is measured; the memory is what the process held above its level before.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus
from beir_hybrid.mteb.encode import Call
from beir_hybrid.scoring.chunk_plan import ChunkPlan
from beir_hybrid.scoring.chunked import ChunkedRun
from beir_hybrid.scoring.pass_folder import PassFolder
from beir_hybrid.tasks import MIRACLCLFull
from benchmarks.measure import measured

LANGUAGES = ["ar", "de", "en", "fi"]
DIMENSIONS = 384
LIMIT_MB = 1024
"""The cap: more than this above the model is a failure."""


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


def synthetic(n_passages: int, n_questions: int) -> ParallelCorpus:
    """Make up passages in four languages, and questions with three right answers each, in their own."""
    generator = np.random.default_rng(0)
    parts = {}
    for language in LANGUAGES:
        relevance = {
            f"{language}-{n}": dict.fromkeys(map(int, generator.choice(n_passages, 3, replace=False)), 1)
            for n in range(n_questions)
        }
        parts[language] = LanguageCorpus(
            language=language,
            question_ids=tuple(relevance),
            questions=tuple(f"question {n}" for n in range(n_questions)),
            articles=tuple(relevance),
            passage_ids=tuple(f"{language}:{n}#0" for n in range(n_passages)),
            passages=tuple(f"passage {n}" for n in range(n_passages)),
            relevance=relevance,
        )
    return ParallelCorpus("synthetic", "1", parts)


def main() -> None:
    """Count the pool and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=1_000_000, help="passages of the pool")
    parser.add_argument("--questions", type=int, default=2_000, help="questions")
    parser.add_argument("--chunk", type=int, default=50_000, help="passages of a chunk")
    arguments = parser.parse_args()
    corpus = synthetic(arguments.passages // len(LANGUAGES), arguments.questions // len(LANGUAGES))
    encoder = RandomEncoder()
    options = {"batch_size": 1024, "show_progress_bar": False}
    call = Call(encoder, MIRACLCLFull.metadata, "dev", options)  # type: ignore[arg-type]  # its meta may be None
    with tempfile.TemporaryDirectory() as folder:
        run = ChunkedRun(
            name="synthetic",
            embed=partial(call.embed, corpus),
            similarity=encoder.similarity,
            plan=ChunkPlan(corpus, LANGUAGES, LANGUAGES, arguments.chunk),
            folder=PassFolder.of({"model": "random", "model_revision": "1", "task": "synthetic"}, Path(folder)),
        )
        with measured() as result:
            run.count()
    whole = arguments.passages * DIMENSIONS * 4 / 2**20
    print(
        f"{arguments.questions:,} questions x {arguments.passages:,} passages x {DIMENSIONS} dimensions, "
        f"{arguments.chunk:,} at a time: {result.seconds:.0f} s, {encoder.texts:,} texts encoded, "
        f"{result.megabytes:.0f} MB above the start (all embeddings: {whole:.0f} MB)"
    )
    if result.megabytes > LIMIT_MB:
        raise SystemExit(f"more than {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
