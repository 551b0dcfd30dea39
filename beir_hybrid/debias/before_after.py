"""What a map does to sentences it was not fitted on: translations are looked for, and the language is read off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beir_hybrid.debias.maps import Embeddings, nearest_language
from beir_hybrid.scoring.retrieval_scores import query_metrics

Similarity = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
"""Scores of a model: (n, d), (m, d) -> (n, m)."""

LABELS = {
    "map_in_pool": "translations in the pool of all languages, mAP",
    "map_cross_lingual": "translation in another language, mAP",
    "last_answer_rank": "rank of the last translation in the pool",
    "language_accuracy": "language read off the embedding, share right",
}
"""Name of a figure -> what a table calls it."""


def held_out_figures(
    fitted: Embeddings, held_out: Embeddings, similarity: Similarity, parallel: bool
) -> dict[str, float]:
    """Compute the figures of embeddings, before or after a map.

    Args:
        fitted: Language -> embeddings of the sentences that the map was fitted on, shape (n, d).
        held_out: Language -> embeddings of other sentences; where they are parallel, row i is the same sentence.
        similarity: The model's.
        parallel: Whether translations can be looked for.

    Returns:
        Key of `LABELS` -> figure; those of translations only where there are any.
    """
    figures = translation_figures(held_out, similarity) if parallel else {}
    means = {language: part.mean(axis=0) for language, part in fitted.items()}
    right = [np.array(nearest_language(part, means)) == language for language, part in held_out.items()]
    return {**figures, "language_accuracy": float(np.concatenate(right).mean())}


def translation_figures(embeddings: Embeddings, similarity: Similarity) -> dict[str, float]:
    """Look for the translations of each sentence among all other sentences of all languages.

    Of equal scores, those of the translations count as the lower ones: a map that makes all embeddings the same finds
    nothing.

    Args:
        embeddings: Language -> embeddings, shape (n, d); row i of every language is the same sentence.
        similarity: The model's.

    Returns:
        ``map_in_pool``, ``map_cross_lingual`` and ``last_answer_rank``: means over all sentences.
    """
    parts, n_languages = list(embeddings.values()), len(embeddings)
    rows = np.arange(len(parts[0]))
    sums = dict.fromkeys(("map_in_pool", "map_cross_lingual", "last_answer_rank"), 0.0)
    for number, part in enumerate(parts):
        scores = np.stack([similarity(part, other) for other in parts], axis=1)  # (n, languages, n)
        scores[rows, number, rows] = -np.inf  # a sentence is no translation of itself
        others = [language for language in range(n_languages) if language != number]
        answers = scores[rows, :, rows][:, others]
        outranked = np.stack([(scores >= answers[:, [answer], None]).sum(axis=2) for answer in range(len(others))], 1)
        in_pool = outranked.sum(axis=2)  # the answer itself, which counts here, makes it a rank
        in_language = outranked[:, range(len(others)), others]
        sums["map_in_pool"] += query_metrics(in_pool, np.ones_like(in_pool), ())["map"].mean()
        sums["map_cross_lingual"] += (1 / in_language).mean()
        sums["last_answer_rank"] += in_pool.max(axis=1).mean()
    return {name: float(total / n_languages) for name, total in sums.items()}
