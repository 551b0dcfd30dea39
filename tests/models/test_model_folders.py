"""Folders of every kind of model that Sentence Transformers loads: evaluated as the model in memory, or one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from mteb.types import PromptType
from safetensors.numpy import load_file, save_file
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import BoW, Normalize, Pooling, StaticEmbedding, Transformer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from beir_hybrid.models import model_files, ours
from beir_hybrid.tasks import XQuADR
from tests.models.test_ours import encode, refusal
from tests.support.small_xquad import LANGUAGES
from tests.tasks.test_xquad_r import use_small_data

SPECIAL = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}
WORDS = [
    *SPECIAL.values(),
    "question",
    "sentence",
    "only",
    *LANGUAGES,
    *(f"q{n}" for n in range(9)),
    *map(str, range(9)),
]
TEXTS = ["de sentence 2", "th question q1 unheard of", "only"]
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
    "initializer_range": 0.5,
}


def words() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def static(seed: int = 0) -> StaticEmbedding:
    weights = np.random.default_rng(seed).normal(size=(len(WORDS), 8)).astype(np.float32)
    return StaticEmbedding(words(), embedding_weights=weights)


def save(folder: Path, *modules: Any) -> Path:
    SentenceTransformer(modules=list(modules), device="cpu").save(str(folder), create_model_card=False)
    return folder


def plain(folder: Path, kind: Any = BertModel, **settings: Any) -> Path:
    """Save a model as transformers does."""
    torch.manual_seed(0)
    kind(BertConfig(**SIZES, **settings)).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words(), model_max_length=32, **SPECIAL)
    tokenizer.save_pretrained(folder)
    return folder


def as_version_3(folder: Path) -> Path:
    """Save a static model as Sentence Transformers 3 did: in a folder of its own, under its old name."""
    save(folder, static())
    (folder / "0_StaticEmbedding").mkdir()
    for name in ("tokenizer.json", "model.safetensors"):
        (folder / name).rename(folder / "0_StaticEmbedding" / name)
    module = {
        "idx": 0,
        "name": "0",
        "path": "0_StaticEmbedding",
        "type": "sentence_transformers.models.StaticEmbedding",
    }
    (folder / "modules.json").write_text(json.dumps([module]))
    settings = {"__version__": {"sentence_transformers": "3.3.1"}, "prompts": {}, "similarity_fn_name": "cosine"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder


def as_model2vec(folder: Path, quantised: bool = False) -> Path:
    """Write what Model2Vec writes."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    tensors = {"embeddings": rng.normal(size=(len(WORDS), 8)).astype(np.float32)}
    if quantised:
        tensors["embeddings"] = tensors["embeddings"][:5]
        tensors["mapping"] = rng.integers(0, 5, len(WORDS))
        tensors["weights"] = rng.random(len(WORDS))
    save_file(tensors, folder / "model.safetensors")
    words().save(str(folder / "tokenizer.json"))
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": 8, "normalize": True}
    (folder / "config.json").write_text(json.dumps(config))
    modules = [
        {"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def router(folder: Path) -> Path:
    return save(folder, Router.for_query_document([static(0)], [static(1)]), Normalize())


def sparse(folder: Path) -> Path:
    SparseEncoder(str(plain(folder.with_name("mlm"), BertForMaskedLM)), device="cpu").save_pretrained(str(folder))
    return folder


def multi_vector(folder: Path) -> Path:
    MultiVectorEncoder(str(plain(folder.with_name("bert"))), device="cpu").save_pretrained(str(folder))
    return folder


def cross(folder: Path) -> Path:
    parts = plain(folder.with_name("classifier"), BertForSequenceClassification, num_labels=1)
    CrossEncoder(str(parts), device="cpu").save_pretrained(str(folder))
    return folder


DENSE: dict[str, Callable[[Path], Path]] = {
    "static": lambda folder: save(folder, static()),
    "static and Normalize": lambda folder: save(folder, static(), Normalize()),
    "static of version 3": as_version_3,
    "model2vec": as_model2vec,
    "model2vec, quantised": lambda folder: as_model2vec(folder, quantised=True),
    "bag of words": lambda folder: save(folder, BoW(list(WORDS))),
    "router": router,
    "plain transformers": plain,
    "transformer": lambda folder: save(folder, Transformer(str(plain(folder.with_name("parts")))), Pooling(16)),
}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_small_data(tmp_path, monkeypatch)


@pytest.mark.parametrize("kind", DENSE)
def test_a_folder_gives_the_embeddings_of_sentence_transformers(kind: str, tmp_path: Path) -> None:
    folder = DENSE[kind](tmp_path / "model")
    direct = SentenceTransformer(str(folder), device="cpu")
    model = mteb.get_model(str(folder), device="cpu")
    np.testing.assert_allclose(encode(model, TEXTS, PromptType.query), direct.encode_query(TEXTS), atol=1e-6)
    np.testing.assert_allclose(encode(model, TEXTS, PromptType.document), direct.encode_document(TEXTS), atol=1e-6)
    meta = mteb.get_model_meta(str(folder), fill_missing=True)
    assert meta.revision == model.mteb_model_meta.revision
    assert meta.model_type == model.mteb_model_meta.model_type == ["dense"]
    if "model2vec" not in kind:  # whose table of weights is folded
        assert meta.n_parameters == sum(weights.numel() for weights in direct.parameters())


def test_the_embeddings_of_a_quantised_vocabulary_are_those_of_model2vec(tmp_path: Path) -> None:
    folder = as_model2vec(tmp_path / "model", quantised=True)
    tensors = load_file(folder / "model.safetensors")
    numbers = [WORDS.index(word) for word in TEXTS[0].split()]
    mean = (tensors["embeddings"][tensors["mapping"][numbers]] * tensors["weights"][numbers, None]).mean(0)
    (found,) = encode(mteb.get_model(str(folder), device="cpu"), TEXTS[:1], PromptType.query)
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-6)


def test_a_quantised_vocabulary_that_would_be_read_wrongly_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = as_model2vec(tmp_path / "model", quantised=True)
    monkeypatch.setattr(StaticEmbedding, "load", classmethod(lambda *_, **__: static()))  # as version 6.0 would
    assert "quantised vocabulary" in refusal(lambda: mteb.get_model(str(folder)))


def scores(model: Any) -> dict[str, float]:
    result = mteb.evaluate(model, XQuADR(hf_subsets=["en-de", "de-multi"]), cache=None, show_progress_bar=False)
    return {entry["hf_subset"]: entry["main_score"] for entry in result.task_results[0].scores["test"]}


@pytest.mark.parametrize(("make", "kind"), [(sparse, SparseEncoder), (multi_vector, MultiVectorEncoder)])
def test_other_encoders_score_as_the_same_model_in_memory(
    make: Callable[[Path], Path], kind: Any, tmp_path: Path
) -> None:
    folder = make(tmp_path / "model")
    assert scores(mteb.get_model(str(folder), device="cpu")) == scores(kind(str(folder), device="cpu"))
    assert "embed_dim is for dense models" in refusal(lambda: mteb.get_model(str(folder), embed_dim=4))


@pytest.mark.parametrize("make", [cross, lambda folder: plain(folder, BertForSequenceClassification, num_labels=1)])
def test_a_cross_encoder_needs_two_stages(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    model = mteb.get_model(str(folder), device="cpu")
    assert mteb.get_model_meta(str(folder)).model_type == ["cross-encoder"]
    assert "is a cross-encoder, which ranks anew" in refusal(lambda: scores(model))
    task = XQuADR(hf_subsets=["en-de"])
    mteb.evaluate(SentenceTransformer(modules=[static()]), task, cache=None, prediction_folder=tmp_path / "found")
    result = mteb.evaluate(model, XQuADR(hf_subsets=["en-de"]).convert_to_reranking(tmp_path / "found"), cache=None)
    assert result.task_results[0].scores["test"][0]["main_score"] > 0


def test_what_mteb_passes_on_for_a_name_it_passes_on_for_a_folder(tmp_path: Path) -> None:
    folder = plain(tmp_path / "model")
    model = mteb.get_model(
        str(folder), device="cpu", embed_dim=4, model_kwargs={"dtype": "bfloat16"}, model_prompts={"query": "only "}
    )
    assert next(model.model.parameters()).dtype == torch.bfloat16
    assert encode(model, TEXTS, PromptType.query).shape == (3, 4)
    assert model.model_prompts == {"query": "only "}
    revision = mteb.get_model_meta(str(folder)).revision
    assert mteb.get_model(str(folder), revision).mteb_model_meta.revision == revision
    assert mteb.get_model_meta(str(folder), experiment_kwargs={"a": 1}).experiment_kwargs == {"a": 1}
    assert mteb.get_model_meta(str(folder), revision, True).revision == revision
    assert "has the revision" in refusal(lambda: mteb.get_model_meta(str(folder), "of another"))
    assert "trust_remote_code" in refusal(lambda: mteb.get_model(str(folder), trust_remote_code=True))
    assert "backend=onnx" in refusal(lambda: mteb.get_model(str(folder), backend="onnx"))
    assert "cannot be loaded with no_option" in refusal(lambda: mteb.get_model(str(folder), no_option=1))


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "notes.pkl", "old/pytorch_model.bin", "old/broken.safetensors", "notes.ipynb", "notes.json"],
)
@pytest.mark.parametrize("kind", ["static of version 3", "transformer", "plain transformers"])
def test_files_that_loading_never_reads_harm_nobody(name: str, kind: str, tmp_path: Path) -> None:
    folder = DENSE[kind](tmp_path / "model")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"no model")
    mteb.get_model(str(folder), device="cpu")


def pickled(path: str) -> Callable[[Path], None]:
    return lambda folder: os.replace(folder / path, (folder / path).with_name("pytorch_model.bin"))


def renamed_type(folder: Path) -> None:
    path = next(folder.glob("**/router_config.json"))
    path.write_text(path.read_text().replace("sentence_transformers.sentence_transformer.modules", "my_code"))


def module_elsewhere(folder: Path) -> None:
    path = folder / "modules.json"
    path.write_text(path.read_text().replace("0_StaticEmbedding", "../elsewhere"))


@pytest.mark.parametrize(
    ("kind", "spoil", "expected"),
    [
        (
            "static of version 3",
            pickled("0_StaticEmbedding/model.safetensors"),
            "0_StaticEmbedding/pytorch_model.bin, a",
        ),
        ("static", pickled("model.safetensors"), "weights in pytorch_model.bin, a pickle"),
        ("plain transformers", pickled("model.safetensors"), "weights in pytorch_model.bin, a pickle"),
        (
            "router",
            pickled("query_0_StaticEmbedding/model.safetensors"),
            "query_0_StaticEmbedding/pytorch_model.bin, a",
        ),
        ("router", renamed_type, "needs code of its own (my_code."),
        (
            "router",
            lambda folder: (folder / "router_config.json").unlink(),
            "not a complete Sentence Transformers model",
        ),
        ("static of version 3", module_elsewhere, "names ../elsewhere as the folder of a module"),
        ("transformer", lambda folder: (folder / "modules.json").unlink(), "has no modules.json"),
        ("plain transformers", lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        ("plain transformers", lambda folder: (folder / "config.json").write_text("{"), "config.json is damaged"),
        ("static", lambda folder: (folder / "tokenizer.json").unlink(), "not a complete Sentence Transformers model"),
    ],
)
def test_what_would_be_read_is_checked(
    kind: str, spoil: Callable[[Path], object], expected: str, tmp_path: Path
) -> None:
    folder = DENSE[kind](tmp_path / "model")
    spoil(folder)
    line = refusal(lambda: mteb.get_model(str(folder), device="cpu"))
    assert expected in line
    assert str(folder) in line


def adapter(folder: Path, base: str) -> Path:
    """Write the files of a PEFT adapter, as Sentence Transformers saves them."""
    save(folder, Transformer(str(plain(folder.with_name("parts")))), Pooling(16))
    (folder / "config.json").unlink()
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, "peft_type": "LORA"}))
    return folder


def test_the_revision_of_an_adapter_covers_its_base(tmp_path: Path) -> None:
    base = plain(tmp_path / "base")
    folder = adapter(tmp_path / "adapter", str(base))
    before = mteb.get_model_meta(str(folder)).revision
    assert before == mteb.get_model_meta(str(folder)).revision != ours.NO_CHECKPOINT
    tensors = load_file(base / "model.safetensors")
    name = min(tensors)
    save_file({**tensors, name: tensors[name] + 1}, base / "model.safetensors", {"format": "pt"})
    assert mteb.get_model_meta(str(folder)).revision != before
    shutil.rmtree(base)
    assert "is an adapter on" in refusal(lambda: mteb.get_model(str(folder)))
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    assert "adapter_model.bin, a pickle" in refusal(lambda: model_files.check(folder, str(folder)))


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", static())
    weights = (folder / "model.safetensors").rename(tmp_path / "blob")
    (folder / "model.safetensors").symlink_to(weights)
    (folder / "again").symlink_to(folder)
    before = mteb.get_model_meta(str(folder)).revision
    mteb.get_model(str(folder), device="cpu")
    tensors = load_file(weights)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, weights)
    assert mteb.get_model_meta(str(folder)).revision not in (before, ours.NO_CHECKPOINT)


def test_any_name_can_be_asked_for(tmp_path: Path) -> None:
    for name in ("a\0b", "x" * 5000, str(tmp_path), str(tmp_path / "nothing")):
        assert not model_files.is_model_folder(name)
