"""XQuAD-R: parallel questions and sentences in 11 languages. Source: LAReQA, https://arxiv.org/abs/2004.05484."""

from __future__ import annotations

from beir_hybrid.corpora import lareqa
from beir_hybrid.corpora.spec import CorpusSpec, Files, PairSource, TaskFacts

_CITATION = (
    r"""
@inproceedings{artetxe-etal-2020-cross,
  author = {Artetxe, Mikel and Ruder, Sebastian and Yogatama, Dani},
  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics},
  title = {On the Cross-lingual Transferability of Monolingual Representations},
  year = {2020},
}
"""
    + lareqa.CITATION
)

SPEC = CorpusSpec(
    name="xquad-r",
    title="XQuAD-R",
    licence="cc-by-sa-4.0",
    revision="9bc8c7fb6dd8d01d72a05a93c2cb96882b0d299c",
    citation=_CITATION,
    files=Files(
        url=lareqa.URL + "/xquad-r/{language}.json",
        folder="lareqa/xquad-r",
        sha256={
            "ar": "c52922d3b8ac1ae03ed5ac38647ad59870dca3dda2beefe18ecdc30729acb69d",
            "de": "16fb0f4bf4916154b585a20c24c66074591c9718a1affe764ff4697572328949",
            "el": "163fd43ee785a30eb534ae2061e9eaa766a7ee4e8ffce5e4b422480c150f64b6",
            "en": "7b0954f39297c27a31fef610f0883337dd2907fa8699151dc922afdd0fa12ffe",
            "es": "f8e836b2d91009c4363e04315f7ede363eedbbb49c67dda60de6c4aa782f58de",
            "hi": "ea45ba8ae4513d1533b222bebdc02a90bc319c055d3aeea68584a053d2e92872",
            "ru": "7f4dff853538b9a5fcc28c070b8bb983a5c5d190ac747b8e005a1ada9cab18f1",
            "th": "c3a041864c3a9fb0b4dd91cfdf99cf36b411b3e704c58a303c97bc6dc786cfe4",
            "tr": "f3e8c13002bbce154a4578f535f7533cb70f3da08840e6b62735935baec7bd94",
            "vi": "e35926bf5cc6fc6ecbdfca49467aabeb454f08d152d7818143a906bd31dde995",
            "zh": "80c2cde7b9c2fb134c303cbb52f2ba396ead9eb0014aec43993543d2ba9e93ed",
        },
    ),
    read=lareqa.read,
    task=TaskFacts(
        name="XQuADR",
        path=lareqa.REPOSITORY,
        description=(
            "Find the sentences that answer a question, among the sentences of the same paragraphs in one language or "
            "in all eleven at once. Questions and paragraphs are professional translations of SQuAD v1.1, so that "
            "every question has a right answer in every language: XQuAD-R of LAReQA, which tells whether a model "
            "prefers passages in the language of the question to better ones in another."
        ),
        reference="https://aclanthology.org/2020.emnlp-main.477/",
        date=("2019-05-21", "2020-04-11"),
        benchmark="BEIR-Hybrid",
    ),
    adapted_from=("XQuADRetrieval",),
    pairs={"xquad-r": PairSource(lareqa.read)},
)
