"""Hard negatives of a row: how many there are, in whose language, and in which columns they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Literal

Negatives = Literal["answer", "question", "both", "none"]
"""Whose language a row's hard negatives are in: the answer's, the question's, some in either; or there are none."""

ANSWERS_NOTHING = -1
"""Label of a hard negative that is nobody's answer."""

FIELD = "negative"
"""Name of the column or field of a hard negative; of several, ``negative_1``, ``negative_2`` ..."""


def column_names(number: int) -> list[str]:
    """Return the names of a number of columns of hard negatives."""
    return [FIELD] if number == 1 else [f"{FIELD}_{place}" for place in range(1, number + 1)]


def places(
    columns: Mapping[str, Sized], question_language: str, answer_language: str, whose: Negatives
) -> list[tuple[str, int]]:
    """Choose the hard negatives of the rows of one language pair.

    A row has as many of them whatever ``whose`` is, so that only their language differs: of ``both``, the first half of
    either language's, the odd one in the answer's; where question and answer are in one language, all of it.

    Args:
        columns: Language -> its columns of hard negatives, equally many in each; empty if there are none.
        question_language: Language of the questions.
        answer_language: Language of the answers.
        whose: Whose language is meant.

    Returns:
        Language and number, from 0, of each column.
    """
    if whose == "none" or not columns:
        return []
    number = len(columns[answer_language])
    of_question = {"answer": 0, "question": number, "both": number // 2}[whose]
    if question_language == answer_language:
        of_question = 0
    answers = [(answer_language, place) for place in range(number - of_question)]
    return answers + [(question_language, place) for place in range(of_question)]
