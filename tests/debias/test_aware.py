"""Wrappers of models of Sentence Transformers and BEIR that are told the language, or read it off the embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search.dense import DenseRetrievalExactSearch

from beir_hybrid import beir, corpora
from beir_hybrid.debias.aware import NEAREST, AwareRetriever, AwareTransformer, TextIn, debiased, tell
from beir_hybrid.debias.maps import METHODS, Centring, DebiasError, Lir, Map, Projection, unit_rows
from beir_hybrid.mteb.passes import SHARED_RUNS
from tests.debias.test_maps import embeddings
from tests.support.beir_models import WordsForBeir
from tests.support.tiny_model import tiny_model
from tests.tasks.test_xquad_r import use_small_data

TEXTS = {
    "de": ["de sentence 0", "de question q1 2", "de only 3", "de q4"],
    "en": ["en sentence 4", "en question q5", "en only 6 q7"],
    "th": ["th 1", "th 2", "th question"],
}
LANGUAGES = [language for language, texts in TEXTS.items() for _ in texts]
ALL_TEXTS = [text for texts in TEXTS.values() for text in texts]


def fitted_on(model: object, kind: type[Map] = Centring) -> Map:
    return kind.fit({language: model.encode(texts) for language, texts in TEXTS.items()})  # type: ignore[attr-defined]


def centred(rows: np.ndarray, languages: list[str], parts: dict[str, np.ndarray]) -> np.ndarray:
    """Subtract the mean of its language from each row, one by one."""
    return np.stack([row - parts[language].mean(axis=0) for row, language in zip(rows, languages, strict=True)])


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_rows_are_mapped_by_their_own_languages(kind) -> None:
    parts = embeddings(normalised=False)
    rows, languages = (
        np.concatenate(list(parts.values()))[::-3].copy(),
        [*["de"] * 40, *["en"] * 60, *["th"] * 50][::-3],
    )
    expected = centred(rows, languages, parts)
    fitted = Centring.fit(parts)
    found = debiased(fitted, kind(rows), languages)
    assert type(found) is type(kind(rows))
    np.testing.assert_allclose(found, expected, atol=1e-12 if kind is np.asarray else 1e-5)
    np.testing.assert_allclose(debiased(fitted, rows[:5], "th"), centred(rows[:5], ["th"] * 5, parts), atol=1e-12)


def test_the_nearest_mean_says_the_language_where_that_is_asked_for() -> None:
    parts = embeddings(normalised=False)
    rows = np.concatenate(list(parts.values()))
    means = {language: part.mean(axis=0) for language, part in parts.items()}
    nearest = [min(means, key=lambda language: float(np.linalg.norm(row - means[language]))) for row in rows]
    assert len(set(nearest)) == 3
    found = debiased(Centring.fit(parts), rows, NEAREST)
    np.testing.assert_allclose(found, centred(rows, nearest, parts), atol=1e-12)


def test_no_language_is_guessed_silently() -> None:
    parts = embeddings()
    for kind in (Centring, Lir):
        with pytest.raises(
            DebiasError, match=f"{kind.method} needs the language of each text: give it, or say 'nearest'"
        ):
            debiased(kind.fit(parts), parts["de"], None)
    np.testing.assert_array_equal(
        debiased(Projection.fit(parts), parts["de"], None), Projection.fit(parts).transform(parts["de"])
    )


@pytest.mark.parametrize(
    ("language", "says"),
    [
        (["de", "en"], "2 languages are given for 3 texts"),
        (["de", "en", "fr"], "centring was not fitted on the language 'fr'; it knows de, en, th"),
        ("fr", "centring was not fitted on the language 'fr'"),
    ],
)
def test_languages_that_do_not_fit_are_one_line(language: object, says: str) -> None:
    parts = embeddings()
    with pytest.raises(DebiasError, match=says):
        debiased(Centring.fit(parts), parts["de"][:3], language)
    with pytest.raises(DebiasError, match="floating-point numbers, not of int8"):
        debiased(Centring.fit(parts), np.ones((3, 12), np.int8), "de")


# Sentence Transformers


@pytest.mark.parametrize("method", METHODS)
def test_a_wrapped_model_gives_the_mapped_embeddings_of_its_own(method: str) -> None:
    model = tiny_model(prompts={"query": "question ", "document": "sentence "})
    fitted = fitted_on(model, METHODS[method])
    aware = AwareTransformer(model, fitted)
    for name in ("encode", "encode_query", "encode_document"):
        plain = getattr(model, name)(ALL_TEXTS)
        expected = np.stack(
            [fitted.transform(row[None], language)[0] for row, language in zip(plain, LANGUAGES, strict=True)]
        )
        found = getattr(aware, name)(ALL_TEXTS, language=LANGUAGES)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        tensor = getattr(aware, name)(ALL_TEXTS, language=LANGUAGES, convert_to_tensor=True)
        np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-6)
    one = aware.encode("de only 3", language="de")
    np.testing.assert_allclose(one, aware.encode(["de only 3"], language=["de"])[0])
    assert aware.prompts == model.prompts and aware.similarity is not None


def test_embeddings_are_normalised_after_the_map_where_that_is_asked_for() -> None:
    model = tiny_model()
    aware = AwareTransformer(model, fitted_on(model), language=NEAREST)
    expected = unit_rows(aware.encode(ALL_TEXTS))
    np.testing.assert_allclose(aware.encode(ALL_TEXTS, normalize_embeddings=True), expected, atol=1e-6)
    rows = aware.encode(ALL_TEXTS, normalize_embeddings=True, convert_to_numpy=False)
    np.testing.assert_allclose(torch.stack(rows).numpy(), expected, atol=1e-6)


def test_maps_can_stand_one_behind_the_other() -> None:
    model = tiny_model()
    centring, projection = fitted_on(model), fitted_on(model, Projection)
    both = AwareTransformer(AwareTransformer(model, centring), projection)
    expected = projection.transform(debiased(centring, model.encode(ALL_TEXTS), LANGUAGES))
    np.testing.assert_allclose(both.encode(ALL_TEXTS, language=LANGUAGES), expected, atol=1e-6)
    words = WordsForBeir()
    parts = {language: words.encode_queries(texts) for language, texts in TEXTS.items()}
    maps = Centring.fit(parts), Projection.fit(parts)
    retriever = AwareRetriever(AwareRetriever(words, maps[0]), maps[1])
    told = [TextIn(text, language) for text, language in zip(ALL_TEXTS, LANGUAGES, strict=True)]
    expected = maps[1].transform(debiased(maps[0], words.encode_queries(ALL_TEXTS), LANGUAGES))
    np.testing.assert_allclose(retriever.encode_queries(told), expected, rtol=1e-4, atol=1e-3)


def test_what_a_wrapped_model_cannot_do_is_one_line() -> None:
    model = tiny_model()
    fitted = fitted_on(model)
    aware = AwareTransformer(model, fitted)
    with pytest.raises(DebiasError, match="centring needs the language of each text"):
        aware.encode(ALL_TEXTS)
    with pytest.raises(DebiasError, match="precision='int8'"):
        aware.encode(ALL_TEXTS, language="de", precision="int8")
    with pytest.raises(DebiasError, match="output_value='token_embeddings'"):
        aware.encode(ALL_TEXTS, language="de", output_value="token_embeddings")
    with pytest.raises(DebiasError, match="not fitted on the language 'fr'; give one of de, en, th, or 'nearest'"):
        AwareTransformer(model, fitted, language="fr")
    with pytest.raises(DebiasError, match="fitted on embeddings of 3 dimensions, and the model's have 12"):
        AwareTransformer(model, Centring.fit({"de": np.eye(3), "en": np.eye(3)}))


# BEIR


def words_map(kind: type[Map] = Centring) -> Map:
    """Fit on the passages of the small data set."""
    parts = corpora.load("xquad-r").languages
    model = WordsForBeir()
    return kind.fit(
        {
            language: model.encode_corpus([{"title": "", "text": text} for text in part.passages])
            for language, part in parts.items()
        }
    )


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_data(tmp_path, monkeypatch)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", [Centring, Lir])
def test_ids_tell_beir_the_languages(kind: type[Map]) -> None:
    fitted, model = words_map(kind), WordsForBeir()
    documents, queries, _ = beir.load("xquad-r", "en", "multi")
    search = DenseRetrievalExactSearch(AwareRetriever(model, fitted), batch_size=16)
    found = EvaluateRetrieval(search, [100], score_function="cos_sim").retrieve(*tell(documents, queries))
    asked = unit_rows(fitted.transform(model.encode_queries(list(queries.values())), "en"))
    for passage_id, document in documents.items():
        row = unit_rows(fitted.transform(model.encode_corpus([document]), passage_id.partition(":")[0]))
        for query, query_id in zip(asked, queries, strict=True):
            assert found[query_id][passage_id] == pytest.approx(float(query @ row[0]), abs=1e-5)
    columns = {name: [document[name] for document in documents.values()] for name in ("title", "text")}
    columns["language"] = [passage_id.partition(":")[0] for passage_id in documents]
    told = AwareRetriever(model, fitted).encode_corpus(list(tell(documents, {})[0].values()))
    assert columns["language"][0] == "ar" and len(told) == len(columns["text"])


@pytest.mark.usefixtures("small")
def test_evaluate_tells_an_aware_model_the_languages() -> None:
    SHARED_RUNS.clear()
    fitted = words_map()
    told = beir.evaluate(AwareRetriever(WordsForBeir(), fitted), "xquad-r", "en", "multi")
    nearest = beir.evaluate(AwareRetriever(WordsForBeir(), fitted, NEAREST), "xquad-r", "en", "multi")
    plain = beir.evaluate(WordsForBeir(), "xquad-r", "en", "multi")
    documents, queries, _ = beir.load("xquad-r", "en", "multi")
    search = DenseRetrievalExactSearch(AwareRetriever(WordsForBeir(), fitted))
    by_hand = EvaluateRetrieval(search, [100], score_function="cos_sim").retrieve(*tell(documents, queries))
    assert told.results == by_hand
    assert told.map == nearest.map != plain.map
    assert told.info.state is not None and told.info.state.sample is not None
    assert not told.info.state.sample.agrees_with(plain.info.state.sample)


def test_ids_without_a_language_and_texts_without_one_are_one_line() -> None:
    with pytest.raises(DebiasError, match="the id '7' does not say the language of its text, as de:7 does"):
        tell({"7": {"title": "", "text": ""}}, {})
    with pytest.raises(DebiasError, match="the id 'XX:7' does not say the language"):
        tell({}, {"XX:7": ""})
    model = WordsForBeir()
    parts = {"de": model.encode_queries(["a b", "c"]), "en": model.encode_queries(["d", "e f"])}
    aware = AwareRetriever(model, Centring.fit(parts))
    with pytest.raises(DebiasError, match="centring needs the language of each text"):
        aware.encode_queries([TextIn("a", "de"), "b"])
    with pytest.raises(DebiasError, match="centring needs the language of each text"):
        aware.encode_corpus([{"title": "", "text": "a"}])
    always = AwareRetriever(model, Centring.fit(parts), "en")
    np.testing.assert_array_equal(
        always.encode_queries([TextIn("a", "de"), "b"]), aware.encode_queries([TextIn("a", "de"), TextIn("b", "en")])
    )
