"""Indexes of faiss: single languages by selector, parameters, seeds, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import faiss
import numpy as np
import pytest

from beir_hybrid.indexing.faiss_index import FaissIndex, IndexingError, Metric, check_index, parse_params

RNG = np.random.default_rng(0)
PASSAGES = RNG.normal(size=(700, 32)).astype(np.float32)
QUESTIONS = RNG.normal(size=(9, 32)).astype(np.float32)
POOLS = [None, np.arange(100, 300), np.r_[5:9, 300:700]]

KINDS: list[tuple[str, dict[str, float]]] = [
    ("Flat", {}),
    ("IVF16,Flat", {"nprobe": 3}),
    ("IVF16,PQ8x4", {"nprobe": 4}),
    ("IVF16,PQ8x4fs", {"nprobe": 4}),
    ("HNSW16", {"efSearch": 24}),
    ("PQ8x4", {}),
    ("PQ8x4fs", {}),
    ("SQ8", {}),
    ("OPQ8,IVF8,PQ8x4", {"nprobe": 2}),
    ("PCA16,SQ8", {}),
    ("IVF16,PQ8x4,RFlat", {"nprobe": 4, "k_factor_rf": 3}),
    ("IDMap,Flat", {}),
    ("IDMap2,PQ8x4", {}),
    ("IVF16_HNSW8,Flat", {"nprobe": 3, "quantizer_efSearch": 12}),
]


@pytest.mark.parametrize(("factory", "params"), KINDS)
def test_a_language_is_searched_in_the_same_index(factory: str, params: dict[str, float]) -> None:
    index = FaissIndex(factory, params, PASSAGES, "cosine")
    again = FaissIndex(factory, params, PASSAGES, "cosine")
    for rows, found, same in zip(
        POOLS, index.search(QUESTIONS, 50, POOLS), again.search(QUESTIONS, 50, POOLS), strict=True
    ):
        assert (found[1] == same[1]).all() and (found[0] == same[0]).all()  # the seeds are fixed, graphs too
        returned = found[1][found[1] >= 0]
        assert len(returned) and np.isin(returned, np.arange(700) if rows is None else rows).all()
        assert (np.diff(found[0]) <= 0).all(where=found[1][:, 1:] >= 0)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_a_flat_index_is_exact_in_every_metric(metric: Metric) -> None:
    passages, questions = PASSAGES, QUESTIONS
    if metric == "cosine":
        passages, questions = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in (passages, questions))
    scores = questions @ passages.T
    if metric == "euclidean":
        scores = -np.square(questions[:, None] - passages[None]).sum(2)
    results = FaissIndex("Flat", {}, PASSAGES, metric).search(QUESTIONS, 20, POOLS)
    for chosen, (_, found) in zip(POOLS, results, strict=True):
        rows = np.arange(700) if chosen is None else chosen
        assert (found == rows[np.argsort(-scores[:, rows], axis=1)[:, :20]]).all()


@pytest.mark.parametrize("nprobe", [1, 5])
def test_parameters_hold_in_single_languages(nprobe: int) -> None:
    """The same as asking faiss for everything and leaving the other languages out."""
    [_, (_, found)] = FaissIndex("IVF16,Flat", {"nprobe": nprobe}, PASSAGES, "dot").search(QUESTIONS, 200, POOLS[:2])
    index = faiss.index_factory(32, "IVF16,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(PASSAGES)
    index.add(PASSAGES)
    faiss.ParameterSpace().set_index_parameter(index, "nprobe", nprobe)
    everything = index.search(QUESTIONS, 700)[1]
    for row, of_question in zip(found, everything, strict=True):
        assert row[row >= 0].tolist() == [x for x in of_question if 100 <= x < 300]


def test_a_product_quantizer_ranks_a_language_as_the_pool() -> None:
    [(_, whole), (_, part)] = FaissIndex("PQ8x4", {}, PASSAGES, "dot").search(QUESTIONS, 700, POOLS[:2])
    for row, of_question in zip(part, whole, strict=True):
        assert row.tolist() == [x for x in of_question if 100 <= x < 300]


@pytest.mark.parametrize(
    ("factory", "params", "words"),
    [
        ("IVF5000,Flat", {}, "cannot train it on the 700 passages of the pool: .*5000"),
        ("PQ8x10", {}, "cannot train it on the 700 passages"),
        ("PQ7", {}, "cannot make it of 32 dimensions"),
        ("IVF16,Flat", {"nprob": 3}, "parameter nprob=3: IVF16,Flat does not take it"),
        ("Flat", {"nprobe": 3}, "Flat does not take it"),
        ("IVF16,Flat", {"nprobe": 0}, "cannot be searched"),
        ("NSG16", {}, "takes no id selector; indexes that do are Flat, "),
        ("IVF16,RQ2x4", {}, "takes no id selector; indexes that do are Flat, "),
        ("PQ8x4,RFlat", {}, "takes no id selector; indexes that do are Flat, "),
    ],
)
def test_what_faiss_refuses_is_one_line(factory: str, params: dict[str, float], words: str) -> None:
    with pytest.raises(IndexingError, match=words) as error:
        FaissIndex(factory, params, PASSAGES, "cosine").search(QUESTIONS, 20, POOLS)
    assert "\n" not in str(error.value) and "/project/" not in str(error.value)


@pytest.mark.parametrize(
    ("factory", "params", "k", "words"),
    [
        ("IVF,Flatt", {}, 10, "none of faiss's index factory"),
        (" ", {}, 10, "write a string"),
        (7, {}, 10, "write a string"),
        ("Flat", {}, 0, "index k 0"),
        ("Flat", {}, 1.5, "index k 1.5"),
        (None, {"nprobe": 3}, 10, "no index"),
        ("IVF16,Flat", {"nprobe": -3}, 10, "nprobe=-3: write a number"),
        ("IVF16,Flat", {"nprobe": float("nan")}, 10, "nprobe=nan: write a number"),
        ("IVF16,Flat", {"nprobe": "8"}, 10, "nprobe=8: write a number"),
    ],
)
def test_what_is_no_index_is_refused_before_anything_is_encoded(factory: Any, params: Any, k: Any, words: str) -> None:
    with pytest.raises(IndexingError, match=words):
        check_index(factory, params, k)


def test_parameters_are_read_as_they_are_written() -> None:
    assert parse_params("nprobe=8, max_codes=1e3") == {"nprobe": 8, "max_codes": 1000.0}
    assert parse_params(None) == {}
    for text in ("nprobe", "nprobe=", "=8", "nprobe=8,nprobe=9", "nprobe=x", "nprobe=8;x=1", "", "nprobe=-1"):
        with pytest.raises(IndexingError, match="such as nprobe=8"):
            parse_params(text)


def test_faiss_is_loaded_only_for_an_index() -> None:
    program = """
import sys, contextlib, io
import beir_hybrid as bh
from beir_hybrid.cli import main
assert "faiss" not in sys.modules, "import"
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main(["evaluate", "--help"])
assert "faiss" not in sys.modules, "--help"
letters = lambda texts: [[text.lower().count(letter) + 0.1 for letter in "abcdefghijklmn"] for text in texts]
bh.evaluate(letters, "atlas-r", languages=["en"], progress=False, out=sys.argv[1])
assert "faiss" not in sys.modules, "evaluate"
bh.evaluate(letters, "atlas-r", languages=["en"], progress=False, out=sys.argv[1], index="Flat")
assert "faiss" in sys.modules
"""
    import tempfile

    with tempfile.TemporaryDirectory() as out:
        ran = subprocess.run([sys.executable, "-c", program, out], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
