"""Held-out training data: what settings are chosen on, so that no test data is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus
from beir_hybrid.study.batches import StudyError
from beir_hybrid.training.parallel_pairs import ParallelPairs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def held_out_rows(pairs: ParallelPairs, share: float, seed: int) -> NDArray[np.bool_]:
    """Draw the rows to hold out: whole labels, so that no answer is on both sides.

    Args:
        pairs: The pairs, R rows.
        share: Share of the rows, at least.
        seed: Of the draw.

    Returns:
        (R,): whether a row is held out.

    Raises:
        StudyError: Nothing would be left to train on.
    """
    labels, sizes = np.unique(pairs.labels, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    needed = int(np.searchsorted(np.cumsum(sizes[order]), share * len(pairs.labels))) + 1
    if needed >= len(labels):
        raise StudyError(f"{pairs.source}: {len(labels)} different answers are too few to hold {share:g} of them out")
    chosen: NDArray[np.bool_] = np.isin(pairs.labels, labels[order[:needed]])
    return chosen


def with_rows(pairs: ParallelPairs, rows: NDArray[np.bool_]) -> ParallelPairs:
    """Return pairs, R rows, with those of ``rows``, shape (R,)."""
    kept = np.flatnonzero(rows)
    return replace(
        pairs,
        questions={language: column.take(kept) for language, column in pairs.questions.items()},
        answers={language: column.take(kept) for language, column in pairs.answers.items()},
        labels=pairs.labels[kept],
        negatives={code: tuple(column.take(kept) for column in columns) for code, columns in pairs.negatives.items()},
    )


def held_out_corpus(pairs: ParallelPairs, held_out: NDArray[np.bool_]) -> ParallelCorpus:
    """Make a retrieval corpus of held-out questions; its pool is all answers of the source.

    A passage answers a question if their labels are equal. ``held_out`` says of each of the R rows whether it is held
    out.
    """
    languages = {language: _language(pairs, held_out, language) for language in pairs.languages}
    return ParallelCorpus(f"{pairs.source}-held-out", pairs.revision, languages)


def _language(pairs: ParallelPairs, held_out: NDArray[np.bool_], language: str) -> LanguageCorpus:
    answers, questions = pairs.answers[language].to_pylist(), pairs.questions[language].to_pylist()
    passages = {text: row for row, text in enumerate(dict.fromkeys(text for text in answers if text is not None))}
    rows_of: dict[int, dict[int, int]] = {}
    for label, text in zip(pairs.labels.tolist(), answers, strict=True):
        if text is not None:
            rows_of.setdefault(label, {})[passages[text]] = 1
    rows = np.flatnonzero(held_out).tolist()
    questioned = [row for row in rows if questions[row] is not None]
    labels = {row: int(pairs.labels[row]) for row in rows}
    return LanguageCorpus(
        language=language,
        question_ids=tuple(f"q{row}" for row in questioned),
        questions=tuple(questions[row] for row in questioned),
        articles=tuple(str(labels[row]) for row in questioned),
        passage_ids=tuple(f"{language}:{number}" for number in range(len(passages))),
        passages=tuple(passages),
        # Questions of other languages count here, too.
        relevance={f"q{row}": rows_of[label] for row, label in labels.items() if label in rows_of},
    )


def split(parts: Sequence[ParallelPairs], share: float, seed: int) -> tuple[list[ParallelPairs], list[ParallelCorpus]]:
    """Split every source into the pairs to train on and a corpus, of a share of its rows, to choose settings on.

    Raises:
        StudyError: A source is too small.
    """
    rest, corpora = [], []
    for pairs in parts:
        rows = held_out_rows(pairs, share, seed)
        rest.append(with_rows(pairs, ~rows))
        corpora.append(held_out_corpus(pairs, rows))
    return rest, corpora
