"""XQuAD-R: parallel questions and sentences in 11 languages (LAReQA, arXiv 2004.05484)."""

from __future__ import annotations

from beir_hybrid.corpora import spec_of
from beir_hybrid.tasks.language_bias import bias_task
from beir_hybrid.tasks.metadata import task_metadata
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval


class XQuADR(AbsTaskParallelRetrieval):
    """XQuAD-R with 11 monolingual, 110 cross-lingual and 11 multilingual subsets."""

    corpus_name = "xquad-r"
    metadata = task_metadata(spec_of(corpus_name))


XQuADRLanguageBias = bias_task(XQuADR)
