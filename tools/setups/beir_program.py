"""A program of a BEIR user: a folder of data, dense search with an own encoder and with a BERT, NDCG and MRR.

`python beir_program.py FOLDER` prints its figures as JSON; data and model are made in FOLDER if they are not there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import made_up
import numpy as np
import torch
from beir.datasets.data_loader import GenericDataLoader
from beir.retrieval import models
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search.dense import DenseRetrievalExactSearch
from transformers import BertConfig, BertModel, BertTokenizer


class OwnEncoder:
    """What BEIR asks of an encoder."""

    def encode_queries(self, queries: list[str], batch_size: int = 16, **options: Any) -> np.ndarray:
        """Return a vector a question."""
        return made_up.vectors(queries)

    def encode_corpus(self, corpus: list[dict[str, str]], batch_size: int = 16, **options: Any) -> np.ndarray:
        """Return a vector a passage."""
        return made_up.vectors([passage["text"] for passage in corpus])


def write_data(folder: Path) -> None:
    """Write the texts as BEIR reads them."""
    passages, questions, judgments = made_up.texts()
    (folder / "qrels").mkdir(parents=True)
    for name, lines in (("corpus", passages), ("queries", questions)):
        rows = [json.dumps({"_id": key, "title": "", "text": text, "metadata": {}}) for key, text in lines.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    rows = [f"{question}\t{passage}\t{grade}" for question, of in judgments.items() for passage, grade in of.items()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows, ""]), encoding="utf-8")


def write_model(folder: Path) -> None:
    """Save a BERT with random weights, which Sentence Transformers reads with mean pooling."""
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *made_up.WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(str(folder))
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), **sizes)).save_pretrained(str(folder))


def main() -> None:
    """Evaluate both encoders and print what comes out."""
    folder = Path(sys.argv[1])
    if not folder.exists():
        write_data(folder / "data")
        write_model(folder / "bert")
    corpus, queries, qrels = GenericDataLoader(str(folder / "data")).load(split="test")
    bert = models.SentenceBERT(str(folder / "bert"))
    figures: dict[str, float] = {}
    for name, encoder, score in (("own", OwnEncoder(), "dot"), ("SentenceBERT", bert, "cos_sim")):
        retriever = EvaluateRetrieval(DenseRetrievalExactSearch(encoder, batch_size=16), score_function=score)
        results = retriever.retrieve(corpus, queries)
        found = [*retriever.evaluate(qrels, results, [1, 10, 100])]
        found.append(retriever.evaluate_custom(qrels, results, [10], metric="mrr"))
        figures |= {f"{name} {key}": value for table in found for key, value in table.items()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
