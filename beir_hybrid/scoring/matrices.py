"""Matrices of embeddings as encoders return them: numpy or torch, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
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


def widened(embeddings: Any) -> Any:
    """Return a matrix of numbers of one or two bytes as float32, any other as it is.

    A product of 8-bit integers does not fit into 8 bits, and half precision makes ties of near scores.
    """
    if isinstance(embeddings, torch.Tensor):
        return embeddings.float() if embeddings.element_size() < 4 else embeddings
    small = isinstance(embeddings, np.ndarray) and embeddings.dtype.kind in "biuf" and embeddings.dtype.itemsize < 4
    return embeddings.astype(np.float32) if small else embeddings


def not_finite_rows(matrix: torch.Tensor) -> NDArray[np.bool_]:
    """Return which rows hold a NaN or an infinite value, shape (n,)."""
    return _rows_with_any(matrix, lambda values: ~torch.isfinite(values))


def nonzero_rows(matrix: torch.Tensor) -> NDArray[np.bool_]:
    """Return which rows hold anything but zeros, shape (n,)."""
    return _rows_with_any(matrix, lambda values: values != 0)


def _rows_with_any(matrix: torch.Tensor, test: Callable[[torch.Tensor], torch.Tensor]) -> NDArray[np.bool_]:
    if not matrix.is_sparse:
        return test(matrix).any(dim=1).cpu().numpy()
    matrix = matrix.coalesce()
    rows = torch.zeros(matrix.shape[0], dtype=torch.bool, device=matrix.device)
    rows[matrix.indices()[0][test(matrix.values())]] = True
    return rows.cpu().numpy()
