"""A Sentence Transformer of a few hundred weights, made from nothing, that trains in no time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

WORDS = tuple("ar de el en es hi ru th tr vi zh sentence question only q0 q1 q2 q3 q4 q5 q6 q7 0 1 2 3 4 5 6 7".split())


def tiny_model(
    seed: int = 0, prompts: dict[str, str] | None = None, words: Sequence[str] = WORDS, dimensions: int = 12
) -> SentenceTransformer:
    """Make a model that averages the random vectors of the words of a text.

    Args:
        seed: Of the vectors.
        prompts: Name of the prompt -> text, as a SentenceTransformer takes them.
        words: The words that it knows.
        dimensions: Of the vectors.
    """
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = torch.randn(len(vocabulary), dimensions, generator=torch.Generator().manual_seed(seed))
    module = StaticEmbedding(tokenizer, embedding_weights=weights.numpy())
    return SentenceTransformer(modules=[module], prompts=prompts, device="cpu")
