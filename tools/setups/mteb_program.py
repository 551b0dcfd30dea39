"""A program of an MTEB 2 user: a retrieval task and an encoder of their own, evaluated by `mteb.evaluate`.

`python mteb_program.py FOLDER` prints the figures as JSON.
"""

from __future__ import annotations

import json
from typing import Any

import made_up
import mteb
import numpy as np
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models.abs_encoder import AbsEncoder


class MadeUpRetrieval(AbsTaskRetrieval):
    """A task that needs no download."""

    metadata = TaskMetadata(
        name="MadeUpRetrieval",
        description="Made-up texts.",
        dataset={"path": "made/up", "revision": "1"},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )

    def load_data(self, **options: Any) -> None:
        """Make the texts."""
        passages, questions, judgments = made_up.texts()
        split = {
            "corpus": Dataset.from_list([{"id": key, "text": text, "title": ""} for key, text in passages.items()]),
            "queries": Dataset.from_list([{"id": key, "text": text} for key, text in questions.items()]),
            "relevant_docs": judgments,
            "top_ranked": None,
        }
        self.dataset = {"default": {"test": split}}
        self.data_loaded = True


class OwnEncoder(AbsEncoder):
    """What MTEB asks of an encoder."""

    def __init__(self) -> None:
        self.model = None

    def encode(self, inputs: Any, **options: Any) -> np.ndarray:
        """Return a vector a text."""
        return made_up.vectors([text for batch in inputs for text in batch["text"]])


def main() -> None:
    """Evaluate, and print the scores that every version of MTEB 2 gives."""
    (result,) = mteb.evaluate(OwnEncoder(), MadeUpRetrieval(), cache=None).task_results
    (scores,) = result.scores["test"]
    print(json.dumps({key: scores[key] for key in ("ndcg_at_10", "map_at_100", "recall_at_10", "mrr_at_10")}))


if __name__ == "__main__":
    main()
