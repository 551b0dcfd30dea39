"""The losses against Sentence Transformers' own, and against plain loops in Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)
from sentence_transformers.util import cos_sim, dot_score
from torch import Tensor, nn

from beir_hybrid.errors import DataError
from beir_hybrid.training import CachedHybridContrastiveLoss, HybridContrastiveLoss
from tests.support.helpers import property_test
from tests.support.toy_encoder import ToyEncoder, columns_of, loss_and_gradient

SIZE = 6
ALL_DIRECTIONS = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
SETTINGS: list[dict[str, Any]] = [
    {},
    {"scale": 1.0, "similarity_fct": dot_score},
    {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"},
    {"directions": ("query_to_doc", "doc_to_query")},
    {"directions": ("query_to_doc", "query_to_query")},
    {"directions": ("query_to_doc", "doc_to_doc")},
    {"directions": ALL_DIRECTIONS},
    *(
        {"directions": ALL_DIRECTIONS, "hardness_mode": mode, "hardness_strength": 3.0}
        for mode in ("in_batch_negatives", "hard_negatives", "all_negatives")
    ),
    {
        "directions": ("query_to_doc", "doc_to_query"),
        "partition_mode": "per_direction",
        "hardness_mode": "all_negatives",
        "hardness_strength": 3.0,
    },
]
BIG = 2**62
LABELS = [7, -BIG, 7, BIG + 1, 7, -BIG, BIG]
"""Three rows with one answer, two with another, and two whose labels differ by one, which float64 would not see."""


OF_NEGATIVES = [[-1, 7], [7, -BIG], [-1, -1], [BIG, BIG + 2], [-BIG, 7], [-1, BIG + 1], [7, 7]]
"""Labels of two hard negatives a row: of its own answer, of others' and of none."""


def with_negatives(labels: Sequence[int], n_columns: int) -> list[list[int]]:
    """Return the labels of each row and of its hard negatives."""
    return [[own, *hard[: n_columns - 2]] for own, hard in zip(labels, OF_NEGATIVES, strict=True)]


def plain_loss(columns: Sequence[Tensor], labels: Sequence[int] | Sequence[list[int]], **settings: Any) -> Tensor:
    """Compute the loss row by row and pair by pair, from embeddings; labels are of rows, or of their passages."""
    scale = settings.get("scale", 20.0)
    similarity = settings.get("similarity_fct", cos_sim)
    directions = settings.get("directions", ("query_to_doc",))
    mode, strength = settings.get("hardness_mode"), settings.get("hardness_strength", 0.0)
    rows = range(len(labels))
    listed = [label if isinstance(label, list) else [label] + [-1] * (len(columns) - 2) for label in labels]
    labels = [own for own, *_ in listed]

    def right(i: int, column: int, j: int) -> bool:
        """Tell whether a hard negative answers row i."""
        return listed[j][column - 1] == labels[i] != -1

    def score(a: Tensor, b: Tensor) -> Tensor:
        return similarity(a[None], b[None])[0, 0]

    def weight(column: int, i: int, j: int) -> float:
        """Tell how strongly a negative's hardness counts."""
        in_batch = i != j and mode in ("in_batch_negatives", "all_negatives")
        own_hard = i == j and column > 1 and mode in ("hard_negatives", "all_negatives")
        return strength if in_batch or own_hard else 0.0

    losses = []
    for i in rows:
        positive = scale * score(columns[0][i], columns[1][i])
        terms: dict[str, list[Tensor]] = {direction: [] for direction in directions}
        for j in rows:
            other = i != j and labels[i] != labels[j]
            if "query_to_query" in terms and other:
                terms["query_to_query"].append(scale * score(columns[0][i], columns[0][j]))
            if "doc_to_query" in terms and (other or i == j):
                terms["doc_to_query"].append(scale * score(columns[0][j], columns[1][i]))
            for column in range(1, len(columns)):
                answer = column == 1
                raw = score(columns[0][i], columns[column][j])
                if other or i == j if answer else not right(i, column, j):
                    terms["query_to_doc"].append(scale * raw + weight(column, i, j) * raw.detach())
                if "doc_to_doc" in terms and i != j and (other if answer else not right(i, column, j)):
                    terms["doc_to_doc"].append(scale * score(columns[column][j], columns[1][i]))
        if settings.get("partition_mode", "joint") == "joint":
            total = torch.logsumexp(torch.stack([term for some in terms.values() for term in some]), 0)
        else:
            total = torch.stack([torch.logsumexp(torch.stack(some), 0) for some in terms.values()]).mean()
        losses.append(total - positive)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("n_columns", [2, 3, 4])
@pytest.mark.parametrize("listed", [False, True])
def test_with_labels_it_is_the_plain_definition(settings: dict[str, Any], n_columns: int, listed: bool) -> None:
    model = ToyEncoder(SIZE)
    columns = columns_of(len(LABELS), n_columns, SIZE, seed=1)
    labels = with_negatives(LABELS, n_columns) if listed else LABELS
    loss = HybridContrastiveLoss(model, **settings)
    value, gradient = loss_and_gradient(loss, columns, torch.tensor(labels))
    expected = plain_loss([model[0](column) for column in columns], labels, **settings)
    model.weight.grad = None
    expected.backward()
    torch.testing.assert_close(value, expected.detach(), rtol=0, atol=1e-9)
    torch.testing.assert_close(gradient, model.weight.grad, rtol=0, atol=1e-9)


@given(
    labels=st.integers(2, 4).flatmap(
        lambda n: st.lists(st.lists(st.integers(-1, 3), min_size=n - 1, max_size=n - 1), min_size=1, max_size=9)
    ),
    listed=st.booleans(),
    settings=st.sampled_from(SETTINGS),
    seed=st.integers(0, 2**32 - 1),
)
@property_test(60)
def test_any_labels_give_the_plain_definition(
    labels: list[list[int]], listed: bool, settings: dict[str, Any], seed: int
) -> None:
    columns = columns_of(len(labels), len(labels[0]) + 1, SIZE, seed)
    model = ToyEncoder(SIZE)
    embeddings = [model[0](column) for column in columns]
    given = labels if listed else [own for own, *_ in labels]
    value = HybridContrastiveLoss(model, **settings).compute_loss_from_embeddings(embeddings, torch.tensor(given))
    torch.testing.assert_close(value, plain_loss(embeddings, given, **settings), rtol=0, atol=1e-9)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("labels", [None, torch.arange(7) * 2**40 - 5])
def test_without_labels_or_with_distinct_ones_it_is_the_parent(settings: dict[str, Any], labels: Tensor | None) -> None:
    columns = columns_of(7, 3, SIZE, seed=2)
    for ours, parent in (
        (HybridContrastiveLoss, MultipleNegativesRankingLoss),
        (CachedHybridContrastiveLoss, CachedMultipleNegativesRankingLoss),
    ):
        found = loss_and_gradient(ours(ToyEncoder(SIZE), **settings), columns, labels)
        expected = loss_and_gradient(parent(ToyEncoder(SIZE), **settings), columns, None)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("mini_batch_size", [1, 3, 100])
@pytest.mark.parametrize("labels", [LABELS, with_negatives(LABELS, 4)])
def test_the_cached_loss_is_the_same(settings: dict[str, Any], mini_batch_size: int, labels: list[Any]) -> None:
    columns, labels = columns_of(len(LABELS), 4, SIZE, seed=3), torch.tensor(labels)
    cached = CachedHybridContrastiveLoss(ToyEncoder(SIZE), mini_batch_size=mini_batch_size, **settings)
    found = loss_and_gradient(cached, columns, labels)
    expected = loss_and_gradient(HybridContrastiveLoss(ToyEncoder(SIZE), **settings), columns, labels)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    with torch.no_grad():
        value = cached([{"input_ids": column} for column in columns], labels)
    torch.testing.assert_close(value, expected[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS)
def test_rows_of_one_label_have_no_gradient(settings: dict[str, Any]) -> None:
    columns = [column.requires_grad_() for column in columns_of(5, 2, SIZE, seed=4)]
    loss = HybridContrastiveLoss(ToyEncoder(SIZE), **settings)
    value = loss.compute_loss_from_embeddings(columns, torch.zeros(5, dtype=torch.int64))
    # A joint softmax counts the positive in each of these two directions.
    twice = "doc_to_query" in loss.directions and loss.partition_mode == "joint"
    assert value.item() == pytest.approx(math.log(2 if twice else 1), abs=1e-12)
    for gradient in torch.autograd.grad(value, columns):
        assert gradient.abs().max() < 1e-12


def test_an_answer_is_pushed_by_rows_of_other_labels_only() -> None:
    queries, answers = columns_of(5, 2, SIZE, seed=4)
    loss = HybridContrastiveLoss(ToyEncoder(SIZE))
    queries.requires_grad_()
    batch = loss.compute_loss_from_embeddings([queries, answers], torch.tensor([0, 0, 0, 0, 1]))
    alone = loss.compute_loss_from_embeddings([queries[[0, 4]], answers[[0, 4]]], torch.tensor([0, 1]))
    gradient, expected = (torch.autograd.grad(value, queries)[0][0] for value in (batch * 5, alone * 2))
    assert expected.abs().max() > 0
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


def test_a_batch_of_one_row() -> None:
    columns, labels = columns_of(1, 2, SIZE, seed=5), torch.tensor([3])
    for loss in (HybridContrastiveLoss(ToyEncoder(SIZE)), CachedHybridContrastiveLoss(ToyEncoder(SIZE))):
        value, gradient = loss_and_gradient(loss, columns, labels)
        assert value == 0
        assert gradient.count_nonzero() == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_batch_of_thousands_of_rows_in_any_type(dtype: torch.dtype) -> None:
    """Numbers of rows stay exact where the embeddings' type cannot count so far."""
    n_rows = 5000
    labels = torch.arange(n_rows) // 2
    seen = []

    def similarity(a: Tensor, b: Tensor) -> Tensor:
        seen.append((a.shape[1], a.dtype))
        return torch.zeros(len(a), len(b), dtype=a.dtype)

    loss = HybridContrastiveLoss(ToyEncoder(SIZE), similarity_fct=similarity)
    columns = [column.to(dtype) for column in columns_of(n_rows, 2, SIZE, seed=6, dtype=torch.float32)]
    value = loss.compute_loss_from_embeddings(columns, labels)
    assert seen == [(SIZE, dtype)]
    assert value.item() == pytest.approx(math.log(n_rows - 1), rel=1e-2 if dtype is torch.bfloat16 else 1e-3)


@pytest.mark.parametrize("loss_class", [HybridContrastiveLoss, CachedHybridContrastiveLoss])
def test_in_bfloat16_autocast(loss_class: type[nn.Module]) -> None:
    model = ToyEncoder(SIZE, dtype=torch.float32)
    columns = columns_of(len(LABELS), 3, SIZE, seed=7, dtype=torch.float32)
    labels = torch.tensor(LABELS)
    exact, exact_gradient = loss_and_gradient(loss_class(model, scale=1.0), columns, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, gradient = loss_and_gradient(loss_class(model, scale=1.0), columns, labels)
    torch.testing.assert_close(value.float(), exact, rtol=0, atol=0.03)
    torch.testing.assert_close(gradient, exact_gradient, rtol=0, atol=0.03)


@pytest.mark.parametrize("loss_class", [HybridContrastiveLoss, CachedHybridContrastiveLoss])
def test_within_a_matryoshka_loss(loss_class: type[nn.Module]) -> None:
    columns, labels = columns_of(len(LABELS), 2, SIZE, seed=8), torch.tensor(LABELS)
    model = ToyEncoder(SIZE)
    found = loss_and_gradient(MatryoshkaLoss(model, loss_class(model), [SIZE, 2], [1.0, 0.5]), columns, labels)
    embeddings = [nn.functional.normalize(model[0](column)) for column in columns]
    expected = sum(
        weight * plain_loss([column[:, :size] for column in embeddings], LABELS)
        for size, weight in ((SIZE, 1.0), (2, 0.5))
    )
    model.weight.grad = None
    expected.backward()
    torch.testing.assert_close(found, (expected.detach(), model.weight.grad), rtol=0, atol=1e-6)


class Cosine(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return cos_sim(a, b)


@pytest.mark.parametrize("similarity", [cos_sim, dot_score, Cosine()])
@pytest.mark.parametrize("loss_class", [HybridContrastiveLoss, CachedHybridContrastiveLoss])
def test_the_user_s_similarity_function_is_put_back(loss_class: type[nn.Module], similarity: Any) -> None:
    loss = loss_class(ToyEncoder(SIZE), similarity_fct=similarity)
    name = loss.get_config_dict()["similarity_fct"]
    columns, labels = columns_of(len(LABELS), 2, SIZE, seed=9), torch.tensor(LABELS)
    value, _ = loss_and_gradient(loss, columns, labels)
    assert loss.similarity_fct is similarity
    assert loss.get_config_dict()["similarity_fct"] == name
    if similarity is not dot_score:
        assert value == loss_and_gradient(HybridContrastiveLoss(ToyEncoder(SIZE)), columns, labels)[0]


@pytest.mark.parametrize("loss_class", [HybridContrastiveLoss, CachedHybridContrastiveLoss])
def test_it_is_put_back_after_an_error(loss_class: type[nn.Module]) -> None:
    def fails(a: Tensor, b: Tensor) -> Tensor:
        raise ZeroDivisionError

    loss = loss_class(ToyEncoder(SIZE), similarity_fct=fails)
    with pytest.raises(ZeroDivisionError):
        loss_and_gradient(loss, columns_of(2, 2, SIZE, seed=0), torch.tensor([0, 1]))
    assert loss.similarity_fct is fails


@pytest.mark.parametrize("labels", [torch.tensor([0.5, 1.0]), torch.tensor([True, False]), torch.ones(2, 3).int()])
@pytest.mark.parametrize("loss_class", [HybridContrastiveLoss, CachedHybridContrastiveLoss])
def test_labels_that_are_not_an_integer_a_row_are_refused(loss_class: type[nn.Module], labels: Tensor) -> None:
    loss = loss_class(ToyEncoder(SIZE))
    with pytest.raises(DataError, match="labels name the answer of each row by an integer, but 2 rows") as error:
        loss_and_gradient(loss, columns_of(2, 2, SIZE, seed=0), labels)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32])
def test_integers_of_any_type_are_labels(dtype: torch.dtype) -> None:
    columns = columns_of(3, 2, SIZE, seed=10)
    loss = HybridContrastiveLoss(ToyEncoder(SIZE))
    labels = torch.tensor([1, 0, 1])
    found = loss_and_gradient(loss, columns, labels.to(dtype))
    torch.testing.assert_close(found, loss_and_gradient(loss, columns, labels), rtol=0, atol=0)


def test_the_citation_names_the_recipe_and_the_loss_beneath() -> None:
    for loss, beneath in (
        (HybridContrastiveLoss(ToyEncoder(SIZE)), "1807.03748"),
        (CachedHybridContrastiveLoss(ToyEncoder(SIZE)), "2101.06983"),
    ):
        assert "2408.10536" in loss.citation
        assert beneath in loss.citation
