"""Mined hard negatives: against plain sorting, for pairs whose answers are shared in every way."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from beir_hybrid.corpora import load
from beir_hybrid.errors import DataError
from beir_hybrid.training import mine, read_source
from beir_hybrid.training.parallel_pairs import ParallelPairs, same_answer_labels, text_column
from tests.support.helpers import property_test

Texts = dict[str, list[str | None]]
"""Language -> the text of each row."""


class AnyEmbeddings:
    """What mining sees of a SentenceTransformer: an embedding for every text, which follows from the text alone."""

    device = torch.device("cpu")

    def encode_query(self, texts: Sequence[str], **_: object) -> NDArray[np.float32]:
        return np.stack([self.embedding(f"query: {text}") for text in texts])

    def encode_document(self, texts: Sequence[str], **_: object) -> NDArray[np.float32]:
        return np.stack([self.embedding(f"passage: {text}") for text in texts])

    def get_embedding_dimension(self) -> int:
        return 8

    def similarity_pairwise(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy((a * b).sum(axis=1))

    def embedding(self, text: str) -> NDArray[np.float32]:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        vector = np.random.default_rng(seed).normal(size=8)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def score(self, question: str, answer: str) -> float:
        return float(self.embedding(f"query: {question}") @ self.embedding(f"passage: {answer}"))


def pairs_of(questions: Texts, answers: Texts) -> ParallelPairs:
    """Make pairs, with the labels that readers would give them."""
    rows = len(next(iter(questions.values())))
    right = [(row, code, text) for code, texts in answers.items() for row, text in enumerate(texts) if text]
    return ParallelPairs(
        source="made",
        revision="1",
        training_datasets=frozenset(),
        questions={code: text_column(dict(enumerate(texts)), rows) for code, texts in questions.items()},
        answers={code: text_column(dict(enumerate(texts)), rows) for code, texts in answers.items()},
        labels=same_answer_labels(rows, right),
    )


def mined_by_hand(pairs: ParallelPairs, language: str, k: int) -> list[list[str] | None]:
    """Sort all answers of a language for each row, and leave out those that are right for its question."""
    questions, answers = pairs.questions[language].to_pylist(), pairs.answers[language].to_pylist()
    found: list[list[str] | None] = []
    for question, answer in zip(questions, answers, strict=True):
        if question is None or answer is None:
            found.append(None)
            continue
        asked = {
            label
            for text, own, label in zip(questions, answers, pairs.labels, strict=True)
            if text == question and own is not None
        }
        right = {
            text
            for column in pairs.answers.values()
            for text, label in zip(column.to_pylist(), pairs.labels, strict=True)
            if label in asked
        }
        wrong = {text for text in answers if text is not None} - right
        ranked = sorted(wrong, key=lambda text: -AnyEmbeddings().score(question, text))
        found.append(ranked[:k] if len(ranked) >= k else None)
    return found


def rows_of(pairs: ParallelPairs, language: str) -> list[list[str] | None]:
    columns = [column.to_pylist() for column in pairs.negatives[language]]
    return [None if None in row else list(row) for row in zip(*columns, strict=True)]


@st.composite
def some_pairs(draw: st.DrawFn) -> ParallelPairs:
    rows = draw(st.integers(2, 9))
    questions, answers = st.sampled_from([None, *"abcdefg"]), st.sampled_from([None, *"ABCDEFGHIJKL"])
    return pairs_of(
        {code: draw(st.lists(questions, min_size=rows, max_size=rows)) for code in ("en", "de")},
        {code: draw(st.lists(answers, min_size=rows, max_size=rows)) for code in ("en", "de")},
    )


@property_test(60)
@given(some_pairs(), st.integers(1, 3))
def test_negatives_are_the_likeliest_of_the_wrong_answers(pairs: ParallelPairs, k: int) -> None:
    assume(all(len(column.unique().drop_null()) > k for column in pairs.answers.values()))
    mined, left_short = mine(pairs, AnyEmbeddings(), k, progress=False)
    for language in pairs.languages:
        expected = mined_by_hand(pairs, language, k)
        assert rows_of(mined, language) == expected
        both = pairs.questions[language].is_valid().to_numpy() & pairs.answers[language].is_valid().to_numpy()
        assert left_short[language] == sum(both) - sum(row is not None for row in expected)
    assert (mined.questions, mined.answers) == (pairs.questions, pairs.answers)


def test_a_margin_leaves_out_what_scores_like_the_answer() -> None:
    rows = 12
    pairs = pairs_of({"en": [f"question {row}" for row in range(rows)]}, {"en": [f"answer {n}" for n in range(rows)]})
    model = AnyEmbeddings()
    mined, left_short = mine(pairs, model, 2, margin=0.1, progress=False)
    whole = 0
    for row, found in enumerate(rows_of(mined, "en")):
        own = model.score(f"question {row}", f"answer {row}")
        allowed = [
            n for n in range(rows) if n != row and model.score(f"question {row}", f"answer {n}") <= own - 0.1 * abs(own)
        ]
        assert (found is not None) == (len(allowed) >= 2)
        whole += found is not None
    assert 0 < whole < rows
    assert left_short == {"en": rows - whole}
    assert len(mined.dataset("en", "en")) == whole


@pytest.mark.parametrize(
    ("k", "message"),
    [
        (0, "0 hard negatives asked for; ask for 1 or more"),
        (
            3,
            "made: 3 hard negatives asked for, but de has 3 different answers; ask for fewer, ",
        ),
    ],
)
def test_what_cannot_be_mined_is_one_line(k: int, message: str) -> None:
    pairs = pairs_of({"en": [*"abcd"], "de": [*"abcd"]}, {"en": [*"ABCD"], "de": [*"ABCA"]})
    with pytest.raises(DataError) as caught:
        mine(pairs, AnyEmbeddings(), k)
    assert str(caught.value).startswith(message)


def test_pairs_with_negatives_are_not_mined_again() -> None:
    pairs = pairs_of({"en": [*"abcd"]}, {"en": [*"ABCD"]})
    mined, _ = mine(pairs, AnyEmbeddings(), 1, progress=False)
    with pytest.raises(DataError, match="made: has hard negatives already"):
        mine(mined, AnyEmbeddings(), 1)
    assert mine(replace(mined, negatives={}), AnyEmbeddings(), 1, progress=False).pairs.negatives == mined.negatives


class KnowsAnswers(AnyEmbeddings):
    """Finds for each question the right answers first: all that must not become a negative is in the way."""

    def __init__(self, pairs: ParallelPairs) -> None:
        self._label_of = {
            text: str(label)
            for column in (*pairs.questions.values(), *pairs.answers.values())
            for text, label in zip(column.to_pylist(), pairs.labels, strict=True)
        }

    def embedding(self, text: str) -> NDArray[np.float32]:
        _, _, plain = text.partition(": ")
        vector = super().embedding(self._label_of[plain]) + 0.1 * super().embedding(text)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.mark.real_data
def test_no_right_passage_of_mlqa_r_is_a_negative(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(data_folder))
    languages = ["ar", "en", "zh"]
    corpus = load("mlqa-r", languages)
    pairs = read_source("mlqa-r", languages)
    mined, left_short = mine(pairs, KnowsAnswers(pairs), 4, progress=False)
    assert left_short == dict.fromkeys(languages, 0)
    question_ids = list(dict.fromkeys(name for part in corpus.languages.values() for name in part.question_ids))
    checked = 0
    for language, part in corpus.languages.items():
        for row, found in enumerate(rows_of(mined, language)):
            if found is None:
                continue
            question_id = question_ids[row]
            right = {
                (code, other.passage_ids[passage], other.passages[passage])
                for code, other in corpus.languages.items()
                for passage in corpus.relevant(question_id, code)
            }
            ids = {name for name, text in zip(part.passage_ids, part.passages, strict=True) if text in found}
            assert not ids & {name for code, name, _ in right if code == language}
            assert not set(found) & {text for _, _, text in right}  # in whatever language
            assert len(set(found)) == 4
            checked += 1
    assert checked == sum(len(part.question_ids) for part in corpus.languages.values())
    for language, columns in mined._negative_labels.items():  # nor is the translation of a passage that is right
        for labels in columns:
            asked = mined.negatives[language][0].is_valid().to_numpy()
            assert (labels[asked] >= 0).all()
            assert (labels != mined.labels)[asked].all()
