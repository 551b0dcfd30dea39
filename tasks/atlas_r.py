"""Atlas-R: parallel questions and sentences in 11 languages, generated from Unicode CLDR. No benchmark."""

from __future__ import annotations

from mteb.abstasks.task_metadata import TaskMetadata

from beir_hybrid.corpora import atlas
from beir_hybrid.mteb.subset_data import QUESTION_PROMPT, subset_languages
from beir_hybrid.tasks.language_bias import AbsTaskLanguageBias, bias_metadata
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval

_CITATION = r"""
@misc{unicode-cldr,
  author = {{The Unicode Consortium}},
  title = {Unicode Common Locale Data Repository ({CLDR})},
  url = {https://cldr.unicode.org},
}
"""


class AtlasR(AbsTaskParallelRetrieval):
    """Atlas-R's test split with 11 monolingual, 110 cross-lingual and 11 multilingual subsets; needs no download."""

    corpus_name = atlas.NAME
    metadata = TaskMetadata(
        name="AtlasR",
        dataset={"path": "beir-hybrid/atlas-r", "revision": atlas.REVISION},
        description=(
            "Find the sentence that answers a question about a country, a language or a currency, among sentences that "
            "state the same of others and other things of the same, in one language or in all eleven at once. "
            "Generated from facts of Unicode CLDR with sentence templates: for demonstrations, tests and quick "
            "experiments, not a benchmark of the literature."
        ),
        reference="https://cldr.unicode.org",
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=subset_languages(atlas.LANGUAGES),
        main_score="map",
        date=("2025-01-01", "2025-01-01"),
        domains=["Constructed", "Encyclopaedic", "Written"],
        task_subtypes=["Question answering"],
        license="https://www.unicode.org/license.txt",
        annotations_creators="derived",
        dialect=[],
        sample_creation="created",
        prompt=QUESTION_PROMPT,
        bibtex_citation=_CITATION,
    )


class AtlasRLanguageBias(AbsTaskLanguageBias):
    """Language bias on Atlas-R: 11 subsets by question language, and ``all``."""

    corpus_name = AtlasR.corpus_name
    retrieval_task = AtlasR
    metadata = bias_metadata(AtlasR)
