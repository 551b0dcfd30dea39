"""What evaluation costs beside encoding: ours, a plain MTEB task, and MTEB with cached embeddings, in one run.

`python -m benchmarks.evaluation` prints, on the same precomputed embeddings of XQuAD-R and of MLQA-R, the time of all
subsets, by the clock and of the processor, the texts encoded and the peak memory; what counting and scores cost beside
the bare matrix products, by one thread; and the counting pass over a synthetic pool of 1,000,000 passages against
these. The ways take turns, and the median of three rounds counts. BEIR_HYBRID_DATA names the folder with the data, else
it is downloaded; `--record` writes the figures to the record that docs/benchmarks.md is made of.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from beir_hybrid.files import read_json
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus, scores_by_subset
from beir_hybrid.subsets import MULTI, setting_of
from beir_hybrid.tasks import MLQAR, AbsTaskParallelRetrieval, XQuADR
from benchmarks.measure import Measured, measured

REPOSITORY = Path(__file__).parents[1]
RECORD = REPOSITORY / "leaderboard" / "published" / "measurements" / "evaluation.json"
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
        self.forget()
        self.mteb_model_meta = ModelMeta.create_empty(
            {"name": "benchmarks/lookup", "revision": "1", "similarity_fn_name": ScoringFunction.COSINE}
        )

    def forget(self) -> None:
        """Start to count anew."""
        self.texts, self.seconds, self.processor_seconds = 0, 0.0, 0.0

    def encode(self, inputs: Any, **kwargs: Any) -> np.ndarray:
        """Return a row for each text, shape (n, 384)."""
        start, processor_start = time.perf_counter(), time.process_time()
        found = np.stack([self.vectors[text.strip()] for batch in inputs for text in batch["text"]])
        self.texts += len(found)
        self.seconds += time.perf_counter() - start
        self.processor_seconds += time.process_time() - processor_start
        return found

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return the cosine similarity."""
        return cos_sim(embeddings1, embeddings2)


@dataclass
class Cost:
    """What all subsets cost, by the clock and of the processor."""

    name: str
    seconds: float
    processor_seconds: float
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
    seconds, processor = defaultdict(list), defaultdict(list)
    encoded, megabytes = 0, 0.0
    for subset in sample:
        encoder.forget()
        result = run(same, model, [subset])
        seconds[setting_of(subset)].append(result.seconds - encoder.seconds)
        processor[setting_of(subset)].append(result.processor_seconds - encoder.processor_seconds)
        encoded += encoder.texts
        megabytes = max(megabytes, result.megabytes)
        print(f"  {name}, {subset}: {result.seconds:.2f} s", flush=True)
    count = Counter(map(setting_of, task.hf_subsets))

    def of_all(values: dict[str, list[float]]) -> float:
        return sum(float(np.mean(values[setting])) * number for setting, number in count.items())

    texts = texts_of_all_subsets(task) if encoded else 0
    return Cost(name, of_all(seconds), of_all(processor), texts, megabytes)


def compare(task: AbsTaskParallelRetrieval, rounds: int) -> list[Cost]:
    """Measure the three ways on the data of a task, in turns; the median of each, and its memory in the first round."""
    task.load_data()
    assert task.parallel_corpus is not None
    encoder = LookupEncoder(random_vectors(task.parallel_corpus))
    sample = SAMPLES[type(task)]
    costs: list[list[Cost]] = []
    with tempfile.TemporaryDirectory() as folder:
        cached = CachedEmbeddingWrapper(encoder, folder)  # type: ignore[arg-type]
        for number in range(rounds):
            encoder.forget()
            result = run(task, encoder, task.hf_subsets)
            seconds = result.seconds - encoder.seconds, result.processor_seconds - encoder.processor_seconds
            ours = Cost("BEIR-Hybrid", *seconds, encoder.texts, result.megabytes)
            print(f"  {ours.name}: {ours.seconds:.2f} s", flush=True)
            plainly = cost_of_plain("plain MTEB task", task, encoder, encoder)
            if not number:
                run(plain(task, sample), cached, sample)  # fills the cache: its best case is every later subset
            costs.append([ours, plainly, cost_of_plain("plain MTEB task, cached embeddings", task, cached, encoder)])
    return [
        replace(
            of_way[0],
            seconds=statistics.median(one.seconds for one in of_way),
            processor_seconds=statistics.median(one.processor_seconds for one in of_way),
        )
        for of_way in zip(*costs, strict=True)
    ]


def compare_steps(task: AbsTaskParallelRetrieval, rounds: int) -> dict[str, float]:
    """Measure bare products, counting, which holds them, and the scores of all subsets, by one thread: medians."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    corpus = task.parallel_corpus
    assert corpus is not None
    vectors = random_vectors(corpus)
    parts = corpus.languages
    embeddings = Embeddings(
        {language: np.stack([vectors[text.strip()] for text in part.questions]) for language, part in parts.items()},
        {language: np.stack([vectors[text.strip()] for text in part.passages]) for language, part in parts.items()},
    )
    steps: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        with measured() as bare:
            for questions in embeddings.questions.values():
                for passages in embeddings.passages.values():
                    dot(questions, passages)
        with measured() as counting:
            counted = list(count_corpus(corpus, embeddings, dot))
        with measured() as scores:
            for of_language in counted:
                scores_by_subset(of_language, [*parts, MULTI])
        for name, step in (("products", bare), ("counting", counting), ("scores", scores)):
            steps[name].append(step.processor_seconds)
    torch.set_num_threads(threads)
    seconds = {name: statistics.median(values) for name, values in steps.items()}
    return {**seconds, "times_products": (seconds["counting"] + seconds["scores"]) / seconds["products"]}


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
    return min(bare, key=lambda one: one.processor_seconds), min(counting, key=lambda one: one.processor_seconds)


def blocks_of(passages: np.ndarray, rows: int = 8000) -> Iterator[np.ndarray]:
    """Cut a pool into the blocks that the counting pass takes for 2,000 questions."""
    for start in range(0, len(passages), rows):
        yield passages[start : start + rows]


def figures_of(costs: list[Cost]) -> list[dict[str, Any]]:
    """Give the ways as the record has them, ours first."""
    return [
        {
            "way": one.name,
            "seconds": round(one.seconds, 1),
            "times_ours": round(one.seconds / costs[0].seconds, 1),
            "processor_seconds": round(one.processor_seconds, 1),
            "times_ours_of_processor": round(one.processor_seconds / costs[0].processor_seconds, 1),
            "texts_encoded": one.texts,
            "peak_megabytes": round(one.megabytes),
        }
        for one in costs
    ]


def main() -> None:
    """Run the comparison, print its ratios, and write them to the record if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=1_000_000, help="passages of the synthetic pool; 0: skip it")
    parser.add_argument("--questions", type=int, default=2_000, help="questions of the synthetic pool")
    parser.add_argument("--rounds", type=int, default=3, help="rounds whose median counts")
    parser.add_argument("--record", action="store_true", help=f"write the figures to {RECORD.relative_to(REPOSITORY)}")
    arguments = parser.parse_args()
    threads = torch.get_num_threads()
    figures: dict[str, Any] = {"dimensions": DIMENSIONS, "rounds": arguments.rounds, "threads": threads}
    for kind in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["BEIR_HYBRID_HOME"] = str(Path(folder))
            task = kind()
            ways = figures_of(compare(task, arguments.rounds))
            steps = {step: round(value, 2) for step, value in compare_steps(task, arguments.rounds).items()}
        figures[task.metadata.name] = {"subsets": len(task.hf_subsets), "ways": ways, "steps": steps}
        print(f"\n{task.metadata.name}, all subsets, {threads} threads, without encoding; below, one")
        print(tabulate(ways, "keys", disable_numparse=True))
        print(tabulate([steps], "keys", disable_numparse=True), flush=True)
    if arguments.passages:
        bare, counting = compare_with_products(arguments.passages, arguments.questions)
        passed = [
            {
                "step": name,
                "seconds": round(step.seconds, 1),
                "processor_seconds": round(step.processor_seconds, 1),
                "times_products": round(step.processor_seconds / bare.processor_seconds, 2),
                "peak_megabytes": round(step.megabytes),
            }
            for name, step in (("bare matrix products", bare), ("counting pass", counting))
        ]
        print(f"\n{arguments.questions:,} questions x {arguments.passages:,} passages x {DIMENSIONS} dimensions")
        print(tabulate(passed, "keys", disable_numparse=True))
        figures["counting_pass"] = {
            "questions": arguments.questions,
            "relevant_passages": 2,
            "passages": arguments.passages,
            "dimensions": DIMENSIONS,
            "steps": passed,
        }
    if arguments.record:
        record = read_json(RECORD)
        record["figures"] |= figures
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
