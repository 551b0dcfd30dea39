"""Scores the slow way: every question against every passage of a pool, ranked by trec_eval; for comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
import pytrec_eval
from numpy.typing import NDArray

from beir_hybrid.corpora import ParallelCorpus

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts -> embeddings, shape (n, dimensions)."""


def texts_of(corpus: ParallelCorpus, language: str) -> list[str]:
    """Return the passages of a language as MTEB gives them to an encoder: title and text."""
    part = corpus.languages[language]
    titles = part.titles or [""] * len(part.passages)
    return [f"{title} {text}".strip() for title, text in zip(titles, part.passages, strict=True)]


def similarities(corpus: ParallelCorpus, asked: str, pool: Sequence[str], embed: Embed) -> NDArray[np.float32]:
    """Return the cosine of every question of a language and every passage of a pool."""
    questions, passages = embed(corpus.languages[asked].questions), [embed(texts_of(corpus, x)) for x in pool]
    vectors = np.concatenate(passages)
    sizes = [np.linalg.norm(one, axis=1, keepdims=True) for one in (questions, vectors)]
    return (questions / sizes[0]) @ (vectors / sizes[1]).T


def plain_scores(corpus: ParallelCorpus, asked: str, pool: Sequence[str], embed: Embed) -> dict[str, float]:
    """Return ``map`` and ``ndcg_at_10`` of the questions of a language that have an answer in a pool."""
    scores = similarities(corpus, asked, pool, embed)
    ids = [passage_id for language in pool for passage_id in corpus.languages[language].passage_ids]
    judged = {query: grades for query, grades in corpus.judgments(asked, pool).items() if grades}
    part = corpus.languages[asked]
    run = {
        query: dict(zip(ids, map(float, row), strict=True))
        for query, row in zip(part.query_ids, scores, strict=True)
        if query in judged
    }
    found = pytrec_eval.RelevanceEvaluator(judged, {"map", "ndcg_cut.10"}).evaluate(run).values()
    return {
        "map": fmean(one["map"] for one in found),
        "ndcg_at_10": fmean(one["ndcg_cut_10"] for one in found),
    }


def plain_rank_distance(corpus: ParallelCorpus, asked: str, embed: Embed) -> float:
    """Return the mean, over the questions with answers in several languages, of last less first best rank."""
    pool = list(corpus.languages)
    scores = similarities(corpus, asked, pool, embed)
    starts = np.cumsum([0, *(len(corpus.languages[language].passages) for language in pool)])
    distances = []
    for question_id, row in zip(corpus.languages[asked].question_ids, scores, strict=True):
        ranks = 1 + np.argsort(np.argsort(-row, kind="stable"))
        answers = {x: corpus.relevant(question_id, x) for x in pool}
        best = [
            min(ranks[start + place] for place in answers[x])
            for x, start in zip(pool, starts, strict=False)
            if answers[x]
        ]
        if len(best) > 1:
            distances.append(max(best) - min(best))
    return fmean(map(float, distances))
