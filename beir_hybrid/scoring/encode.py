"""Encoding through MTEB's encoder protocol, each text once, and the checks on what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset
from mteb._create_dataloaders import create_dataloader

from beir_hybrid.errors import ModelError
from beir_hybrid.scoring.matrices import is_sparse

if TYPE_CHECKING:
    from mteb import EncoderProtocol, TaskMetadata
    from mteb.types import EncodeKwargs, PromptType


def encode_texts(
    model: EncoderProtocol,
    texts: Dataset,
    *,
    task_metadata: TaskMetadata,
    prompt_type: PromptType,
    language: str,
    hf_split: str,
    encode_kwargs: EncodeKwargs,
    num_proc: int | None = None,
) -> Any:
    """Encode the texts of one language, prompts and all, as MTEB's own retrieval tasks do.

    Args:
        model: The encoder.
        texts: Columns ``id`` and ``text``, n rows.
        task_metadata: Metadata of the task, from which encoders choose their prompt.
        prompt_type: Query or document.
        language: ISO 639-1 code of the texts; the encoder is told the monolingual subset ``xx-xx``.
        hf_split: Split, e.g. ``test``.
        encode_kwargs: Batch size and the like, passed on.
        num_proc: Processes for the data loader.

    Returns:
        What the encoder returned: a matrix of n rows.

    Raises:
        ModelError: The number of rows is wrong, or a row is not finite or all zeros.
    """
    loader = create_dataloader(
        texts,
        task_metadata=task_metadata,
        prompt_type=prompt_type,
        batch_size=encode_kwargs.get("batch_size", 32),
        num_proc=num_proc,
    )
    embeddings = model.encode(
        loader,
        task_metadata=task_metadata,
        hf_split=hf_split,
        hf_subset=f"{language}-{language}",
        prompt_type=prompt_type,
        **encode_kwargs,
    )
    kind = "questions" if prompt_type == "query" else "passages"
    check_embeddings(embeddings, texts["id"], f"{model.mteb_model_meta.name}: the {language} {kind}")
    return on_device(embeddings)


def check_embeddings(embeddings: Any, ids: Sequence[str], what: str) -> None:
    """Make sure that embeddings can be ranked by.

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
    for start in range(0, len(ids), 1024):  # a copy of a large matrix would double the memory
        try:
            size = _row_sizes(embeddings[start : start + 1024] if not is_sparse(embeddings) else embeddings)
        except (TypeError, ValueError) as error:
            found = f"a {type(embeddings).__name__} of {getattr(embeddings, 'dtype', 'unknown type')}"
            raise ModelError(f"{what} cannot be ranked: torch cannot read {found}; check the model") from error
        bad = np.flatnonzero(~np.isfinite(size) | (size == 0))
        if len(bad):
            row = start + int(bad[0])
            fault = "all zeros" if size[bad[0]] == 0 else "not finite (NaN or infinite)"
            raise ModelError(
                f"{what} cannot be ranked: the embedding in row {row} ({ids[row]}) is {fault}; check the model"
            )
        if is_sparse(embeddings):
            return


def _row_sizes(embeddings: Any) -> np.ndarray:
    """Sum of the absolute values of each row: zero or not finite exactly where a row has nothing or too much."""
    rows = torch.as_tensor(embeddings).detach().to(torch.float64)
    size = rows.abs().sum(1)
    return (size.to_dense() if size.is_sparse else size).cpu().numpy()


def on_device(embeddings: Any) -> Any:
    """Move a dense matrix to the GPU where there is one; everything else stays as the encoder returned it."""
    if not torch.cuda.is_available() or is_sparse(embeddings):
        return embeddings
    return torch.as_tensor(embeddings).to("cuda")
