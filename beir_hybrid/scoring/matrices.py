"""Matrices of embeddings as encoders return them, numpy or torch, dense or sparse, and the checks on them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from beir_hybrid.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("mteb.beir_hybrid")


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


def check_embeddings(embeddings: Any, ids: Sequence[str], what: str) -> None:
    """Make sure that embeddings can be ranked by, and warn of those that say nothing.

    A text of which a model knows no word has an embedding of zeros. It is similar to nothing, as in MTEB: its score is
    0. How many there are is said in one line.

    Args:
        embeddings: Matrix of len(ids) rows, numpy or torch, dense or sparse.
        ids: Ids of the embedded texts, for the message.
        what: Model, language and kind of the texts, for the message.

    Raises:
        ModelError: One line that names the language and the row.
    """
    shape = getattr(embeddings, "shape", None)
    if shape is None or len(shape) != 2:
        found = f"an array of shape {tuple(shape)}" if shape is not None else f"a {type(embeddings).__name__}"
        raise ModelError(f"{what} should give a matrix with a row a text, but the model returned {found}")
    if shape[0] != len(ids):
        raise ModelError(f"{what} are {len(ids)} texts, but the model returned {shape[0]} embeddings")
    if shape[1] == 0:
        raise ModelError(f"{what} cannot be ranked: the embeddings have no dimensions; check the model")
    empty = [_check_rows(rows, first, ids, what) for first, rows in _row_blocks(embeddings)]
    zeros = np.concatenate([np.empty(0, np.int64), *empty])
    if len(zeros):
        logger.warning(
            f"{what}: {len(zeros)} of {len(ids)} embeddings are all zeros, the first that of {ids[zeros[0]]}; the "
            "model knows no word of these texts, and they score 0 with everything"
        )


def _row_blocks(embeddings: Any) -> list[tuple[int, Any]]:
    """Cut a matrix into some thousand rows at a time: a converted copy of all would double the memory."""
    if is_sparse(embeddings):
        return [(0, embeddings)]
    step = 1024
    return [(first, embeddings[first : first + step]) for first in range(0, embeddings.shape[0], step)]


def _check_rows(rows: Any, first: int, ids: Sequence[str], what: str) -> np.ndarray:
    """Refuse rows that are not finite, and return the numbers of those that are all zeros."""
    try:
        tensor = widened(torch.as_tensor(rows).detach())
    except (TypeError, ValueError) as error:
        found = f"a {type(rows).__name__} of {getattr(rows, 'dtype', 'unknown type')}"
        raise ModelError(f"{what} cannot be ranked: torch cannot read {found}; check the model") from error
    bad = np.flatnonzero(not_finite_rows(tensor))
    if len(bad):
        row = first + int(bad[0])
        raise ModelError(
            f"{what} cannot be ranked: the embedding in row {row} ({ids[row]}) is not finite (NaN or infinite); "
            "check the model"
        )
    return first + np.flatnonzero(~nonzero_rows(tensor))


def on_device(embeddings: Any, device: torch.device | None = None) -> Any:
    """Put a matrix where its model computes, in single precision; on the CPU it stays as the encoder returned it.

    Args:
        embeddings: Matrix, numpy or torch, dense or sparse. One that is on a GPU stays there.
        device: Of the model; None where that is not known: then dense matrices go to the GPU, if there is one.
    """
    if isinstance(embeddings, torch.Tensor) and embeddings.device.type != "cpu":
        device = embeddings.device
    elif device is None and torch.cuda.is_available() and not is_sparse(embeddings):
        device = torch.device("cuda")
    if device is None or device.type == "cpu":
        return embeddings
    return torch.as_tensor(embeddings).to(device, torch.float32)  # not all devices have float64
