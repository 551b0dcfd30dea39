"""Texts and vectors for the programs: 200 passages, 30 questions, an encoder without weights."""

from __future__ import annotations

import random
import zlib

import numpy as np

WORDS = [f"{first}{second}" for first in ("ba", "de", "ki", "lo", "mu", "ra", "so", "ti") for second in "aeioumnrst"]
PASSAGES, QUESTIONS, LENGTH = 200, 30, 24


def texts() -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, int]]]:
    """Return passages and questions by id, and the judgments: two passages a question, of grades 2 and 1.

    A question is six words of its first passage and three of its second.
    """
    chance = random.Random(1)
    passages = {f"p{n}": " ".join(chance.choices(WORDS, k=LENGTH)) for n in range(PASSAGES)}
    questions, judgments = {}, {}
    for n in range(QUESTIONS):
        first, second = chance.sample(sorted(passages), 2)
        words = chance.sample(passages[first].split(), 6) + chance.sample(passages[second].split(), 3)
        questions[f"q{n}"] = " ".join(words)
        judgments[f"q{n}"] = {first: 2, second: 1}
    return passages, questions, judgments


def vectors(sentences: list[str]) -> np.ndarray:
    """Return a vector a text, the sum of one for each of its words: float32, shape (texts, 32)."""
    rows = [
        sum(np.random.default_rng(zlib.crc32(word.encode())).normal(size=32) for word in sentence.split())
        for sentence in sentences
    ]
    return np.array(rows, dtype=np.float32)
