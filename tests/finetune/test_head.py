"""Head tuning: the cache of embeddings, the stand-in for the encoder, and the model that is saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from beir_hybrid.debias.dense import debias
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.finetune import embedding_cache
from beir_hybrid.finetune.debiased_model import save_debiased
from beir_hybrid.finetune.embedding_cache import EmbeddingCache, cache_folder
from beir_hybrid.finetune.head import StoredEmbeddings, fill_embeddings, head_model, with_head
from beir_hybrid.finetune.recipe import RunOptions, make_recipe
from beir_hybrid.finetune.start import answers, interpolated
from beir_hybrid.finetune.train import train
from beir_hybrid.models.base import find_base
from beir_hybrid.models.manifest import read_manifest
from beir_hybrid.overlap.check import read_training
from beir_hybrid.training.pairs import read_source
from tests.support.mteb_models import vector_of
from tests.support.small_models import save_labse
from tests.tasks.test_xquad_r import use_small_data

TEXTS = ["de sentence 1.", "en sentence 2.", "th question q0?"]


class Counting:
    """Gives each text a vector of its own, and counts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.texts += texts
        return np.stack([vector_of(text, 4) for text in texts])


@pytest.fixture
def encode() -> Counting:
    return Counting()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_small_data(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_labse(tmp_path_factory.mktemp("bases") / "labse")


# The cache


def test_each_text_is_embedded_once(encode: Counting, tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache", encode)
    assert cache.fill(["b", "a", "b", "ccc"], progress=False) == 3
    assert sorted(encode.texts) == ["a", "b", "ccc"]
    again = EmbeddingCache(tmp_path / "cache", encode)
    assert again.fill(["ccc", "d"], progress=False) == 1
    assert encode.texts[3:] == ["d"]
    wanted = ["d", "a", "ccc", "a", "b"]
    np.testing.assert_array_equal(again.read(wanted), np.stack([vector_of(text, 4) for text in wanted]))


def test_a_text_without_embedding_is_named(encode: Counting, tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache", encode)
    cache.fill(["known"], progress=False)
    with pytest.raises(BeirHybridError, match="no embedding of 'unknown'"):
        cache.read(["known", "unknown"])


def test_what_was_embedded_before_a_failure_stays(
    encode: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_cache, "CHUNK", 2)

    def fail_at_third_chunk(texts: list[str]) -> np.ndarray:
        if len(encode.texts) == 4:
            raise KeyboardInterrupt
        return encode(texts)

    texts = [f"text {n}" for n in range(7)]
    with pytest.raises(KeyboardInterrupt):
        EmbeddingCache(tmp_path / "cache", fail_at_third_chunk).fill(texts, progress=False)
    assert EmbeddingCache(tmp_path / "cache", encode).fill(texts, progress=False) == 3
    assert len(encode.texts) == len(set(encode.texts)) == 7
    assert all(file.suffix == ".safetensors" for file in (tmp_path / "cache").iterdir())


def test_processes_share_the_work(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(100)]
    shares = [Counting(), Counting()]
    for number, encode in enumerate(shares):  # the second one finds what the first one has done
        EmbeddingCache(tmp_path / "cache", encode).fill(texts, progress=False, share=(number, 2))
    assert sorted(shares[0].texts + shares[1].texts) == sorted(texts)
    assert 30 < len(shares[0].texts) < 70


def test_a_damaged_part_is_embedded_again(encode: Counting, tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache", encode)
    cache.fill(["a", "b"], progress=False)
    [part] = (tmp_path / "cache").iterdir()
    part.write_bytes(part.read_bytes()[:-4])
    assert cache.fill(["a", "b"], progress=False) == 2
    np.testing.assert_array_equal(cache.read(["b"])[0], vector_of("b", 4))


def test_another_encoder_prompt_or_length_is_another_folder() -> None:
    keys = [("a", "query: ", 512), ("b", "query: ", 512), ("a", "", 512), ("a", "query: ", 128), ("a", "query: ", None)]
    assert len({cache_folder(*key) for key in keys}) == len(keys)


# The head


def test_it_starts_as_the_encoder(base: Path) -> None:
    encoder = SentenceTransformer(str(base), device="cpu")
    model = head_model(encoder, "revision")
    np.testing.assert_allclose(model.encode_query(TEXTS), encoder.encode_query(TEXTS), atol=1e-6)
    np.testing.assert_allclose(model.encode_document(TEXTS), encoder.encode_document(TEXTS), atol=1e-6)
    np.testing.assert_allclose(with_head(encoder, model).encode_query(TEXTS), encoder.encode_query(TEXTS), atol=1e-6)


def test_texts_are_embedded_with_their_prompt_and_once(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceTransformer(str(base), device="cpu")
    calls: list[tuple[str, str]] = []
    encode = encoder.encode
    monkeypatch.setattr(
        encoder,
        "encode",
        lambda texts, prompt, **options: (
            calls.extend((prompt, text) for text in texts) or encode(texts, prompt=prompt, **options)
        ),
    )
    for _ in range(2):
        model = head_model(encoder, "revision")
        fill_embeddings(model, "query: ", TEXTS[:2] * 2, progress=False)
        model.encode_query(TEXTS)
        model.encode_document(TEXTS[:1])
    assert sorted(calls) == sorted([*(("query: ", text) for text in TEXTS), ("passage: ", TEXTS[0])])


def trained(base: Path, output: Path, **settings: object) -> SentenceTransformer:
    chosen = {"languages": ("en", "de"), "batch_size": 2, "steps": 5, "learning_rate": 0.01, **settings}
    train(str(base), make_recipe("laptop-head", data=("xquad-r",), **chosen), output, options=RunOptions(quiet=True))
    return SentenceTransformer(str(output), device="cpu")


def test_the_saved_model_is_the_head_on_stored_embeddings(base: Path, tmp_path: Path) -> None:
    model, encoder = trained(base, tmp_path / "out"), SentenceTransformer(str(base), device="cpu")
    assert [type(module) for module in model] == [*(type(module) for module in encoder), Dense, Normalize]
    assert (model.prompts, model.similarity_fn_name) == (encoder.prompts, encoder.similarity_fn_name)
    matrix = model[-2].linear.weight.detach().numpy()
    assert model[-2].linear.bias is None
    assert not np.allclose(matrix, np.eye(16), atol=1e-3)
    texts = ["en question q0?", "de question q3?"]
    stored = EmbeddingCache(cache_folder(find_base(str(base)).revision, "query: ", 32), Counting()).read(texts)
    expected = stored @ matrix.T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(model.encode_query(texts), expected, atol=1e-5)


def test_the_encoder_itself_is_not_changed(base: Path, tmp_path: Path) -> None:
    model, encoder = trained(base, tmp_path / "out"), SentenceTransformer(str(base), device="cpu")
    for name, weight in encoder.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0, atol=0)


def test_a_second_run_embeds_nothing(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(base, tmp_path / "first")
    before = {file.name for file in (tmp_path / "home").rglob("*.safetensors")}
    monkeypatch.setattr(EmbeddingCache, "_write", lambda *_: pytest.fail("embedded again"))
    trained(base, tmp_path / "second", seed=1, batching="cross-lingual")
    assert before and before == {file.name for file in (tmp_path / "home").rglob("*.safetensors")}


def test_the_stand_in_has_no_weights_of_its_own(tmp_path: Path) -> None:
    stored = StoredEmbeddings({"": EmbeddingCache(tmp_path / "cache", Counting())}, 4)
    stored.remember("", ["a"])
    assert not list(stored.parameters()) and not stored.state_dict()
    stored.save(str(tmp_path))
    assert StoredEmbeddings.load(str(tmp_path)).get_embedding_dimension() == 4


# Its start


@pytest.fixture(scope="module")
def debiased(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("debiased")
    (folder / "own").mkdir()
    for language in ("de", "en"):
        lines = [f"{language} q{row % 4} {row % 5} sentence {'only ' * (row % 3)}" for row in range(60)]
        (folder / "own" / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    save_debiased(str(base), folder / "leace", data=str(folder / "own"), method="leace", progress=False)
    return folder / "leace"


@pytest.mark.parametrize("tune", ["head", "full"])
def test_from_a_debiased_model_without_a_step_worth_the_name_it_is_that_model(
    tune: str, base: Path, debiased: Path, tmp_path: Path
) -> None:
    model = trained(base, tmp_path / "out", tune=tune, start=str(debiased), learning_rate=1e-9)
    expected = SentenceTransformer(str(debiased), device="cpu")
    assert [type(module) for module in model] == [type(module) for module in expected]
    np.testing.assert_allclose(model.encode_query(TEXTS), expected.encode_query(TEXTS), atol=1e-5)
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    settings = manifest.settings
    assert (settings["start"], settings["start_revision"]) == ("leace", find_base(str(debiased)).revision)
    assert [part["source"] for part in manifest.data] == ["xquad-r", "own"]
    prints = read_training(str(tmp_path / "out")).fingerprints.table
    of_start = read_training(str(debiased)).fingerprints.table
    rows = [tuple(row.values()) for row in prints.select(["language", "kind", "text_hash"]).to_pylist()]
    assert rows == sorted({*rows}) and {*of_start["text_hash"].to_pylist()} < {*prints["text_hash"].to_pylist()}
    assert str(debiased.parent) not in (tmp_path / "out" / "training_manifest.json").read_text()
    assert "the layer of `leace`" in (tmp_path / "out" / "README.md").read_text()


def test_a_projection_is_fitted_on_the_answers_and_trained_along(base: Path, tmp_path: Path) -> None:
    model = trained(base, tmp_path / "still", start="projection", learning_rate=1e-9)
    texts = answers([read_source("xquad-r", ["de", "en"])])
    expected = debias(SentenceTransformer(str(base), device="cpu"), texts)
    np.testing.assert_allclose(model.encode_query(TEXTS), expected.encode_query(TEXTS), atol=1e-5)
    moved = trained(base, tmp_path / "moved", start="projection")
    assert not np.allclose(moved.encode_query(TEXTS), expected.encode_query(TEXTS), atol=1e-3)


def test_the_head_ends_between_start_and_trained(base: Path, tmp_path: Path) -> None:
    starts, ends, between = (
        trained(base, tmp_path / str(number), start="projection", **settings)[-2].linear.weight.detach().numpy()
        for number, settings in enumerate(({"learning_rate": 1e-12}, {}, {"interpolation": 0.25}))
    )
    np.testing.assert_allclose(between, 0.75 * starts + 0.25 * ends, atol=1e-6)
    assert not np.allclose(starts, ends, atol=1e-2)


def test_interpolation_is_linear_and_exact_at_its_ends() -> None:
    start, end = np.random.default_rng(0).normal(size=(2, 5, 5)).astype(np.float32)
    np.testing.assert_array_equal(interpolated(start, end, 1), end)
    np.testing.assert_array_equal(interpolated(start, end, 0), start)
    np.testing.assert_allclose(interpolated(start, end, 0.3), 0.7 * start + 0.3 * end, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("freeze", [True, False])
def test_a_frozen_start_stays_behind_a_base_that_is_trained(freeze: bool, base: Path, tmp_path: Path) -> None:
    still = trained(base, tmp_path / "still", tune="full", start="projection", learning_rate=1e-9)
    model = trained(base, tmp_path / "out", tune="full", start="projection", freeze_start=freeze)
    encoder = SentenceTransformer(str(base), device="cpu")
    assert [type(module) for module in model] == [*(type(module) for module in encoder), Dense, Normalize]
    before, after = (m[-2].linear.weight.detach().numpy() for m in (still, model))
    assert np.allclose(before, after, atol=1e-6) is freeze
    assert not torch.equal(model[2].linear.weight, encoder[2].linear.weight), "the base is trained either way"


def test_answers_are_evenly_spaced() -> None:
    part = read_source("xquad-r", ["de", "en"])
    every = {language: texts.to_pylist() for language, column, texts in part.texts() if column == "answer"}
    assert answers([part, part]) == every
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("beir_hybrid.finetune.start.SENTENCES", 2)
        assert answers([part]) == {language: texts[::2] for language, texts in every.items()}
