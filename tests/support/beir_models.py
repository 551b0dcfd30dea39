"""One small encoder in BEIR's interface and in MTEB's."""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import numpy as np
import torch
from mteb.models.model_meta import ScoringFunction
from numpy.typing import NDArray

from tests.support.mteb_models import CountingEncoder, meta_of

SIZE, LARGEST = 128, 300
"""Dot products of such vectors of whole numbers are exact in single precision, in whatever order they are summed."""


@cache
def _word_vector(word: str) -> NDArray[np.int64]:
    return np.random.default_rng(zlib.crc32(word.encode())).integers(-20, 21, SIZE)


@cache
def words_vector(text: str) -> NDArray[np.float32]:
    """Add up random vectors of a text's words: whole numbers, so that scores do not depend on the arithmetic."""
    total = sum((_word_vector(word) for word in text.lower().split()), np.zeros(SIZE, dtype=np.int64))
    return np.clip(total, -LARGEST, LARGEST).astype(np.float32)


class WordsForBeir:
    """The encoder in BEIR's interface; ``score_function="dot"`` gives the scores of ``WordsForMteb``."""

    def encode_queries(self, queries: list[str], **kwargs: Any) -> NDArray[np.float32]:
        return np.stack([words_vector(text) for text in queries])

    def encode_corpus(self, corpus: list[dict[str, str]], **kwargs: Any) -> NDArray[np.float32]:
        return np.stack([words_vector((entry["title"] + " " + entry["text"]).strip()) for entry in corpus])


class WordsForMteb(CountingEncoder):
    """The encoder in MTEB's interface."""

    def __init__(self) -> None:
        super().__init__(lambda text: words_vector(text.strip()))
        self.mteb_model_meta = meta_of("words", similarity_fn_name=ScoringFunction.DOT_PRODUCT)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        return torch.as_tensor(embeddings1) @ torch.as_tensor(embeddings2).T
