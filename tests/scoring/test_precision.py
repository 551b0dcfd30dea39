"""Scores have all digits of float32, whatever precision the process multiplies its matrices in."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from beir_hybrid.scoring.counting import scores_of
from beir_hybrid.scoring.precision import full_precision

HAS_NEWER = hasattr(torch.backends.cuda.matmul, "fp32_precision")
newer = pytest.mark.skipif(not HAS_NEWER, reason="torch has had these settings since 2.9")


def settings() -> list[Any]:
    """Return all settings of the precision of products; an error of torch's is one, too."""
    owners: list[tuple[Any, str]] = [(torch.backends.cuda.matmul, "allow_tf32")]
    if HAS_NEWER:
        parts = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul, torch.backends.cudnn, torch.backends.mkldnn)
        owners += [(part, "fp32_precision") for part in (*parts, torch.backends)]
    found: list[Any] = []
    for owner, name in owners:
        try:
            found.append(getattr(owner, name))
        except RuntimeError as error:
            found.append(str(error))
    with contextlib.suppress(RuntimeError):
        found.append(torch.get_float32_matmul_precision())
    return found


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    yield
    if HAS_NEWER:
        torch.backends.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    if HAS_NEWER:
        torch.backends.cuda.matmul.fp32_precision = torch.backends.mkldnn.matmul.fp32_precision = "none"


def tf32_of_cublas() -> None:
    torch.backends.cuda.matmul.allow_tf32 = True


def newer_of_all() -> None:
    torch.backends.fp32_precision = "bf16"


def newer_of_a_backend() -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"


def both() -> None:
    torch.set_float32_matmul_precision("high")
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"


WAYS: list[Any] = [
    pytest.param(lambda: None, id="nothing set"),
    pytest.param(lambda: torch.set_float32_matmul_precision("medium"), id="medium"),
    pytest.param(lambda: torch.set_float32_matmul_precision("high"), id="high"),
    pytest.param(tf32_of_cublas, id="allow_tf32"),
    pytest.param(newer_of_all, id="all backends", marks=newer),
    pytest.param(newer_of_a_backend, id="one backend", marks=newer),
    pytest.param(both, id="older and newer", marks=newer),
]


@pytest.mark.parametrize("lower", WAYS)
def test_a_similarity_is_computed_in_full_and_the_settings_are_as_before(lower: Callable[[], None]) -> None:
    lower()
    before = settings()
    draw = torch.Generator().manual_seed(0)
    questions, passages = (torch.randn(n, 256, generator=draw) for n in (64, 512))
    inside: list[str] = []

    def similarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        matmul = torch.backends.cuda.matmul
        inside.extend(
            [matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision]
            if HAS_NEWER
            else [str(torch.get_float32_matmul_precision())]
        )
        return a @ b.T

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = scores_of(similarity, questions, passages)
        with pytest.raises(ZeroDivisionError):
            scores_of(lambda *_: 1 / 0, questions, passages)
    assert inside
    assert set(inside) <= {"ieee", "none", "highest"}
    # With bfloat16, which processors of some machines have, the largest error is near 0.2.
    exact = questions.double() @ passages.double().T
    assert float((scores - exact).abs().max()) < 1e-3
    assert settings() == before


@newer
def test_what_was_inherited_is_inherited_again() -> None:
    torch.backends.fp32_precision = "tf32"
    with full_precision():
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    torch.backends.fp32_precision = "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"


def test_autocast_does_not_reach_a_similarity() -> None:
    questions, passages = torch.tensor([[1.0, 2.0**-12]]), torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    with torch.autocast("cpu", torch.bfloat16):
        assert (questions @ passages.T).dtype == torch.bfloat16
        scores = scores_of(lambda a, b: a @ b.T, questions, passages)
        assert (questions @ passages.T).dtype == torch.bfloat16
    assert scores.dtype == torch.float32
    assert scores.tolist() == [[1 + 2.0**-12, 1.0]]  # of bfloat16 they would tie


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_embeddings_of_half_precision_are_multiplied_in_single(dtype: torch.dtype) -> None:
    multiplied: list[torch.dtype] = []

    def similarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        multiplied.extend([a.dtype, b.dtype])
        return a @ b.T

    scores = scores_of(similarity, torch.ones(2, 3, dtype=dtype), torch.ones(4, 3, dtype=dtype))
    assert multiplied == [torch.float32] * 2
    assert scores.dtype == torch.float32


@newer
def test_a_torch_that_has_the_older_settings_only_is_set_by_these(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "matmul", object())
    torch.set_float32_matmul_precision("medium")
    with full_precision():
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == "medium"
