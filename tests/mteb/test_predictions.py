"""Predictions against a full sort and against the file that MTEB itself writes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mteb.abstasks import AbsTaskRetrieval
from mteb.models import ModelMeta
from mteb.models.model_meta import ScoringFunction
from mteb.similarity_functions import select_similarity

from beir_hybrid.corpora import ParallelCorpus
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.mteb import predictions
from beir_hybrid.mteb.encode import Call
from beir_hybrid.mteb.passes import CountedRun, run_encoder
from beir_hybrid.mteb.predictions import Predictions, predict, write_predictions
from beir_hybrid.mteb.subset_data import SubsetData
from beir_hybrid.tasks import XQuADR
from tests.support.helpers import corpus_of, qrels_of
from tests.support.mteb_models import CountingEncoder, meta_of, vector_of

SUBSETS = ["en-en", "en-de", "en-multi", "de-de"]

CORPUS = corpus_of(
    {"en": [str(n) for n in range(12)], "de": [str(n) for n in range(5)]},
    {"en": ["q1", "q2", "q3"], "de": ["q3", "q1"]},
    {"en": {"q1": {0: 1}, "q2": {3: 1, 4: 1}}, "de": {"q1": {1: 1}, "q3": {0: 1}}},
)


class SimilarityEncoder(CountingEncoder):
    """An encoder with any of MTEB's similarities, or with one of its own."""

    mteb_model_meta: ModelMeta

    def __init__(self, kind: ScoringFunction | None, convert: Callable[[Any], Any] = np.asarray) -> None:
        super().__init__(vector=lambda text: 3 * vector_of(text) + vector_of(f"length of {text}"))
        self.spoil = lambda embeddings, **_: convert(embeddings)
        self.mteb_model_meta = meta_of("similarity", similarity_fn_name=kind)
        self.kind = kind

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return the similarity, the exponential of the dot product if it is none of MTEB's."""
        if self.kind is None:
            matrices = (torch.as_tensor(matrix) for matrix in (embeddings1, embeddings2))
            first, second = (matrix.to_dense() if matrix.is_sparse else matrix for matrix in matrices)
            return torch.exp(first.float() @ second.float().T)
        if isinstance(embeddings1, torch.Tensor) and embeddings1.is_sparse:
            embeddings1, embeddings2 = embeddings1.to_dense(), embeddings2.to_dense()
        return torch.as_tensor(select_similarity(embeddings1, embeddings2, self.kind))


def encoded(model: SimilarityEncoder, corpus: ParallelCorpus = CORPUS) -> CountedRun:
    call = Call(model, XQuADR.metadata, "test", {"show_progress_bar": False})
    return run_encoder(call, corpus, ["en", "de"], ["en", "de"])


def full_sort(model: SimilarityEncoder, run: CountedRun, subset: str, top_k: int) -> Predictions:
    """Score and sort everything."""
    query_language, pool = subset.split("-")
    pools = ["en", "de"] if pool == "multi" else [pool]
    blocks = [model.similarity(run.embeddings.questions[query_language], run.embeddings.passages[one]) for one in pools]
    scores = torch.cat([torch.as_tensor(block) for block in blocks], dim=1).double()
    ids = [passage_id for one in pools for passage_id in CORPUS.languages[one].passage_ids]
    query_ids = CORPUS.languages[query_language].query_ids
    found = {}
    for query_id in qrels_of(CORPUS, query_language, pools):
        row = scores[query_ids.index(query_id)].tolist()
        best = sorted(range(len(ids)), key=lambda n, row=row: -row[n])[:top_k]  # type: ignore[misc]
        found[query_id] = {ids[n]: row[n] for n in best}
    return found


def check(found: Predictions, expected: Predictions) -> None:
    """Compare queries, passages and their order, and scores."""
    assert list(found) == list(expected)
    for query_id, passages in expected.items():
        assert list(found[query_id]) == list(passages)
        assert list(found[query_id].values()) == pytest.approx(list(passages.values()), rel=1e-4, abs=1e-5)


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "numpy": np.asarray,
    "float16": lambda matrix: matrix.astype(np.float16),
    "torch": torch.from_numpy,
    "bfloat16": lambda matrix: torch.from_numpy(matrix).bfloat16(),
    "with gradients": lambda matrix: torch.from_numpy(matrix).requires_grad_(),
    "sparse": lambda matrix: torch.from_numpy(matrix).to_sparse(),
}


@pytest.mark.parametrize("top_k", [4, 1000])
@pytest.mark.parametrize("conversion", CONVERSIONS)
@pytest.mark.parametrize(
    "kind", [ScoringFunction.COSINE, ScoringFunction.DOT_PRODUCT, ScoringFunction.EUCLIDEAN, None], ids=str
)
def test_predictions_equal_a_full_sort(
    kind: ScoringFunction | None, conversion: str, top_k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "TOP_K", top_k)
    model = SimilarityEncoder(kind, CONVERSIONS[conversion])
    run = encoded(model)
    found = dict(predict(model, CORPUS, run, SUBSETS))
    assert list(found) == SUBSETS
    for subset, some in found.items():
        check(some, full_sort(model, run, subset, top_k))


def test_embeddings_are_left_as_they_are() -> None:
    model = SimilarityEncoder(ScoringFunction.COSINE)
    run = encoded(model)
    before = {language: torch.as_tensor(matrix).clone() for language, matrix in run.embeddings.passages.items()}
    list(predict(model, CORPUS, run, SUBSETS))
    assert all(torch.equal(torch.as_tensor(run.embeddings.passages[language]), before[language]) for language in before)


def test_queries_without_a_relevant_passage_in_the_pool_are_left_out() -> None:
    model = SimilarityEncoder(ScoringFunction.COSINE)
    found = dict(predict(model, CORPUS, encoded(model), SUBSETS))
    assert {subset: list(some) for subset, some in found.items()} == {
        "en-en": ["en:q1", "en:q2"],
        "en-de": ["en:q1", "en:q3"],
        "en-multi": ["en:q1", "en:q2", "en:q3"],
        "de-de": ["de:q3", "de:q1"],
    }


@pytest.mark.parametrize("kind", [ScoringFunction.COSINE, None], ids=str)
def test_a_subset_without_judged_queries_has_no_predictions(kind: ScoringFunction | None) -> None:
    model = SimilarityEncoder(kind)
    corpus = corpus_of({"en": ["1"], "de": ["1"]}, {"en": ["q"], "de": ["q"]}, {"en": {"q": {0: 1}}})
    assert dict(predict(model, corpus, encoded(model, corpus), ["en-de"])) == {"en-de": {}}


class Tiny(AbsTaskRetrieval):
    """A task of MTEB's own making over the same texts."""

    metadata = XQuADR.metadata.model_copy(
        update={
            "name": "Tiny",
            "eval_langs": {subset: XQuADR.metadata.eval_langs[subset] for subset in SUBSETS},
            "main_score": "ndcg_at_10",
        }
    )

    def load_data(self, num_proc: int | None = None, **options: Any) -> None:
        """Take the texts of this module."""
        self.dataset = dict(SubsetData(CORPUS, SUBSETS, "test"))
        self.data_loaded = True

    def run(self, model: SimilarityEncoder, folder: Path | None = None) -> dict[str, dict[str, Any]]:
        """Evaluate a model."""
        options = {"encode_kwargs": {"show_progress_bar": False}, "prediction_folder": folder}
        return dict(self.evaluate(model, "test", SUBSETS, **options))  # type: ignore[arg-type]


def model_meta(model: SimilarityEncoder) -> dict[str, Any]:
    return {"model_name": model.mteb_model_meta.name, "revision": model.mteb_model_meta.revision}


def write(path: Path, model: SimilarityEncoder, subsets: list[str] = SUBSETS, split: str = "test") -> dict[str, Any]:
    write_predictions(path, model_meta(model), split, predict(model, CORPUS, encoded(model), subsets))
    content = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize("kind", [ScoringFunction.COSINE, ScoringFunction.EUCLIDEAN, None], ids=str)
def test_the_file_is_what_mteb_writes(tmp_path: Path, kind: ScoringFunction | None) -> None:
    model = SimilarityEncoder(kind)
    Tiny().run(model, tmp_path / "mteb")
    expected = json.loads((tmp_path / "mteb" / "Tiny_predictions.json").read_text(encoding="utf-8"))
    found = write(tmp_path / "ours" / "Tiny_predictions.json", model)
    assert list(found) == list(expected) == ["mteb_model_meta", *SUBSETS]
    assert found["mteb_model_meta"] == expected["mteb_model_meta"]
    for subset in SUBSETS:
        assert list(found[subset]) == list(expected[subset]) == ["test"]
        in_order = {
            query_id: dict(sorted(passages.items(), key=lambda item: -item[1]))
            for query_id, passages in expected[subset]["test"].items()
        }
        check(found[subset]["test"], in_order)


def test_mteb_reranks_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "TOP_K", 6)
    model = SimilarityEncoder(ScoringFunction.COSINE)
    found = write(tmp_path / "Tiny_predictions.json", model)
    task = Tiny().convert_to_reranking(tmp_path, top_k=3)
    for subset in SUBSETS:
        top = {query_id: list(passages)[:3] for query_id, passages in found[subset]["test"].items()}
        assert task.dataset[subset]["test"]["top_ranked"] == top
    reranked, whole = task.run(model), Tiny().run(model)
    for subset in SUBSETS:
        assert reranked[subset]["ndcg_at_3"] == pytest.approx(whole[subset]["ndcg_at_3"])
        assert reranked[subset]["previous_results_model_meta"] == model_meta(model)


def test_scores_are_written_with_the_digits_they_have(tmp_path: Path) -> None:
    model = SimilarityEncoder(ScoringFunction.COSINE)
    content = write(tmp_path / "p.json", model)
    scores = [score for subset in SUBSETS for found in content[subset]["test"].values() for score in found.values()]
    assert scores
    assert all(score == float(str(np.float32(score))) for score in scores)
    exact = np.array([1 / 3, -0.0, 1e-30, 16777216, 1e20, np.nextafter(np.float32(1), np.float32(2))], dtype=np.float32)
    short = predictions._short(exact)
    assert np.array(short, dtype=np.float32).tolist() == exact.tolist()
    assert json.dumps(short) == "[0.33333334, -0.0, 1e-30, 16777216.0, 1e+20, 1.0000001]"


def test_subsets_and_splits_of_the_same_model_are_kept(tmp_path: Path) -> None:
    path, model = tmp_path / "p.json", SimilarityEncoder(ScoringFunction.COSINE)
    old = {
        "mteb_model_meta": model_meta(model),
        "en-en": {"test": {"en:gone": {"en:1": 1.0}}, "dev": {"en:q": {"en:é": 0.5}}},
        "zh-zh": {"test": {"zh:q": {"zh:1": 0.25}}},
    }
    path.write_text(json.dumps(old), encoding="utf-8")
    content = write(path, model, ["en-en", "en-de"])
    assert set(content) == {"mteb_model_meta", "en-en", "en-de", "zh-zh"}
    assert content["zh-zh"] == old["zh-zh"]
    assert content["en-en"]["dev"] == old["en-en"]["dev"]
    assert list(content["en-en"]["test"]) == ["en:q1", "en:q2"]
    assert write(path, model, ["en-de"]) == content


@pytest.mark.parametrize("change", [{"model_name": "tests/other"}, {"revision": "0"}])
def test_predictions_of_another_model_are_replaced(tmp_path: Path, change: dict[str, str]) -> None:
    path, model = tmp_path / "p.json", SimilarityEncoder(ScoringFunction.COSINE)
    old = {"mteb_model_meta": {**model_meta(model), **change}, "zh-zh": {"test": {}}, "en-de": {"dev": {}}}
    path.write_text(json.dumps(old), encoding="utf-8")
    content = write(path, model, ["en-de"])
    assert list(content) == ["mteb_model_meta", "en-de"]
    assert list(content["en-de"]) == ["test"]
    assert content["mteb_model_meta"] == model_meta(model)


FOREIGN = ("", "{", '{"mteb_model_meta": {}', "[]", "null", "3", "{}", '{"en-en": {}}', "\x00\x01", b"\xff\xfe\xfa")
ODD_SUBSET = '{"mteb_model_meta": {"model_name": "tests/similarity", "revision": "1"}, "en-en": [1]}'


@pytest.mark.parametrize("content", [*FOREIGN, ODD_SUBSET])
def test_another_file_in_its_place_is_left_alone(tmp_path: Path, content: str | bytes) -> None:
    path, model = tmp_path / "p.json", SimilarityEncoder(ScoringFunction.COSINE)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    with pytest.raises(BeirHybridError, match="is not a predictions file") as caught:
        write(path, model)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["p.json"]


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "p.json").mkdir()
    with pytest.raises(BeirHybridError, match="is not a predictions file") as caught:
        write(tmp_path / "p.json", SimilarityEncoder(ScoringFunction.COSINE))
    assert "\n" not in str(caught.value)


def test_a_search_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path, model = tmp_path / "p.json", SimilarityEncoder(ScoringFunction.COSINE)
    before = write(path, model)

    def failing() -> Iterator[tuple[str, Predictions]]:
        yield "en-en", {}
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        write_predictions(path, model_meta(model), "test", failing())
    assert json.loads(path.read_text(encoding="utf-8")) == before
    assert os.listdir(tmp_path) == ["p.json"]


def test_sparse_embeddings_are_not_spread_out() -> None:
    model = SimilarityEncoder(ScoringFunction.DOT_PRODUCT, CONVERSIONS["sparse"])
    assert predictions._Pool(model, CORPUS, encoded(model).embeddings, ["en", "de"]).index is None
    model = SimilarityEncoder(ScoringFunction.DOT_PRODUCT)
    assert predictions._Pool(model, CORPUS, encoded(model).embeddings, ["en", "de"]).index is not None
