"""XQuAD-R: parallel questions and sentences in 11 languages (LAReQA, arXiv 2004.05484)."""

from __future__ import annotations

from mteb.abstasks.task_metadata import TaskMetadata

from beir_hybrid.corpora import DATA_SETS
from beir_hybrid.mteb.subset_data import LAREQA_CITATION, QUESTION_PROMPT, subset_languages
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval

_SOURCE = DATA_SETS["xquad-r"]

_CITATION = (
    r"""
@inproceedings{artetxe-etal-2020-cross,
  author = {Artetxe, Mikel and Ruder, Sebastian and Yogatama, Dani},
  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics},
  title = {On the Cross-lingual Transferability of Monolingual Representations},
  year = {2020},
}
"""
    + LAREQA_CITATION
)


class XQuADR(AbsTaskParallelRetrieval):
    """XQuAD-R with 11 monolingual, 110 cross-lingual and 11 multilingual subsets."""

    corpus_name = "xquad-r"
    metadata = TaskMetadata(
        name="XQuADR",
        dataset={"path": "google-research-datasets/lareqa", "revision": _SOURCE.revision},
        description=(
            "Find the sentences that answer a question, among the sentences of the same paragraphs in one language or "
            "in all eleven at once. Questions and paragraphs are professional translations of SQuAD v1.1, so that "
            "every question has a right answer in every language: XQuAD-R of LAReQA, which tells whether a model "
            "prefers passages in the language of the question to better ones in another."
        ),
        reference="https://aclanthology.org/2020.emnlp-main.477/",
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=subset_languages(_SOURCE.languages),
        main_score="map",
        date=("2019-05-21", "2020-04-11"),
        domains=["Encyclopaedic", "Written"],
        task_subtypes=["Question answering"],
        license="cc-by-sa-4.0",
        annotations_creators="human-annotated",
        dialect=[],
        sample_creation="human-translated",
        prompt=QUESTION_PROMPT,
        adapted_from=["XQuADRetrieval"],
        bibtex_citation=_CITATION,
    )
