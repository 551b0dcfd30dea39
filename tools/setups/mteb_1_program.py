"""A program of an MTEB 1 user, by the names that MTEB 1 had: a retrieval task and an encoder of their own.

`python mteb_1_program.py FOLDER` prints the figures as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import made_up
import mteb
import numpy as np
from mteb.abstasks.AbsTaskRetrieval import AbsTaskRetrieval
from mteb.abstasks.TaskMetadata import TaskMetadata


class MadeUpRetrieval(AbsTaskRetrieval):
    """A task that needs no download."""

    metadata = TaskMetadata(
        name="MadeUpRetrieval",
        description="Made-up texts.",
        dataset={"path": "made/up", "revision": "1"},
        type="Retrieval",
        category="s2p",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        reference=None,
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation=None,
    )

    def load_data(self, **options: Any) -> None:
        """Make the texts."""
        passages, questions, judgments = made_up.texts()
        self.corpus = {"test": {key: {"title": "", "text": text} for key, text in passages.items()}}
        self.queries = {"test": questions}
        self.relevant_docs = {"test": judgments}
        self.data_loaded = True


class OwnEncoder:
    """What MTEB 1 asks of an encoder."""

    def encode(self, sentences: list[str], **options: Any) -> np.ndarray:
        """Return a vector a text."""
        return made_up.vectors([text.strip() for text in sentences])


def main() -> None:
    """Evaluate and print the scores."""
    (result,) = mteb.MTEB(tasks=[MadeUpRetrieval()]).run(
        OwnEncoder(), output_folder=sys.argv[1], overwrite_results=True
    )
    (scores,) = result.scores["test"]
    print(json.dumps({key: scores[key] for key in ("ndcg_at_10", "map_at_100", "recall_at_10", "mrr_at_10")}))


if __name__ == "__main__":
    main()
