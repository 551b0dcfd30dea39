"""The figures of held-out sentences against loops over sentences and languages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.debias.before_after import held_out_figures, translation_figures


def dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one @ other.T


def brute_force(embeddings: dict[str, np.ndarray]) -> dict[str, float]:
    precisions, reciprocal, last = [], [], []
    texts = [(language, row) for language, part in embeddings.items() for row in range(len(part))]
    for language, row in texts:
        query = embeddings[language][row]
        scores = {text: float(query @ embeddings[text[0]][text[1]]) for text in texts if text != (language, row)}
        answers = [text for text in scores if text[1] == row]
        ranks = sorted(sum(scores[text] >= scores[answer] for text in scores) for answer in answers)
        precisions.append(np.mean([number / rank for number, rank in enumerate(ranks, 1)]))
        last.append(ranks[-1])
        for answer in answers:
            pool = [text for text in scores if text[0] == answer[0]]
            reciprocal.append(1 / sum(scores[text] >= scores[answer] for text in pool))
    return {
        "map_in_pool": np.mean(precisions),
        "map_cross_lingual": np.mean(reciprocal),
        "last_answer_rank": np.mean(last),
    }


@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(1, 6), st.booleans())
def test_translations_against_brute_force(seed: int, languages: int, rows: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    shape = (rows, 3)
    draw = (lambda: random.integers(-1, 2, shape).astype(float)) if ties else (lambda: random.normal(size=shape))
    embeddings = {f"l{number}": draw() for number in range(languages)}
    assert translation_figures(embeddings, dot) == pytest.approx(brute_force(embeddings))


def test_a_map_that_makes_everything_equal_finds_nothing() -> None:
    same = {language: np.ones((10, 2)) for language in ("de", "en", "th")}
    figures = held_out_figures(same, same, dot, parallel=True)
    assert figures["last_answer_rank"] == 29  # of 29 others
    assert figures["language_accuracy"] == pytest.approx(1 / 3)


def test_without_parallel_rows_only_the_language_is_read_off() -> None:
    fitted = {"de": np.array([[0.0, 0], [0, 2]]), "en": np.array([[4.0, 1]])}
    held_out = {"de": np.array([[1.9, 1], [2.1, 1]]), "en": np.array([[3.0, 5], [9, 0]])}
    assert held_out_figures(fitted, held_out, dot, parallel=False) == {"language_accuracy": 0.75}
