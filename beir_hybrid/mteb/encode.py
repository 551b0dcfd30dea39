"""Encoding through MTEB's encoder protocol, each text once, and the checks on what comes back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset
from mteb._create_dataloaders import create_dataloader

from beir_hybrid.errors import ModelError
from beir_hybrid.scoring.matrices import is_sparse, nonzero_rows, not_finite_rows, widened
from beir_hybrid.subsets import Subset

if TYPE_CHECKING:
    from mteb import EncoderProtocol, TaskMetadata
    from mteb.types import EncodeKwargs, PromptType

logger = logging.getLogger("mteb.beir_hybrid")


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
        What the encoder returned: a matrix of n rows, small numbers as float32.

    Raises:
        ModelError: The number of rows is wrong, or a row is not finite.
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
        hf_subset=str(Subset(language, language)),
        prompt_type=prompt_type,
        **encode_kwargs,
    )
    kind = "questions" if prompt_type == "query" else "passages"
    check_embeddings(embeddings, texts["id"], f"{model.mteb_model_meta.name}: the {language} {kind}")
    return on_device(widened(embeddings))


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


def on_device(embeddings: Any) -> Any:
    """Move a dense matrix to the GPU where there is one; everything else stays as the encoder returned it."""
    if not torch.cuda.is_available() or is_sparse(embeddings):
        return embeddings
    return torch.as_tensor(embeddings).to("cuda")
