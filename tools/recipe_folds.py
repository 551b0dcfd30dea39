"""What recipes of heads are tried on: training data of one kind, and questions of another.

Each of the two sources is left out in turn: the questions of Atlas-R are for heads trained on NTREX-128 alone, and
sentences of NTREX-128, which ask for themselves and their neighbours, for heads trained on Atlas-R alone. What a head
gains on texts of another kind than those it was trained on it may gain elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from beir_hybrid.corpora import atlas, ntrex
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus, ParallelSentences
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, unit_scores
from beir_hybrid.metrics import MAP
from beir_hybrid.training.evaluator import MultilingualRetrievalEvaluator
from beir_hybrid.training.pair_sources import pairs_of_corpus, pairs_of_sentences
from beir_hybrid.training.parallel_pairs import ParallelPairs

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

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
    kinds = {name: pairs.kinds for name, pairs in ntrex.SPEC.pairs.items()}
    of_ntrex = {name: replace(pairs_of_sentences(sentences, of_name), source=name) for name, of_name in kinds.items()}
    of_atlas = {atlas_name: replace(pairs_of_corpus(facts), source=atlas_name)}
    return [Fold("atlas", facts, of_ntrex), Fold("ntrex", _neighbours(sentences), of_atlas)]


def _neighbours(sentences: ParallelSentences) -> ParallelCorpus:
    """Make a corpus of sentences that ask for themselves and for their neighbours in the document."""
    documents = sentences.documents
    relevance = {}
    for row in range(len(documents)):
        near = range(max(row - 1, 0), min(row + 2, len(documents)))
        relevance[f"q{row}"] = {other: 1 for other in near if documents[other] == documents[row]}
    parts = {
        language: LanguageCorpus(
            language=language,
            question_ids=tuple(relevance),
            questions=texts,
            articles=documents,
            passage_ids=tuple(f"{language}:{number}" for number in range(len(texts))),
            passages=texts,
            relevance=relevance,
        )
        for language, texts in sentences.languages.items()
    }
    return ParallelCorpus("ntrex-neighbours", sentences.revision, parts)
