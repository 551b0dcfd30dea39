"""The private names of mteb that evaluations use; those of its registries are in `registration`.

mteb has no interface for what they do. No other package of ours uses one, and tests/mteb/test_private.py fails when one
moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from mteb._create_dataloaders import create_dataloader
from mteb.models import sentence_transformer_wrapper

if TYPE_CHECKING:
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.types import ScoresDict

__all__ = ["add_main_score", "create_dataloader", "kept_on_gpu", "models_from", "top_k"]


def top_k(task: AbsTaskRetrieval) -> int:
    """Return how many passages a search is asked for."""
    return task._top_k


def add_main_score(task: AbsTaskRetrieval, scores: ScoresDict) -> None:
    """Enter the main score among the scores of a subset, under MTEB's key."""
    task._add_main_score(scores)


@contextmanager
def models_from(load: Callable[[str, str | None], Any]) -> Iterator[None]:
    """Let MTEB's command line take its model from somewhere else during the block.

    Args:
        load: Gives the model of a name and a revision.
    """

    def get_model(name: str, revision: str | None = None, **kwargs: Any) -> Any:
        return load(name, revision)

    with patch("mteb.get_model", get_model):
        yield


@contextmanager
def kept_on_gpu(model: Any, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Have MTEB's wrapper of Sentence Transformers leave embeddings on the GPU that they were computed on.

    The wrapper copies every batch to the CPU. Models on the CPU, and all others, are asked as ever.

    Args:
        model: A model as MTEB evaluates it.
        options: What its ``encode`` is called with.

    Yields:
        What to call it with in the block.
    """
    wrapper, chosen = sentence_transformer_wrapper, ("convert_to_numpy", "convert_to_tensor", "device", "pool")
    if (
        getattr(type(model), "encode", None) is not wrapper.SentenceTransformerEncoderWrapper.encode
        or model.model.device.type == "cpu"
        or options.get("precision") not in (None, "float32")  # made on the CPU
        or any(name in options for name in chosen)
    ):
        yield dict(options)
        return
    copies = wrapper._postprocess_dense_embeddings
    wrapper._postprocess_dense_embeddings = lambda embeddings: embeddings
    try:
        yield {**options, "convert_to_tensor": True}
    finally:
        wrapper._postprocess_dense_embeddings = copies
