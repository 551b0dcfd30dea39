"""What a template module holds: the sentences that a fact can be asked and stated with."""

from __future__ import annotations

from typing import NamedTuple


class Forms(NamedTuple):
    """The sentence templates of one relation in one language.

    The fields of a template: ``{entity}``, what the fact is about; ``{value}``, the answer, in passages only; and, for
    ``word``, ``{item}``, the day or month asked for. A country stands in the nominative and without an article, in
    English and Spanish with the one that belongs to its name.

    Attributes:
        questions: Paraphrases of the question.
        passages: Paraphrases of the statement, in other words than the questions where the language has them.
    """

    questions: tuple[str, ...]
    passages: tuple[str, ...]
