"""A linear encoder for the tests of the losses: embeddings are set freely, gradients are easy to look at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ToyEncoder(nn.Sequential):
    """Multiplies given vectors with a matrix; what a loss sees of a SentenceTransformer, and no more.

    Args:
        size: Size of the vectors and of the embeddings.
        seed: Of the matrix.
        dtype: Of the matrix.
    """

    def __init__(self, size: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> None:
        layer = nn.Linear(size, size, bias=False, dtype=dtype)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(size, size, generator=torch.Generator().manual_seed(seed)))
        super().__init__(layer)

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": self[0](features["input_ids"])}

    def get_embedding_dimension(self) -> int:
        return self[0].out_features

    @property
    def weight(self) -> nn.Parameter:
        return self[0].weight


def columns_of(n_rows: int, n_columns: int, size: int, seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Draw the vectors of a batch: anchors, positives and hard negatives, each of shape (n_rows, size)."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n_rows, size, generator=generator, dtype=dtype) for _ in range(n_columns)]


def loss_and_gradient(loss: nn.Module, columns: Sequence[Tensor], labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Compute a loss and the gradient of the encoder's matrix."""
    loss.model.weight.grad = None
    value = loss([{"input_ids": column} for column in columns], labels)
    value.backward()
    return value.detach(), loss.model.weight.grad.clone()
