"""Models for the tests: small encoders that MTEB can run and that say what they were asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ScoringFunction
from numpy.typing import NDArray


def meta_of(name: str, revision: str = "1", **fields: Any) -> ModelMeta:
    """Make the metadata of a test model."""
    return ModelMeta.create_empty({"name": f"tests/{name}", "revision": revision, **fields})


def vector_of(text: str, size: int = 16) -> NDArray[np.float32]:
    """Give a text a random unit vector of its own."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    return vector / np.linalg.norm(vector)


class CountingEncoder(AbsEncoder):
    """Looks vectors up by text and keeps a list of all texts it was given.

    Args:
        vector: Text -> vector; random unit vectors by default.
        spoil: Changes the embeddings of a call: (embeddings, prompt type, subset) -> embeddings.
    """

    def __init__(
        self,
        vector: Callable[[str], NDArray[np.float32]] = vector_of,
        spoil: Callable[..., Any] = lambda embeddings, **_: embeddings,
        name: str = "counting",
    ) -> None:
        self.vector = vector
        self.spoil = spoil
        self.mteb_model_meta = meta_of(name, similarity_fn_name=ScoringFunction.COSINE)
        self.texts: list[tuple[str, str]] = []

    def encode(self, inputs: Any, *, hf_subset: str, prompt_type: Any = None, **kwargs: Any) -> Any:
        """Return a row for each text."""
        texts = [text for batch in inputs for text in batch["text"]]
        self.texts += [(str(prompt_type), text) for text in texts]
        embeddings = np.stack([self.vector(text) for text in texts])
        return self.spoil(embeddings, prompt_type=prompt_type, hf_subset=hf_subset)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return the cosine similarity."""
        from sentence_transformers.util import cos_sim

        return cos_sim(embeddings1, embeddings2)


class WordSearch:
    """A lexical search that is no encoder: counts shared words, and fills up with passages that share none.

    Args:
        fields: Fields of its metadata, e.g. ``model_type``.
    """

    def __init__(self, name: str = "words", **fields: Any) -> None:
        self.mteb_model_meta = meta_of(name, **fields)
        self.passages: dict[str, set[str]] = {}

    def index(self, corpus: Any, **kwargs: Any) -> None:
        """Keep the words of each passage."""
        self.passages = {passage["id"]: set(passage["text"].split()) for passage in corpus}

    def search(self, queries: Any, *, top_k: int, **kwargs: Any) -> dict[str, dict[str, float]]:
        """Return the passages with the most words of the query, whatever comes after those."""
        results = {}
        for query in queries:
            words = set(query["text"].split())
            scores = {name: float(len(words & of_passage)) for name, of_passage in self.passages.items()}
            results[query["id"]] = dict(sorted(scores.items(), key=lambda item: -item[1])[:top_k])
        return results
