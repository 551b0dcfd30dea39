"""What mined hard negatives cost, and what they are: ``python -m benchmarks.mining``.

The offline encoder embeds a sample of the texts of MLQA-R, for the time of a text, and mines hard negatives for all of
its pairs. The figures are printed as JSON, those of leaderboard/published/measurements/mining.json. BEIR_HYBRID_DATA
names the folder with the data, else it is downloaded; what was never embedded is embedded first.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from beir_hybrid.finetune.head import fill_embeddings, head_model
from beir_hybrid.models.base import OFFLINE, find_base, training_prompts
from beir_hybrid.training.batching import Batching
from beir_hybrid.training.mining import mine
from beir_hybrid.training.negatives import Negatives, column_names, places
from beir_hybrid.training.pairs import ParallelPairs, pair_datasets, read_source
from beir_hybrid.training.parallel_pairs import texts_by_column
from beir_hybrid.training.sampler import pair_languages

SOURCE = "mlqa-r"
SAMPLE = 200
"""Texts that are embedded for the time of one."""

ROWS: Sequence[tuple[str, Batching, Negatives]] = (
    ("X-X", "monolingual", "answer"),
    ("X-Y", "cross-lingual", "answer"),
    ("X-Y", "cross-lingual", "question"),
    ("X-Y", "cross-lingual", "both"),
)


def about(pairs: ParallelPairs, model: SentenceTransformer, batching: Batching, whose: Negatives) -> dict[str, Any]:
    """Count the hard negatives of a training: rows, those in the question's language, those above the right answer."""
    rows = same_language = negatives = above = 0
    for name, dataset in pair_datasets([pairs], batching, whose).items():
        question_language, answer_language = pair_languages(name)
        chosen = places(pairs.negatives, question_language, answer_language, whose)
        questions = embedded(model, dataset["question"], "query")
        own = (questions * embedded(model, dataset["answer"], "document")).sum(axis=1)
        for (language, _), column in zip(chosen, column_names(len(chosen)), strict=True):
            scores = (questions * embedded(model, dataset[column], "document")).sum(axis=1)
            above += int((scores > own).sum())
            same_language += len(dataset) * (language == question_language)
            negatives += len(dataset)
        rows += len(dataset)
    return {"pairs": rows, "same_language": round(same_language / negatives, 3), "above": round(above / negatives, 3)}


def embedded(model: SentenceTransformer, texts: Sequence[str], kind: str) -> NDArray[np.float32]:
    """Return the normalised embeddings of questions or passages, which the model looks up."""
    encode = model.encode_query if kind == "query" else model.encode_document
    return cast("NDArray[np.float32]", encode(list(texts), show_progress_bar=False))


def main() -> None:
    """Read the number of negatives, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", type=int, default=4, help="hard negatives of a question")
    k = parser.parse_args().k
    base, pairs = find_base(OFFLINE), read_source(SOURCE)
    encoder = base.load()
    model, texts = head_model(encoder, base.revision), texts_by_column([pairs])
    for column, prompt in training_prompts(encoder).items():
        fill_embeddings(model, prompt, texts[column])
    distinct = [text for column in texts.values() for text in sorted(set(column))]
    sample = distinct[:: max(1, len(distinct) // SAMPLE)]
    start = time.perf_counter()
    encoder.encode(sample, show_progress_bar=False)
    embedding = (time.perf_counter() - start) / len(sample) * len(distinct)
    start = time.perf_counter()
    mined, left_short = mine(pairs, model, k, progress=False)
    mining = time.perf_counter() - start
    figures = {
        "negatives": k,
        "texts": len(distinct),
        "embedding_seconds": round(embedding),
        "mining_seconds": round(mining, 1),
        "left_short": sum(left_short.values()),
        "rows": [
            {"rows": label, "whose": whose, **about(mined, model, batching, whose)} for label, batching, whose in ROWS
        ],
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
