"""NanoBEIR: thirteen data sets of BEIR with about 50 questions and 5,000 passages each, in eleven languages.

The texts are those of MTEB's ``MultilingualNano...Retrieval`` tasks, read by MTEB's own loader: machine translations,
see https://huggingface.co/datasets/LiquidAI/nanobeir-multilingual-extended. MTEB scores one language at a time; here
they are one pool. That ids are the same in every language is checked when they are read.
"""

from __future__ import annotations

from beir_hybrid.corpora.mteb_pools import read
from beir_hybrid.corpora.spec import CorpusSpec, Origin, TaskFacts

LANGUAGES = tuple("ar de en es fr it ja ko no pt sv".split())
"""The languages of all thirteen, in the order of mteb's tasks, which name their subsets so, too."""

GROUP = "NanoBEIR"

_CITATION = r"""
@inproceedings{thakur2021beir,
  author = {Nandan Thakur and Nils Reimers and Andreas R{\"u}ckl{\'e} and Abhishek Srivastava and Iryna Gurevych},
  booktitle = {Thirty-fifth Conference on Neural Information Processing Systems, Datasets and Benchmarks Track},
  title = {{BEIR}: A Heterogeneous Benchmark for Zero-shot Evaluation of Information Retrieval Models},
  url = {https://openreview.net/forum?id=wCu6T5xFjeJ},
  year = {2021},
}
"""

_SETS = {
    "arguana": "ArguAna",
    "climate-fever": "ClimateFever",
    "dbpedia": "DBPedia",
    "fever": "FEVER",
    "fiqa2018": "FiQA2018",
    "hotpotqa": "HotpotQA",
    "msmarco": "MSMARCO",
    "nfcorpus": "NFCorpus",
    "nq": "NQ",
    "quora": "Quora",
    "scidocs": "SCIDOCS",
    "scifact": "SciFact",
    "touche2020": "Touche2020",
}
"""Data set of BEIR -> how MTEB writes it."""


def _spec(name: str, written: str) -> CorpusSpec:
    origin = f"MultilingualNano{written}Retrieval"
    return CorpusSpec(
        name=f"nano-{name}",
        title=f"Nano{written}",
        licence="cc-by-4.0",
        languages=LANGUAGES,
        citation=_CITATION,
        read=read,
        task=TaskFacts(f"Nano{written}CL", path=f"mteb/{origin}", benchmark=f"BEIR-Hybrid({GROUP})"),
        adapted_from=(origin,),
        metrics=("ndcg_at_10", "map"),
        group=GROUP,
        origin=Origin(origin, {language: language for language in LANGUAGES}),
    )


SPECS = tuple(_spec(name, written) for name, written in _SETS.items())
"""The thirteen, in the order of MTEB's benchmark."""
