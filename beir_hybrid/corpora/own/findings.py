"""What there is in a corpus: counts of each language, and what its author may not have meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import repeat

from beir_hybrid.corpora.parallel import LanguageCorpus

OVERLONG = 2_000
"""Characters of a text from which on encoders that read 512 tokens do not read all of it."""


@dataclass(frozen=True)
class Findings:
    """Counts of one language, or of several.

    Attributes:
        questions: Questions.
        unanswered: Those without a relevant passage in any language.
        passages: Passages.
        judgments: Passages that are relevant to some question, once for each.
        empty: Passages without title and text.
        doubled: Questions and passages with the text of an earlier one.
        overlong: Questions and passages of more than OVERLONG characters.
    """

    questions: int = 0
    unanswered: int = 0
    passages: int = 0
    judgments: int = 0
    empty: int = 0
    doubled: int = 0
    overlong: int = 0

    def __add__(self, other: Findings) -> Findings:
        return Findings(*(mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)))

    @property
    def counts(self) -> tuple[int, ...]:
        """The counts, in the order of the attributes."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @property
    def odd(self) -> int:
        """How much there is that may not have been meant."""
        return self.unanswered + self.empty + self.doubled + self.overlong


def find(parts: Mapping[str, LanguageCorpus]) -> dict[str, Findings]:
    """Count what there is in each language."""
    answers = answer_languages(parts)
    return {language: _of_language(part, answers) for language, part in parts.items()}


def answer_languages(parts: Mapping[str, LanguageCorpus]) -> Counter[str]:
    """Return question id -> in how many languages there is a relevant passage; each question counts once."""
    counts = Counter(dict.fromkeys((question for part in parts.values() for question in part.question_ids), 0))
    for part in parts.values():
        counts.update(question for question, grades in part.relevance.items() if grades and question in counts)
    return counts


def _of_language(part: LanguageCorpus, answers: Counter[str]) -> Findings:
    empty = doubled = overlong = 0
    seen: set[int] = set()
    titles = repeat("", len(part.passages)) if part.titles is None else part.titles
    for title, text in zip(titles, part.passages, strict=True):
        whole = f"{title} {text}".strip()
        empty += not whole
        overlong += len(whole) > OVERLONG
        doubled += bool(whole) and hash(whole) in seen
        seen.add(hash(whole))
    doubled += len(part.questions) - len(set(part.questions))
    return Findings(
        questions=len(part.question_ids),
        unanswered=sum(answers[question] == 0 for question in part.question_ids),
        passages=len(part.passages),
        judgments=sum(map(len, part.relevance.values())),
        empty=empty,
        doubled=doubled,
        overlong=overlong + sum(len(question) > OVERLONG for question in part.questions),
    )
