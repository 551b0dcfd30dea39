"""What evaluation costs beside encoding: ours, a plain MTEB task, and MTEB with cached embeddings, in one run.

`python -m benchmarks.evaluation` prints, on the same precomputed embeddings of XQuAD-R and of MLQA-R, the time of all
subsets, the texts encoded and the peak memory; then the counting pass over a synthetic pool of 1,000,000 passages
against the bare matrix products. BEIR_HYBRID_DATA names the folder with the data, else it is downloaded.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mteb.abstasks import AbsTaskRetrieval
from mteb.models import CachedEmbeddingWrapper, ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ScoringFunction
from sentence_transformers.util import cos_sim
from tabulate import tabulate

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus
from beir_hybrid.subsets import setting_of
from beir_hybrid.tasks import MLQAR, AbsTaskParallelRetrieval, XQuADR
from benchmarks.measure import Measured, measured

DIMENSIONS = 384
SAMPLES: dict[type[AbsTaskParallelRetrieval], list[str]] = {
    XQuADR: ["en-en", "zh-zh", "en-de", "ru-th", "de-ar", "en-multi", "th-multi"],
    MLQAR: ["en-en", "hi-hi", "en-de", "vi-zh", "es-ar", "en-multi", "de-multi"],
}
"""Subsets that the plain task is timed on; each setting counts by the number of its subsets."""


class LookupEncoder(AbsEncoder):
    """Gives every text a vector computed beforehand, and counts texts and the seconds spent on that."""

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self.vectors = vectors
        self.texts = 0
        self.seconds = 0.0
        self.mteb_model_meta = ModelMeta.create_empty(
            {"name": "benchmarks/lookup", "revision": "1", "similarity_fn_name": ScoringFunction.COSINE}
        )

    def encode(self, inputs: Any, **kwargs: Any) -> np.ndarray:
        """Return a row for each text, shape (n, 384)."""
        start = time.perf_counter()
        found = np.stack([self.vectors[text.strip()] for batch in inputs for text in batch["text"]])
        self.texts += len(found)
        self.seconds += time.perf_counter() - start
        return found

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return the cosine similarity."""
        return cos_sim(embeddings1, embeddings2)


@dataclass
class Cost:
    """What all 132 subsets cost."""

    name: str
    seconds: float
    texts: int
    megabytes: float


def random_vectors(corpus: ParallelCorpus) -> dict[str, np.ndarray]:
    """Give each text a random unit vector."""
    texts = [text for part in corpus.languages.values() for text in (*part.questions, *part.passages)]
    matrix = np.random.default_rng(0).normal(size=(len(texts), DIMENSIONS)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return {text.strip(): vector for text, vector in zip(texts, matrix, strict=True)}  # MTEB strips texts, too


def run(task: AbsTaskRetrieval, model: Any, subsets: list[str]) -> Measured:
    """Evaluate some subsets in one call."""
    with measured() as result:
        task.evaluate(model, subsets_to_run=subsets, encode_kwargs={"batch_size": 1024, "show_progress_bar": False})
    return result


def plain(task: AbsTaskParallelRetrieval, subsets: list[str]) -> AbsTaskRetrieval:
    """Return MTEB's own retrieval task on the same data."""

    class Plain(AbsTaskRetrieval):
        metadata = task.metadata.model_copy(update={"name": f"Plain{task.metadata.name}", "main_score": "map_at_1000"})

    same = Plain()
    same.hf_subsets = subsets
    same.dataset = {subset: task.dataset[subset] for subset in subsets}
    same.data_loaded = True
    return same


def texts_of_all_subsets(task: AbsTaskParallelRetrieval) -> int:
    """Add up the questions and passages of every subset: what is encoded where each subset is encoded by itself."""
    data = [task.dataset[subset]["test"] for subset in task.hf_subsets]
    return sum(len(one["queries"]) + len(one["corpus"]) for one in data)


def cost_of_plain(name: str, task: AbsTaskParallelRetrieval, model: Any, encoder: LookupEncoder) -> Cost:
    """Time MTEB's task on the sample and scale each setting up to its number of subsets."""
    sample = SAMPLES[type(task)]
    same = plain(task, sample)
    seconds = defaultdict(list)
    encoded, megabytes = 0, 0.0
    for subset in sample:
        encoder.texts, encoder.seconds = 0, 0.0
        result = run(same, model, [subset])
        seconds[setting_of(subset)].append(result.seconds - encoder.seconds)
        encoded += encoder.texts
        megabytes = max(megabytes, result.megabytes)
        print(f"  {name}, {subset}: {result.seconds:.2f} s", flush=True)
    count: dict[str, int] = defaultdict(int)
    for subset in task.hf_subsets:
        count[setting_of(subset)] += 1
    return Cost(
        name,
        sum(float(np.mean(seconds[setting])) * number for setting, number in count.items()),
        texts_of_all_subsets(task) if encoded else 0,
        megabytes,
    )


def compare(task: AbsTaskParallelRetrieval) -> list[Cost]:
    """Measure the three ways on the data of a task."""
    task.load_data()
    assert task.parallel_corpus is not None
    encoder = LookupEncoder(random_vectors(task.parallel_corpus))
    result = run(task, encoder, task.hf_subsets)
    costs = [Cost("BEIR-Hybrid", result.seconds - encoder.seconds, encoder.texts, result.megabytes)]
    costs.append(cost_of_plain("plain MTEB task", task, encoder, encoder))
    with tempfile.TemporaryDirectory() as folder:
        cached = CachedEmbeddingWrapper(encoder, folder)  # type: ignore[arg-type]
        sample = SAMPLES[type(task)]
        run(plain(task, sample), cached, sample)  # fills the cache: its best case is every later subset
        costs.append(cost_of_plain("plain MTEB task, cached embeddings", task, cached, encoder))
    return costs


def synthetic(n_passages: int, n_questions: int) -> tuple[ParallelCorpus, Embeddings]:
    """Make a pool of random embeddings with two relevant passages a question."""
    generator = np.random.default_rng(0)
    rows = generator.choice(n_passages, size=(n_questions, 2), replace=False)
    part = LanguageCorpus(
        language="en",
        question_ids=tuple(f"q{n}" for n in range(n_questions)),
        questions=("",) * n_questions,
        articles=("0",) * n_questions,
        passage_ids=tuple(f"en:{n}" for n in range(n_passages)),
        passages=("",) * n_passages,
        relevance={f"q{n}": {int(row): 1 for row in pair} for n, pair in enumerate(rows)},
    )
    passages = generator.standard_normal((n_passages, DIMENSIONS), dtype=np.float32)
    passages /= np.linalg.norm(passages, axis=1, keepdims=True)
    questions = passages[rows[:, 0]] + generator.standard_normal((n_questions, DIMENSIONS), dtype=np.float32) / 20
    return ParallelCorpus("synthetic", "0", {"en": part}), Embeddings({"en": questions}, {"en": passages})


def dot(questions: np.ndarray, passages: np.ndarray) -> torch.Tensor:
    """Return the bare matrix product."""
    return torch.from_numpy(questions) @ torch.from_numpy(passages).T


def compare_with_products(n_passages: int, n_questions: int, rounds: int = 2) -> tuple[Measured, Measured]:
    """Measure the bare matrix products and the whole counting pass, alternately, and keep each one's best time."""
    corpus, embeddings = synthetic(n_passages, n_questions)
    bare, counting = [], []
    for _ in range(rounds):
        with measured() as result:
            for block in blocks_of(embeddings.passages["en"]):
                dot(embeddings.questions["en"], block)
        bare.append(result)
        with measured() as result:
            list(count_corpus(corpus, embeddings, dot))
        counting.append(result)
    return min(bare, key=lambda one: one.seconds), min(counting, key=lambda one: one.seconds)


def blocks_of(passages: np.ndarray, rows: int = 8000) -> Iterator[np.ndarray]:
    """Cut a pool into the blocks that the counting pass takes for 2,000 questions."""
    for start in range(0, len(passages), rows):
        yield passages[start : start + rows]


def print_costs(name: str, costs: list[Cost]) -> None:
    """Print the ways as a table, ours first."""
    ours = costs[0].seconds
    ways = [
        (one.name, f"{one.seconds:.1f}", f"{one.seconds / ours:.1f}", f"{one.texts:,}", f"{one.megabytes:.0f}")
        for one in costs
    ]
    print(f"\n{name}, all subsets, {torch.get_num_threads()} threads, without encoding")
    print(tabulate(ways, ["", "seconds", "x ours", "texts encoded", "peak MB"], disable_numparse=True))


def main() -> None:
    """Run the comparison and print its ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=1_000_000, help="passages of the synthetic pool; 0: skip it")
    parser.add_argument("--questions", type=int, default=2_000, help="questions of the synthetic pool")
    arguments = parser.parse_args()
    for task in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["BEIR_HYBRID_HOME"] = str(Path(folder))
            print_costs(task.metadata.name, compare(task()))
    if arguments.passages:
        bare, counting = compare_with_products(arguments.passages, arguments.questions)
        print(f"\n{arguments.questions:,} questions x {arguments.passages:,} passages x {DIMENSIONS} dimensions")
        steps = [
            (name, f"{step.seconds:.1f}", f"{step.seconds / bare.seconds:.2f}", f"{step.megabytes:.0f}")
            for name, step in (("bare matrix products", bare), ("counting pass", counting))
        ]
        print(tabulate(steps, ["", "seconds", "x products", "peak MB"], disable_numparse=True))


if __name__ == "__main__":
    main()
