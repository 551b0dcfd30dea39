"""What recipes of heads are tried on: training data of one kind, and questions of another.

There are two folds: the questions of Atlas-R, for heads trained on NTREX-128 alone; and sentences of held-out documents
of NTREX-128, which ask for themselves and their neighbours, for heads trained on all else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from beir_hybrid.corpora import atlas, ntrex
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus, ParallelSentences
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, unit_scores
from beir_hybrid.metrics import MAP
from beir_hybrid.training.evaluator import MultilingualRetrievalEvaluator
from beir_hybrid.training.pair_sources import pairs_of_corpus, pairs_of_sentences
from beir_hybrid.training.parallel_pairs import ParallelPairs

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

HELD_OUT = 5
"""Every n-th document of NTREX-128 is held out."""

QUESTIONS = 100
"""Questions that a fold is evaluated with, drawn at random, or all if there are fewer; the pool is always whole."""


@dataclass(frozen=True)
class Fold:
    """A fold.

    Attributes:
        name: Its name.
        corpus: The questions, and all passages.
        sources: Source of pairs -> what of it heads are trained on; one that is missing is not trained on.
    """

    name: str
    corpus: ParallelCorpus
    sources: Mapping[str, ParallelPairs]

    def parts(self, data: Iterable[str]) -> list[ParallelPairs]:
        """Return the pairs of some sources."""
        return [self.sources[name] for name in data if name in self.sources]

    @cached_property
    def evaluator(self) -> MultilingualRetrievalEvaluator:
        """What evaluates a model on the fold."""
        return MultilingualRetrievalEvaluator(
            self.corpus, name="", max_questions=QUESTIONS, batch_size=1024, write_csv=False
        )

    def average_precisions(self, model: SentenceTransformer) -> ColumnScores:
        """Return the average precision of each question in the pool of all languages."""
        table, info = self.evaluator.rank_table(model)
        return unit_scores(table, info, Column.of(info.task, "multilingual", MAP.name, "", info.task))


def read_folds(languages: Sequence[str]) -> list[Fold]:
    """Read the training data in some languages, and make the folds."""
    [(atlas_name, source)] = atlas.SPEC.pairs.items()
    facts = source.read(atlas.SPEC, languages, False)
    assert isinstance(facts, ParallelCorpus)
    sentences = ntrex.read(ntrex.SPEC, languages, progress=False)
    held_out = list(dict.fromkeys(sentences.documents))[::HELD_OUT]
    asking = np.isin(sentences.documents, held_out)
    everything, rest = _sources(sentences), _sources(_some(sentences, ~asking))
    neighbours = _neighbours(sentences, np.flatnonzero(asking).tolist())
    return [
        Fold("atlas", facts, everything),
        Fold("ntrex", neighbours, {**rest, atlas_name: replace(pairs_of_corpus(facts), source=atlas_name)}),
    ]


def _sources(sentences: ParallelSentences) -> dict[str, ParallelPairs]:
    """Return all sources of pairs that are made of sentences of NTREX-128."""
    kinds = {name: source.kinds for name, source in ntrex.SPEC.pairs.items()}
    return {name: replace(pairs_of_sentences(sentences, of_name), source=name) for name, of_name in kinds.items()}


def _some(sentences: ParallelSentences, rows: NDArray[np.bool_]) -> ParallelSentences:
    """Return some rows of parallel sentences."""
    languages = {language: tuple(compress(texts, rows)) for language, texts in sentences.languages.items()}
    return replace(sentences, languages=languages, documents=tuple(compress(sentences.documents, rows)))


def _neighbours(sentences: ParallelSentences, rows: Sequence[int]) -> ParallelCorpus:
    """Make a corpus of all sentences, some of which ask for themselves and their neighbours in the document."""
    documents = sentences.documents
    relevance = {}
    for row in rows:
        near = range(max(row - 1, 0), min(row + 2, len(documents)))
        relevance[f"q{row}"] = {other: 1 for other in near if documents[other] == documents[row]}
    parts = {
        language: LanguageCorpus(
            language=language,
            question_ids=tuple(relevance),
            questions=tuple(texts[row] for row in rows),
            articles=tuple(documents[row] for row in rows),
            passage_ids=tuple(f"{language}:{number}" for number in range(len(texts))),
            passages=texts,
            relevance=relevance,
        )
        for language, texts in sentences.languages.items()
    }
    return ParallelCorpus("ntrex-neighbours", sentences.revision, parts)
