"""From embeddings to ranks: the counting pass over a whole parallel corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from beir_hybrid.corpora.parallel import ParallelCorpus
from beir_hybrid.corpora.text_columns import take
from beir_hybrid.ranks.model_state import PASSAGE, QUERY, Sample, by_language, sampled_texts
from beir_hybrid.ranks.rows import Columns, columns_of
from beir_hybrid.ranks.schema import encode_languages
from beir_hybrid.ranks.tops import SCHEMA as TOPS_SCHEMA
from beir_hybrid.ranks.tops import Tops
from beir_hybrid.scoring.bias import same_language_scores
from beir_hybrid.scoring.counting import (
    HELD_ELEMENTS,
    CountedRanks,
    PassageBlock,
    Similarity,
    Wanted,
    count_ranks,
    split_blocks,
)
from beir_hybrid.scoring.matrices import select_rows
from beir_hybrid.scoring.retrieval_scores import K_VALUES, NOT_RETRIEVED, query_metrics, subset_scores
from beir_hybrid.scoring.targets import Targets
from beir_hybrid.subsets import CROSS, MULTI, Subset


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of a parallel corpus, each text encoded once.

    Attributes:
        questions: Language -> matrix with a row a question.
        passages: Language -> matrix with a row a passage.
    """

    questions: Mapping[str, Any]
    passages: Mapping[str, Any]

    def sample(self) -> Sample:
        """Sample the embeddings of every language, questions and passages."""
        matrices = {QUERY: self.questions, PASSAGE: self.passages}
        texts = sampled_texts(
            *({language: int(matrix.shape[0]) for language, matrix in of_kind.items()} for of_kind in matrices.values())
        )
        return Sample.of(
            texts, by_language(texts, lambda kind, language, rows: select_rows(matrices[kind][language], rows))
        )


def count_corpus(
    corpus: ParallelCorpus,
    embeddings: Embeddings,
    similarity: Similarity,
    query_languages: Sequence[str] | None = None,
    passage_languages: Sequence[str] | None = None,
    progress: bool = False,
    confidence: Wanted = True,
    keep_top: int | None = None,
) -> Iterator[CountedRanks]:
    """Count the ranks of all relevant passages, query language after query language.

    Args:
        corpus: The questions, passages and judgments.
        embeddings: Of all questions and passages that are asked for.
        similarity: The model's similarity of two matrices of embeddings.
        query_languages: Languages of the questions; all by default.
        passage_languages: Languages of the pool; all by default.
        progress: Show a progress bar on a terminal.
        confidence: In which pools to find out how sure the model is, which scores of subsets need and ranks do not.
        keep_top: Passages of each query to keep in every pool; None for none.

    Yields:
        The counted ranks of one query language at a time.
    """
    query_languages = list(corpus.languages if query_languages is None else query_languages)
    passage_languages = list(corpus.languages if passage_languages is None else passage_languages)
    bar = tqdm(query_languages, desc="Counting ranks", disable=None if progress else True)
    for targets in Targets.of_each(corpus, bar, passage_languages):
        pool_size = sum(len(corpus.languages[language].passages) for language in passage_languages)
        held = targets.n_queries * pool_size <= HELD_ELEMENTS
        yield count_ranks(
            targets,
            embeddings.questions[targets.query_language],
            _blocks(corpus, embeddings, targets),
            similarity,
            relevant_embeddings=None if held else partial(_relevant, embeddings, targets),
            confidence=confidence,
            keep_top=keep_top,
        )


def _blocks(corpus: ParallelCorpus, embeddings: Embeddings, targets: Targets) -> Iterator[PassageBlock]:
    for number, language in enumerate(targets.passage_languages):
        passage_ids = corpus.languages[language].passage_ids
        yield from split_blocks(PassageBlock(number, 0, passage_ids, embeddings.passages[language]), targets.n_queries)


def _relevant(embeddings: Embeddings, targets: Targets, numbers: NDArray[np.int64]) -> Any:
    """Gather the embeddings of the relevant passages of some pairs."""
    languages, rows = targets.languages[numbers], targets.passages[numbers]
    matrices = [embeddings.passages[language] for language in targets.passage_languages]
    parts = [select_rows(matrix, rows[languages == number]) for number, matrix in enumerate(matrices)]
    order = np.argsort(np.concatenate([np.flatnonzero(languages == number) for number in range(len(parts))]))
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)[order]
    return select_rows(torch.cat(parts), order)


def scores_by_subset(counted: CountedRanks, passage_pools: Sequence[str]) -> dict[str, dict[str, float]]:
    """Compute the scores of the subsets of one query language.

    Args:
        counted: The counted ranks of that language.
        passage_pools: Languages of single-language pools, ``"multi"`` for the pool of all, and ``"cross"`` for the mean
            over the pools of the other languages.

    Returns:
        Subset, e.g. ``en-de`` or ``en-multi`` -> MTEB key -> score. Queries without a relevant passage in the pool
        are not part of a subset; a subset without queries is left out. The mean over pools has no abstention metrics,
        which are of one pool.
    """
    targets = counted.targets
    rank_in_language = counted.rank_in_language
    scores: dict[str, dict[str, float]] = {}
    for pool in passage_pools:
        if pool == CROSS:
            means = _means_over_pools(counted)
            scores |= {str(Subset(targets.query_language, CROSS)): means} if means else {}
            continue
        if pool == MULTI:
            judged, ranks = targets, counted.rank_in_pool
        else:
            inside = targets.languages == targets.passage_languages.index(pool)
            judged, ranks = targets.only(inside), rank_in_language[inside]
        queries = np.unique(judged.queries)
        if len(queries):
            scores[str(Subset(targets.query_language, pool))] = subset_scores(
                judged.padded(ranks, NOT_RETRIEVED)[queries],
                judged.padded(judged.grades, 0)[queries],
                counted.confidence[pool].of(queries),
            )
    return scores


def _means_over_pools(counted: CountedRanks) -> dict[str, float]:
    """Return the plain means, over the pools of the other languages, of the means over their queries."""
    other = np.array(counted.targets.passage_languages)[counted.targets.languages] != counted.targets.query_language
    targets, n_pools = counted.targets.only(other), len(counted.targets.passage_languages)
    if not len(targets.queries):
        return {}
    # A row of the metrics is a query in one pool.
    keys, rows = np.unique(targets.queries * n_pools + targets.languages, return_inverse=True)
    judged = replace(targets, queries=rows, n_queries=len(keys)).only(np.ones(len(rows), dtype=np.bool_))
    metrics = query_metrics(
        judged.padded(counted.rank_in_language[other], NOT_RETRIEVED), judged.padded(judged.grades, 0)
    )
    sizes = np.bincount(keys % n_pools, minlength=n_pools)
    scores = {
        name: float((np.bincount(keys % n_pools, values, n_pools)[sizes > 0] / sizes[sizes > 0]).mean())
        for name, values in metrics.items()
    }
    return scores | {"accuracy": scores[f"recall_at_{K_VALUES[0]}"]}


def own_language_scores(counted: CountedRanks, pool_sizes: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Compute the scores of questions that are judged in their own language only, in the pool of all languages.

    Args:
        counted: The counted ranks of one query language.
        pool_sizes: Language -> passages of the pool.

    Returns:
        As ``scores_by_subset``, with the same-language figures.
    """
    targets = counted.targets
    own = counted.only(targets.languages == targets.passage_languages.index(targets.query_language))
    texts = top_language_texts(counted)
    tops = [texts[query] for query in np.unique(own.targets.queries)]
    return {
        subset: scores | same_language_scores(tops, targets.query_language, pool_sizes)
        for subset, scores in scores_by_subset(own, [MULTI]).items()
    }


def rank_rows(counted: CountedRanks, corpus: ParallelCorpus, *, whole_pool: bool, tops_once: bool = False) -> Columns:
    """Give the rows of the rank table of one query language.

    Args:
        counted: The counted ranks of that language.
        corpus: Where ids and articles come from.
        whole_pool: Whether the pool holds all languages of the data set; if not, ranks in the pool are unknown.
        tops_once: Whether the top languages of a query stand in its first row only.
    """
    targets = counted.targets
    part = corpus.languages[targets.query_language]
    languages = targets.passage_languages
    not_first = (targets.slots > 0) & tops_once

    def of_query(values: Sequence[str], hidden: Any = None) -> pa.Array:
        numbers = pa.array(targets.queries, pa.int32(), mask=hidden)
        return pa.DictionaryArray.from_arrays(numbers, pa.array(values, pa.string()))

    return columns_of(
        query_id=of_query(part.query_ids),
        question_id=of_query(part.question_ids),
        query_language=targets.query_language,
        passage_id=pa.array(targets.passage_ids),
        passage_language=pa.array(languages, pa.string()).take(pa.array(targets.languages)),
        cluster_id=of_query(part.articles),
        grade=targets.grades,
        rank_in_language=counted.rank_in_language,
        rank_in_pool=counted.rank_in_pool if whole_pool else None,
        outranked_by_query_language=counted.outranked_by_query_language,
        top_languages=of_query(top_language_texts(counted), not_first) if whole_pool else None,
    )


def top_language_texts(counted: CountedRanks) -> list[str]:
    """Write each query's top languages as a rank table keeps them, Q texts."""
    languages = np.array(counted.targets.passage_languages)
    if not counted.targets.ignored.size:
        return [encode_languages(row) for row in languages[counted.top_languages].tolist()]
    return [encode_languages(languages[row[row >= 0]].tolist()) for row in counted.top_languages]


def top_rows(counted: CountedRanks, corpus: ParallelCorpus, *, whole_pool: bool) -> Tops | None:
    """Give the top passages of one query language as they are stored; None where they were not asked for.

    Args:
        counted: The counted ranks of that language.
        corpus: Where ids come from.
        whole_pool: Whether the pool holds all languages of the data set; if not, its best passages are not known.
    """
    if counted.tops is None or counted.keep_top is None:
        return None
    pools = {pool: best for pool, best in counted.tops.items() if pool != MULTI or whole_pool}
    kept = {pool: np.nonzero(best.scores > -np.inf) for pool, best in pools.items()}  # queries and places
    asked, languages = counted.targets.query_language, counted.targets.passage_languages
    of_passages, rows, scores = (
        np.concatenate([values[kept[pool]] for pool, values in zip(pools, of_pools, strict=True)])
        for of_pools in zip(*pools.values(), strict=True)
    )
    passages, numbers = np.unique(of_passages.astype(np.int64) << 32 | rows, return_inverse=True)
    ids: list[str] = []
    for number in range(len(languages)):
        inside = passages[slice(*np.searchsorted(passages, [number << 32, (number + 1) << 32]))]
        ids += take(corpus.languages[languages[number]].passage_ids, inside & 0xFFFFFFFF)
    queries, places = (np.concatenate([kept[pool][axis] for pool in pools]) for axis in (0, 1))
    table = pa.table(
        [
            _texts(corpus.languages[asked].query_ids, queries),
            _texts([asked], np.zeros(len(queries))),
            _texts([*pools], np.repeat(np.arange(len(pools)), [len(kept[pool][0]) for pool in pools])),
            pa.array(places + 1, pa.int32()),
            _texts(ids, numbers),
            _texts(languages, of_passages),
            scores,
        ],
        schema=TOPS_SCHEMA,
    )
    counts = dict(zip(languages, counted.outranked_by_language.tolist(), strict=True))
    return Tops(table, counted.keep_top, {asked: counts} if whole_pool else {})


def _texts(values: Sequence[str], codes: NDArray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(values, pa.string()))
