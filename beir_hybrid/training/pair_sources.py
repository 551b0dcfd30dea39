"""Pairs from the data sets that come by name: LAReQA's and Atlas-R's questions, and NTREX-128's sentences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beir_hybrid.corpora import atlas, load, ntrex
from beir_hybrid.corpora.parallel import ParallelCorpus
from beir_hybrid.training.parallel_pairs import ParallelPairs, same_answer_labels, text_column

CORPORA = {
    "xquad-r": frozenset({"XQuADR", "XQuADRLanguageBias", "XQuADRetrieval"}),
    "mlqa-r": frozenset({"MLQAR", "MLQARLanguageBias", "MLQARetrieval"}),
}
"""Retrieval corpus -> the MTEB tasks that are made of the same texts."""

NTREX = {"ntrex": ("translation", "next"), "ntrex-translation": ("translation",), "ntrex-next": ("next",)}
"""Source -> the kinds of pairs it has."""

NTREX_TASKS = frozenset({"NTREXBitextMining"})
"""The MTEB tasks that are made of NTREX-128."""

ATLAS = "atlas"
"""Source: the train split of Atlas-R."""

ATLAS_TASKS = frozenset({"AtlasR", "AtlasRLanguageBias"})
"""The MTEB tasks whose train split Atlas-R's is; what they ask is of other entities."""


def read_corpus(source: str, languages: Iterable[str] | None = None, progress: bool = True) -> ParallelPairs:
    """Read the pairs of XQuAD-R or MLQA-R.

    Args:
        source: A key of ``CORPORA``.
        languages: ISO 639-1 codes; None for all.
        progress: Show progress bars for downloads, if standard error is a terminal.

    Returns:
        The pairs, see ``pairs_of_corpus``.

    Raises:
        DataError, BeirHybridError: As for ``corpora.load``.
    """
    asked = None if languages is None else list(languages)
    return pairs_of_corpus(load(source, asked, progress), CORPORA[source])


def pairs_of_corpus(corpus: ParallelCorpus, training_datasets: frozenset[str] = frozenset()) -> ParallelPairs:
    """Return one row a question; its answer in a language is the relevant passage that stands first there.

    A question has more than one relevant passage in a language where the same sentence stands twice in a paragraph
    (LAReQA), or where it has several answers. All of them count for the labels.

    Args:
        corpus: The corpus.
        training_datasets: Names of the MTEB tasks that are made of the same texts.

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
        training_datasets=training_datasets,
        questions=questions,
        answers=answers,
        labels=same_answer_labels(len(row_of), right),
        cross_lingual_only=np.zeros(len(row_of), dtype=np.bool_),
    )


def read_atlas(languages: Iterable[str] | None = None) -> ParallelPairs:
    """Read the pairs of Atlas-R's train split.

    Args:
        languages: ISO 639-1 codes; None for all.

    Returns:
        The pairs, see ``pairs_of_corpus``.

    Raises:
        DataError: As for ``atlas.read``.
    """
    return replace(pairs_of_corpus(atlas.read(languages, "train"), ATLAS_TASKS), source=ATLAS)


def read_ntrex(source: str, languages: Iterable[str] | None = None, progress: bool = True) -> ParallelPairs:
    """Read pairs of NTREX-128's sentences.

    Args:
        source: A key of ``NTREX``. A ``translation`` row is a sentence with itself, in any two different languages; a
            ``next`` row is a sentence with the one that follows it in its document, in any two or the same language.
        languages: ISO 639-1 codes; None for all.
        progress: Show progress bars for downloads, if standard error is a terminal.

    Returns:
        The pairs, translations first. Labels number the answers: a sentence has the same label in both kinds of rows.

    Raises:
        DataError, BeirHybridError: As for ``ntrex.read``.
    """
    data = ntrex.read(languages, progress)
    n_sentences = len(data.documents)
    every = np.arange(n_sentences)
    followed = np.array([row for row, (this, after) in enumerate(pairwise(data.documents)) if this == after], np.int64)
    # The sentences that ask and those that answer, in the rows of each kind.
    sentences_of = {"translation": (every, every), "next": (followed, followed + 1)}
    asking, answering = zip(*(sentences_of[kind] for kind in NTREX[source]), strict=True)
    columns = {language: pa.array(sentences, pa.string()) for language, sentences in data.languages.items()}
    sentence_labels = same_answer_labels(
        n_sentences,
        ((row, language, text) for language, texts in data.languages.items() for row, text in enumerate(texts)),
    )
    kind_of_row = np.repeat(NTREX[source], [len(rows) for rows in asking])
    return ParallelPairs(
        source=source,
        revision=data.revision,
        training_datasets=NTREX_TASKS,
        questions={language: _taken(column, asking) for language, column in columns.items()},
        answers={language: _taken(column, answering) for language, column in columns.items()},
        labels=sentence_labels[np.concatenate(answering)],
        cross_lingual_only=kind_of_row == "translation",
    )


def _taken(column: pa.Array, chunks: Iterable[NDArray[np.int64]]) -> pa.ChunkedArray:
    """Return rows of a column, one chunk after the other; a chunk of all rows is the column itself, not a copy."""
    return pa.chunked_array([column if len(rows) == len(column) else column.take(rows) for rows in chunks])
