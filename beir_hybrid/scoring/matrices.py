"""Matrices of embeddings as encoders return them: numpy or torch, dense or sparse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def is_sparse(embeddings: Any) -> bool:
    """Whether embeddings are a sparse tensor, which can be neither sliced nor handed to numpy."""
    return isinstance(embeddings, torch.Tensor) and embeddings.is_sparse


def select_rows(embeddings: Any, rows: slice | NDArray[np.int64]) -> Any:
    """Return some rows of a matrix of embeddings."""
    if not is_sparse(embeddings):
        return embeddings[rows]
    numbers = torch.arange(embeddings.shape[0])[rows].to(embeddings.device)
    return embeddings.index_select(0, numbers)
