"""A linear head on a frozen encoder: trained on stored embeddings, saved with the encoder as one ordinary model.

The encoder does not change, so each text is embedded once (embedding_cache.py), and a training step is a product of
small matrices. The head is a matrix that starts as the identity or as another one (start.py); its outputs are
normalised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule, Router
from sentence_transformers.sentence_transformer.modules import Dense, Normalize
from torch import Tensor, nn

from beir_hybrid.errors import ModelError
from beir_hybrid.finetune.embedding_cache import EmbeddingCache, Encode, cache_folder
from beir_hybrid.models.base import model_like, text_limit

if TYPE_CHECKING:
    from numpy.typing import NDArray


class StoredEmbeddings(InputModule):
    """Stands where a frozen encoder stands, and looks its embeddings up; unknown texts are embedded and stored first.

    Args:
        caches: Prompt -> where the embeddings of texts with that prompt are kept.
        dimensions: Size of an embedding.
    """

    save_in_root = False
    config_keys = ["dimensions"]  # noqa: RUF012 (as Sentence Transformers declares it)

    def __init__(self, caches: Mapping[str, EmbeddingCache] | None = None, dimensions: int = 0) -> None:
        super().__init__()
        self.dimensions = dimensions
        self._caches = caches or {}
        self._rows: dict[str, dict[str, int]] = {prompt: {} for prompt in self._caches}
        self._embeddings = {prompt: torch.empty(0, dimensions) for prompt in self._caches}

    def remember(self, prompt: str, texts: Iterable[str]) -> None:
        """Keep the embeddings of texts with a prompt in memory; those that were never embedded are embedded first."""
        rows = self._rows[prompt]
        new = sorted(set(texts).difference(rows))
        if not new:
            return
        self._caches[prompt].fill(new, progress=False)
        embeddings = torch.from_numpy(self._caches[prompt].read(new))
        rows.update((text, number) for number, text in enumerate(new, len(rows)))
        self._embeddings[prompt] = torch.cat([self._embeddings[prompt], embeddings])

    def preprocess(  # type: ignore[override]
        self, inputs: Sequence[str], prompt: str | None = None, **_: Any
    ) -> dict[str, Tensor]:
        """Look texts with a prompt up: ``sentence_embedding``, shape (texts, dimensions)."""
        self.remember(prompt or "", inputs)
        rows = self._rows[prompt or ""]
        return {"sentence_embedding": self._embeddings[prompt or ""][[rows[text] for text in inputs]]}

    def forward(self, features: dict[str, Tensor], **_: Any) -> dict[str, Tensor]:
        """Return the features as they are."""
        return features

    def get_embedding_dimension(self) -> int:
        """Return the size of an embedding."""
        return self.dimensions

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Save the settings. The embeddings are in their cache."""
        self.save_config(output_path)


def head_model(encoder: SentenceTransformer, revision: str) -> SentenceTransformer:
    """Return a model whose head is trained: stored embeddings, a matrix that starts as the identity, normalisation.

    Args:
        encoder: The frozen encoder.
        revision: What names its content and no other.

    Raises:
        ModelError: The encoder embeds questions and answers by different routes, or does not know its dimensions.
    """
    if any(isinstance(module, Router) for module in encoder.modules()):
        raise ModelError(
            "the base has different encoders for questions and answers (Router), and a head stands behind one: "
            "train it with --tune full"
        )
    dimensions = encoder.get_embedding_dimension()
    if dimensions is None:
        raise ModelError("the base does not say how many dimensions its embeddings have")
    caches = {
        prompt: EmbeddingCache(cache_folder(revision, prompt, text_limit(encoder)), encode_with(encoder, prompt))
        for prompt in {"", *_prompts(encoder).values()}
    }
    options: dict[str, Any] = {
        "bias": False,
        "activation_function": nn.Identity(),
        "init_weight": torch.eye(dimensions),
    }
    dense = Dense(dimensions, dimensions, **options)
    return model_like(encoder, [StoredEmbeddings(caches, dimensions), dense, Normalize()])


def matrix_of(model: SentenceTransformer) -> NDArray[np.float32]:
    """Return a copy of the matrix of what `head_model` returned, shape (dimensions, dimensions)."""
    copy: NDArray[np.float32] = _matrix(model).detach().cpu().numpy().copy()
    return copy


def set_matrix(model: SentenceTransformer, matrix: NDArray[np.float32]) -> None:
    """Make a matrix, shape (dimensions, dimensions), that of what `head_model` returned."""
    with torch.no_grad():
        _matrix(model).copy_(torch.from_numpy(np.ascontiguousarray(matrix)))


def fill_embeddings(model: SentenceTransformer, prompt: str, texts: Iterable[str], progress: bool = True) -> None:
    """Embed texts with a prompt, together with the other processes of a distributed run, and keep them in memory.

    ``model`` is what `head_model` returned; the texts are the same in every process.
    """
    from accelerate import PartialState  # type: ignore[import-untyped]

    stored = cast(StoredEmbeddings, model[0])
    state, distinct = PartialState(), sorted(set(texts))
    share = (state.process_index, state.num_processes)
    stored._caches[prompt].fill(distinct, progress and state.is_main_process, share)
    state.wait_for_everyone()
    stored.remember(prompt, distinct)


def stored_embeddings(
    model: SentenceTransformer, prompt: str, texts: Mapping[str, Sequence[str]]
) -> dict[str, NDArray[np.float32]]:
    """Return language -> the encoder's embeddings of its texts with a prompt, without the head.

    ``model`` is what `head_model` returned; texts that were never embedded are embedded first.
    """
    stored = cast(StoredEmbeddings, model[0])
    stored.remember(prompt, chain.from_iterable(texts.values()))
    return {language: stored.preprocess(part, prompt)["sentence_embedding"].numpy() for language, part in texts.items()}


def with_head(encoder: SentenceTransformer, trained: SentenceTransformer) -> SentenceTransformer:
    """Return an ordinary model, with the encoder's prompts: the encoder, and behind it what `head_model` trained.

    What the encoder ends with, a normalisation too, stays: the head was trained on its output.
    """
    _, dense, normalize = trained
    return model_like(encoder, [*encoder, dense, normalize], trained.model_card_data)


def _matrix(model: SentenceTransformer) -> Tensor:
    return cast(Dense, model[1]).linear.weight


def _prompts(encoder: SentenceTransformer) -> dict[str, str]:
    return {name: prompt or "" for name, prompt in encoder.prompts.items()}


def encode_with(encoder: SentenceTransformer, prompt: str) -> Encode:
    """Return how an encoder embeds texts with a prompt for an `EmbeddingCache`."""

    def encode(texts: list[str]) -> NDArray[np.float32]:
        embeddings = encoder.encode(texts, prompt=prompt, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(embeddings, np.float32)

    return encode
