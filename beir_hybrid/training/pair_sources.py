"""Pairs from the data sets that come by name: questions and their answers, and parallel sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beir_hybrid.corpora import Source, load, registry, spec_of_source
from beir_hybrid.corpora.parallel import ParallelCorpus, ParallelSentences
from beir_hybrid.training.parallel_pairs import ParallelPairs, same_answer_labels, text_column


def read_named(name: str, languages: Iterable[str] | None = None, progress: bool = True) -> ParallelPairs:
    """Read the pairs of a source that a corpus in the registry has.

    Args:
        name: Name of the source, a key of ``registry.pair_sources()``.
        languages: Language tags; None for all.
        progress: Show progress bars for downloads, if standard error is a terminal.

    Raises:
        DataError: The corpus lacks a language, or cannot be had.
        BeirHybridError: The cache folder cannot be written to.
    """
    spec, source = registry.pair_sources()[name]
    texts = source.read(spec, spec.choose(languages), progress)
    pairs = pairs_of_corpus(texts) if isinstance(texts, ParallelCorpus) else pairs_of_sentences(texts, source.kinds)
    return replace(pairs, source=name, training_datasets=spec.mteb_tasks)


def read_corpus(source: Source, languages: Iterable[str] | None = None, progress: bool = True) -> ParallelPairs:
    """Read the pairs of any retrieval corpus: its questions and their answers.

    Args:
        source: What names the corpus, as for `beir_hybrid.corpora.load`.
        languages: Language tags; None for all.
        progress: Show progress bars for downloads, if standard error is a terminal.

    Raises:
        DataError: The corpus lacks a language, or cannot be had.
    """
    spec = spec_of_source(source)
    pairs = pairs_of_corpus(load(spec, languages, progress))
    return replace(pairs, source=str(source), training_datasets=spec.mteb_tasks)


def pairs_of_corpus(corpus: ParallelCorpus) -> ParallelPairs:
    """Return one row a question; its answer in a language is the relevant passage that stands first there.

    A question has more than one relevant passage in a language where the same sentence stands twice in a paragraph
    (LAReQA), or where it has several answers. All of them count for the labels.

    Returns:
        The pairs, the rows in the order in which the questions appear, language by language.
    """
    question_ids = tuple(dict.fromkeys(chain.from_iterable(part.question_ids for part in corpus.languages.values())))
    row_of = {question_id: row for row, question_id in enumerate(question_ids)}
    questions, answers, right = {}, {}, []
    for language, part in corpus.languages.items():
        texts = {row_of[name]: text for name, text in zip(part.question_ids, part.questions, strict=True)}
        first = {}
        for question_id, row in row_of.items():
            relevant = sorted(corpus.relevant(question_id, language))
            right += [(row, language, part.passages[passage]) for passage in relevant]
            if relevant:
                first[row] = part.passages[relevant[0]]
        questions[language] = text_column(texts, len(row_of))
        answers[language] = text_column(first, len(row_of))
    return ParallelPairs(
        source=corpus.name,
        revision=corpus.revision,
        training_datasets=frozenset(),
        questions=questions,
        answers=answers,
        labels=same_answer_labels(len(row_of), right),
    )


def pairs_of_sentences(data: ParallelSentences, kinds: Sequence[str]) -> ParallelPairs:
    """Return pairs of parallel sentences.

    Args:
        data: The sentences.
        kinds: ``translation``: rows of a sentence with itself; ``next``: rows of a sentence with the one that follows
            it in its document. Both in any two or the same language: a sentence that is its own answer there differs
            by the prompt alone, that of questions and that of answers.

    Returns:
        The pairs, kind after kind. Labels number the answers: a sentence has the same label in both kinds of rows.
    """
    n_sentences = len(data.documents)
    every = np.arange(n_sentences)
    followed = np.array([row for row, (this, after) in enumerate(pairwise(data.documents)) if this == after], np.int64)
    # The sentences that ask and those that answer, in the rows of each kind.
    sentences_of = {"translation": (every, every), "next": (followed, followed + 1)}
    asking, answering = zip(*(sentences_of[kind] for kind in kinds), strict=True)
    columns = {language: pa.array(sentences, pa.string()) for language, sentences in data.languages.items()}
    sentence_labels = same_answer_labels(
        n_sentences,
        ((row, language, text) for language, texts in data.languages.items() for row, text in enumerate(texts)),
    )
    return ParallelPairs(
        source="sentences",
        revision=data.revision,
        training_datasets=frozenset(),
        questions={language: _taken(column, asking) for language, column in columns.items()},
        answers={language: _taken(column, answering) for language, column in columns.items()},
        labels=sentence_labels[np.concatenate(answering)],
    )


def _taken(column: pa.Array, chunks: Iterable[NDArray[np.int64]]) -> pa.ChunkedArray:
    """Return rows of a column, one chunk after the other; a chunk of all rows is the column itself, not a copy."""
    return pa.chunked_array([column if len(rows) == len(column) else column.take(rows) for rows in chunks])
