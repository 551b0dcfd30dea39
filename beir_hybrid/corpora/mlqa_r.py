"""MLQA-R: questions in 2 to 4 of 7 languages, each with its own articles. Source: LAReQA, arXiv 2004.05484."""

from __future__ import annotations

from beir_hybrid.corpora import lareqa
from beir_hybrid.corpora.spec import CorpusSpec, Files, PairSource, TaskFacts

_CITATION = (
    r"""
@inproceedings{lewis-etal-2020-mlqa,
  author = {Lewis, Patrick and Oguz, Barlas and Rinott, Ruty and Riedel, Sebastian and Schwenk, Holger},
  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics},
  title = {{MLQA}: Evaluating Cross-lingual Extractive Question Answering},
  year = {2020},
}
"""
    + lareqa.CITATION
)

SPEC = CorpusSpec(
    name="mlqa-r",
    title="MLQA-R",
    licence="cc-by-nc-4.0",
    revision="354d67d1cd066854cdfbf5ad0e6105528976141d",
    citation=_CITATION,
    files=Files(
        url=lareqa.URL + "/mlqa-r/{language}.json",
        folder="lareqa/mlqa-r",
        sha256={
            "ar": "2132fbc03208535c0fe01f2e2c5121d06f9c2aa799af93b0a719dbc105bdf137",
            "de": "ce9454dc5aa6f2d85c23cd6e49cb367fbb7c4c6e62d7f71e355c6b5dae4d0886",
            "en": "fedd9a5cc0848dda80caf84aa36f482adaae230526a3f6e9e86926a93ef3b1e4",
            "es": "70ecba276b8c96a692b120693a595d076ce94ad21d4b28311538a9fcbfe0f9d7",
            "hi": "4dd0fb3c06f737a5481d705bc1dcac7876712a5815c9265908fbb3a0696cb654",
            "vi": "9d3baff6ba03e6793b25594217265ea59a136b9733833dca8a9582a84a78ff85",
            "zh": "57f01d2fff50cf3392805635b01445339f225ad5bf28ba8443b12f8dbd1e69dc",
        },
    ),
    read=lareqa.read,
    task=TaskFacts(
        name="MLQAR",
        path=lareqa.REPOSITORY,
        description=(
            "Find the sentences that answer a question, among the sentences of Wikipedia paragraphs in one language or "
            "in all seven at once. Each question has a right answer in two to four languages, in paragraphs that were "
            "written independently: MLQA-R of LAReQA."
        ),
        reference="https://aclanthology.org/2020.emnlp-main.477/",
        date=("2019-01-01", "2020-04-11"),
        benchmark="BEIR-Hybrid",
    ),
    adapted_from=("MLQARetrieval",),
    pairs={"mlqa-r": PairSource(lareqa.read)},
)
