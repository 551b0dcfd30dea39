"""MLQA-R: questions in 2 to 4 of 7 languages, each with its own articles (LAReQA, arXiv 2004.05484)."""

from __future__ import annotations

from mteb.abstasks.task_metadata import TaskMetadata

from beir_hybrid.corpora import DATA_SETS
from beir_hybrid.mteb.subset_data import LAREQA_CITATION, QUESTION_PROMPT, subset_languages
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval

_SOURCE = DATA_SETS["mlqa-r"]

_CITATION = (
    r"""
@inproceedings{lewis-etal-2020-mlqa,
  author = {Lewis, Patrick and Oguz, Barlas and Rinott, Ruty and Riedel, Sebastian and Schwenk, Holger},
  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics},
  title = {{MLQA}: Evaluating Cross-lingual Extractive Question Answering},
  year = {2020},
}
"""
    + LAREQA_CITATION
)


class MLQAR(AbsTaskParallelRetrieval):
    """MLQA-R with 7 monolingual, 42 cross-lingual and 7 multilingual subsets.

    A question exists in two to four languages. In a subset whose pool does not hold its answer it is left out.
    """

    corpus_name = "mlqa-r"
    metadata = TaskMetadata(
        name="MLQAR",
        dataset={"path": "google-research-datasets/lareqa", "revision": _SOURCE.revision},
        description=(
            "Find the sentences that answer a question, among the sentences of Wikipedia paragraphs in one language or "
            "in all seven at once. Each question has a right answer in two to four languages, in paragraphs that were "
            "written independently: MLQA-R of LAReQA."
        ),
        reference="https://aclanthology.org/2020.emnlp-main.477/",
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=subset_languages(_SOURCE.languages),
        main_score="map",
        date=("2019-01-01", "2020-04-11"),
        domains=["Encyclopaedic", "Written"],
        task_subtypes=["Question answering"],
        license=_SOURCE.licence,
        annotations_creators="human-annotated",
        dialect=[],
        sample_creation="human-translated",
        prompt=QUESTION_PROMPT,
        adapted_from=["MLQARetrieval"],
        bibtex_citation=_CITATION,
    )
