"""Atlas-R: parallel questions and sentences in 11 languages, generated from Unicode CLDR. No benchmark."""

from __future__ import annotations

from beir_hybrid.corpora import spec_of
from beir_hybrid.tasks.language_bias import bias_task
from beir_hybrid.tasks.metadata import task_metadata
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval


class AtlasR(AbsTaskParallelRetrieval):
    """Atlas-R's test split with 11 monolingual, 110 cross-lingual and 11 multilingual subsets; needs no download."""

    corpus_name = "atlas-r"
    metadata = task_metadata(spec_of(corpus_name))


AtlasRLanguageBias = bias_task(AtlasR)
