"""What is asked of an encoder, and the one line a user gets when its embeddings cannot be ranked by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from datasets import Dataset
from mteb.models import SentenceTransformerEncoderWrapper, sentence_transformer_wrapper
from mteb.types import PromptType

from beir_hybrid.errors import ModelError
from beir_hybrid.mteb.encode import Call, device_of, passage_dataset, question_dataset
from beir_hybrid.mteb.private import create_dataloader
from beir_hybrid.scoring.matrices import check_embeddings, on_device
from beir_hybrid.tasks import XQuADR
from tests.support.helpers import ScoreTable, TableModel, corpus_of
from tests.support.stand_in_device import largest_copy, resident, stand_in_devices
from tests.support.tiny_model import tiny_model

IDS = ["en:0", "en:1", "en:2"]
GOOD = np.array([[1.0, 0.0], [-1.0, 1.0], [0.0, 1e-30]])


def message(embeddings: Any, ids: list[str] = IDS) -> str:
    with pytest.raises(ModelError) as caught:
        check_embeddings(embeddings, ids, "tests/model: the en passages")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("tests/model: the en passages ")


@pytest.mark.parametrize(
    "embeddings",
    [
        GOOD,
        GOOD.astype(np.float32),
        GOOD.T.copy().T,
        torch.from_numpy(GOOD),
        torch.from_numpy(GOOD).bfloat16(),
        torch.from_numpy(GOOD).requires_grad_(),
        torch.from_numpy(GOOD).to_sparse(),
        np.full((3, 500), 65504, dtype=np.float16),  # whose sum float16 cannot hold
        torch.full((3, 500), 65504, dtype=torch.float16),
        np.full((3, 2), 3e38, dtype=np.float32),
        np.array([[-128, 127, 1]] * 3, dtype=np.int8),  # -128 has no absolute value in int8
        torch.tensor([[-128, 127, 1]] * 3, dtype=torch.int8),
        np.array([[0, 200]] * 3, dtype=np.uint8),
        np.array([[False, True]] * 3),
    ],
    ids=lambda matrix: f"{type(matrix).__name__}-{matrix.dtype}",
)
def test_embeddings_that_can_be_ranked_by(embeddings: Any) -> None:
    check_embeddings(embeddings, IDS, "tests/model: the en passages")


def test_no_texts_have_no_embeddings() -> None:
    check_embeddings(np.empty((0, 4)), [], "tests/model: the en passages")


def changed(row: int, value: float | list[float]) -> np.ndarray:
    embeddings = GOOD.copy()
    embeddings[row] = value
    return embeddings


FORMS = {
    "float64": lambda matrix: matrix,
    "float32": lambda matrix: matrix.astype(np.float32),
    "float16": lambda matrix: matrix.astype(np.float16),
    "tensor": torch.from_numpy,
    "sparse": lambda matrix: torch.from_numpy(matrix).to_sparse(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([np.nan, 1], "not finite (NaN or infinite)"),
        ([np.nan, np.nan], "not finite (NaN or infinite)"),
        ([0, np.inf], "not finite (NaN or infinite)"),
        ([-np.inf, np.inf], "not finite (NaN or infinite)"),
    ],
)
def test_a_bad_row_is_named(form: str, value: Any, fault: str) -> None:
    expected = f"cannot be ranked: the embedding in row 1 (en:1) is {fault}; check the model"
    embeddings = GOOD.copy()
    embeddings[2] = 1  # which is not zero in float16 either
    embeddings[1] = value
    assert message(FORMS[form](embeddings)) == expected


@pytest.mark.parametrize("row", [0, 1023, 1024, 4999])
def test_the_first_bad_row_of_many_is_named(row: int) -> None:
    embeddings = np.ones((5000, 2), dtype=np.float32)
    embeddings[row:] = np.inf
    ids = [f"en:{n}" for n in range(5000)]
    assert f"row {row} (en:{row}) is not finite" in message(embeddings, ids)
    assert f"row {row} (en:{row}) is not finite" in message(torch.from_numpy(embeddings).to_sparse(), ids)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zero", [0, -0.0])
def test_texts_of_which_the_model_knows_no_word_are_counted_in_one_line(
    form: str, zero: float, caplog: pytest.LogCaptureFixture
) -> None:
    embeddings = np.ones((2500, 3))
    embeddings[[7, 1030, 2499]] = zero
    check_embeddings(FORMS[form](embeddings), [f"de:{n}" for n in range(2500)], "tests/model: the de questions")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        "tests/model: the de questions: 3 of 2500 embeddings are all zeros, the first that of de:7; the model knows no "
        "word of these texts, and they score 0 with everything"
    )


def test_a_device_without_float64_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apple's GPUs have none: converting to it is an error there."""
    to = torch.Tensor.to

    def no_float64(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if torch.float64 in (*args, *kwargs.values()):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return to(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "to", no_float64)
    monkeypatch.setattr(torch.Tensor, "double", lambda tensor: no_float64(tensor, torch.float64))
    check_embeddings(torch.tensor([[3e38, 3e38], [0, 1], [-3e38, 3e38]]), IDS, "tests/model: the en passages")


@pytest.mark.parametrize(
    ("embeddings", "found"),
    [
        (GOOD[:2], "are 3 texts, but the model returned 2 embeddings"),
        (np.ones((4, 2)), "are 3 texts, but the model returned 4 embeddings"),
        (torch.ones(0, 2), "are 3 texts, but the model returned 0 embeddings"),
        (np.ones(3), "an array of shape (3,)"),
        (torch.ones(3, 4, 2), "an array of shape (3, 4, 2)"),
        (np.float32(1), "an array of shape ()"),
        (GOOD.tolist(), "but the model returned a list"),
        ([torch.ones(2)] * 3, "but the model returned a list"),
        (None, "but the model returned a NoneType"),
        (np.empty((3, 0)), "the embeddings have no dimensions"),
        (GOOD.astype(object), "torch cannot read a ndarray of object"),
        (np.array([["a"]] * 3), "torch cannot read a ndarray of <U1"),
    ],
)
def test_what_is_no_matrix_of_a_row_a_text(embeddings: Any, found: str) -> None:
    assert found in message(embeddings)


CORPUS = corpus_of({"en": ["b", "a"], "de": ["c"]}, {"en": ["q2", "q1"], "de": []}, {"en": {"q1": {0: 1}}})
TABLE = ScoreTable(CORPUS, np.zeros((2, 3), dtype=np.float32))


def encoded(model: Any, prompt_type: PromptType = PromptType.document, **encode_kwargs: Any) -> Any:
    texts = {
        PromptType.query: question_dataset(CORPUS, "en"),
        PromptType.document: passage_dataset(CORPUS, ["en", "de"]),
    }
    options: Any = {"batch_size": 2, "show_progress_bar": False, **encode_kwargs}
    call = Call(model, XQuADR.metadata, "test", options)
    return call.encode(texts[prompt_type], "en", prompt_type)


@pytest.mark.parametrize("titled", [False, True])
@pytest.mark.parametrize("prompt_type", [PromptType.query, PromptType.document])
def test_batches_are_those_of_a_plain_data_set(prompt_type: PromptType, titled: bool) -> None:
    """Rows are mapped at once, which changes nothing in them."""
    texts = question_dataset(CORPUS, "en") if prompt_type == PromptType.query else passage_dataset(CORPUS, ["en", "de"])
    if titled and prompt_type == PromptType.document:
        texts = type(texts).from_dict({**texts.to_dict(), "title": ["T", "", "U"]})
    plain, ours = (
        [*create_dataloader(some, task_metadata=XQuADR.metadata, prompt_type=prompt_type, batch_size=2)]
        for some in (Dataset.from_dict(texts.to_dict()), texts)
    )
    assert ours == plain


def test_an_encoder_is_asked_as_by_mteb_itself() -> None:
    model = TableModel(TABLE)
    assert encoded(model, PromptType.query).cpu().tolist() == [[1], [2]]
    assert encoded(model).cpu().tolist() == [[1], [2], [3]]
    asked = {
        "task_metadata": XQuADR.metadata,
        "hf_split": "test",
        "hf_subset": "en-en",
        "batch_size": 2,
        "show_progress_bar": False,
    }
    assert model.calls == [
        {"ids": ["en:q2", "en:q1"], "prompt_type": "query", **asked},
        {"ids": ["en:b", "en:a", "de:c"], "prompt_type": "document", **asked},
    ]
    assert isinstance(model, mteb.EncoderProtocol)


def test_a_bad_embedding_stops_the_run_with_model_language_and_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TableModel, "encode", lambda *_, **__: torch.tensor([[1.0], [torch.nan]]))
    with pytest.raises(ModelError, match=r"^tests/table: the en questions cannot be ranked: .* row 1 \(en:q1\)"):
        encoded(TableModel(TABLE), PromptType.query)
    with pytest.raises(ModelError, match=r"^tests/table: the en passages are 3 texts"):
        encoded(TableModel(TABLE))


GPU = torch.device("xpu", 1)


@pytest.mark.parametrize(
    ("model", "device"),
    [
        (SimpleNamespace(device="cuda:2"), torch.device("cuda:2")),
        (SimpleNamespace(model=SimpleNamespace(device=GPU)), GPU),
        (SimpleNamespace(model=torch.nn.Linear(2, 2)), torch.device("cpu")),
        (SimpleNamespace(device="auto", model=SimpleNamespace(device="mps")), torch.device("mps")),
        (SimpleNamespace(encoder=SimpleNamespace(model=SimpleNamespace(device="cpu"))), torch.device("cpu")),
        (SimpleNamespace(model=torch.nn.Linear(2, 2, device="meta")), None),
        (SimpleNamespace(model="the name of a model behind an API", device=None), None),
    ],
)
def test_the_device_of_a_model_is_what_it_or_the_model_inside_says(model: Any, device: torch.device | None) -> None:
    assert device_of(model) == device


def test_embeddings_go_to_the_device_of_the_model_or_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in_devices() as copied:
        monkeypatch.setattr(TableModel, "device", GPU, raising=False)
        embeddings = encoded(TableModel(TABLE))
        assert (embeddings.device, embeddings.dtype) == (GPU, torch.float32)
        elsewhere = torch.device("xpu", 0)
        monkeypatch.setattr(TableModel, "encode", lambda *_, **__: resident(torch.ones(3, 1).half(), elsewhere))
        embeddings = encoded(TableModel(TABLE))
        assert (embeddings.device, embeddings.dtype) == (elsewhere, torch.float32)
    assert largest_copy(copied, floating=True) == 0


class OnGpu:
    """A model of Sentence Transformers that says it is on a GPU; what it embeds is there unless numpy is wanted."""

    def __init__(self) -> None:
        self.inner, self.device, self.asked = tiny_model(), GPU, list[dict[str, Any]]()

    def encode_document(self, texts: list[str], **options: Any) -> Any:
        self.asked.append(options)
        embeddings = self.inner.encode_document(texts, **options)
        return resident(embeddings.bfloat16(), GPU) if options.get("convert_to_tensor") else embeddings


def test_the_wrapper_of_sentence_transformers_leaves_embeddings_on_the_gpu() -> None:
    wrapper: Any = SentenceTransformerEncoderWrapper(tiny_model())
    on_cpu = encoded(wrapper)
    wrapper.model = OnGpu()
    with stand_in_devices() as copied:
        embeddings = encoded(wrapper)
        assert (embeddings.device, embeddings.dtype) == (GPU, torch.float32)
        assert largest_copy(copied, floating=True) == 0
        assert embeddings.cpu().tolist() == torch.as_tensor(on_cpu).bfloat16().float().tolist()
    assert wrapper.model.asked[0]["convert_to_tensor"]
    with stand_in_devices():  # what is made on the CPU is asked as ever
        assert encoded(wrapper, precision="int8").device == GPU
    assert "convert_to_tensor" not in wrapper.model.asked[1]
    # Nothing is left of it: MTEB's own tasks get what they expect.
    assert isinstance(on_cpu, np.ndarray)
    assert sentence_transformer_wrapper._postprocess_dense_embeddings(torch.ones(1).half()).dtype == torch.float32


def test_embeddings_stay_where_they_are_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert on_device(GOOD) is GOOD
