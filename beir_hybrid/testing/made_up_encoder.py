"""An encoder that costs nothing: every text has a direction of its own."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
import torch
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ScoringFunction

_SIZE = 32


class MadeUpEncoder(AbsEncoder):
    """Embeds a text as the sum of random directions of its words, drawn by their letters."""

    def __init__(self) -> None:
        self.mteb_model_meta = ModelMeta.create_empty(
            {"name": "beir-hybrid/made-up", "revision": "1", "similarity_fn_name": ScoringFunction.COSINE}
        )
        self._directions: dict[str, np.ndarray] = {}

    def encode(self, inputs: Any, **kwargs: Any) -> Any:
        """Return the embeddings of all texts of a data loader, shape (texts, 32), float32."""
        return np.stack([self._embed(text) for batch in inputs for text in batch["text"]]).astype(np.float32)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return the cosine similarity."""
        from sentence_transformers.util import cos_sim

        return cos_sim(embeddings1, embeddings2)

    def _embed(self, text: str) -> np.ndarray:
        return np.sum([self._direction(word) for word in text.split() or [""]], axis=0)

    def _direction(self, word: str) -> np.ndarray:
        if word not in self._directions:
            seed = int.from_bytes(sha256(word.encode()).digest()[:8], "big")
            self._directions[word] = np.random.default_rng(seed).normal(size=_SIZE)
        return self._directions[word]
