"""MLQA-R: questions in 2 to 4 of 7 languages, each with its own articles (LAReQA, arXiv 2004.05484)."""

from __future__ import annotations

from beir_hybrid.corpora import spec_of
from beir_hybrid.tasks.language_bias import bias_task
from beir_hybrid.tasks.metadata import task_metadata
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval


class MLQAR(AbsTaskParallelRetrieval):
    """MLQA-R with 7 monolingual, 42 cross-lingual and 7 multilingual subsets.

    A question exists in two to four languages. In a subset whose pool does not hold its answer it is left out.
    """

    corpus_name = "mlqa-r"
    metadata = task_metadata(spec_of(corpus_name))


MLQARLanguageBias = bias_task(MLQAR)
