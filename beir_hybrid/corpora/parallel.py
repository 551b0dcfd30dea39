"""The data model: questions and passages of several languages, and which passages answer which question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from beir_hybrid.errors import DataError
from beir_hybrid.languages import is_tag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beir_hybrid.corpora.spec import CorpusSpec


@dataclass(frozen=True)
class LanguageCorpus:
    """The questions and passages of one language.

    Attributes:
        language: Its tag.
        question_ids: Ids of the questions; the same question has the same id in every language.
        questions: Texts of the questions, in the order of ``question_ids``.
        articles: Article of each question, the cluster of the significance tests; the same in every language.
        passage_ids: Ids of the passages, ``<language>:<n>``.
        passages: Texts of the passages, in the order of ``passage_ids``.
        relevance: Question id -> {row of ``passages``: grade}. A question of another language may appear here;
            grades are positive (1 where the data set knows only relevant and not).
        titles: Titles of the passages, "" where there is none; None for a data set without titles. Encoders get a
            passage's title and text, joined by MTEB.
        ignored: Question id -> rows of ``passages`` that are no candidates for it, such as the question itself where
            questions are passages, too (MTEB's ``ignore_identical_ids``). None of them is relevant.

    The passages of a large data set need not be in memory: any sequence does, read when asked.
    """

    language: str
    question_ids: tuple[str, ...]
    questions: tuple[str, ...]
    articles: tuple[str, ...]
    passage_ids: Sequence[str]
    passages: Sequence[str]
    relevance: Mapping[str, Mapping[int, int]]
    titles: Sequence[str] | None = None
    ignored: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @cached_property
    def query_ids(self) -> tuple[str, ...]:
        """Ids of the queries, ``<language>:<question_id>``."""
        return tuple(f"{self.language}:{question_id}" for question_id in self.question_ids)


@dataclass(frozen=True)
class ParallelCorpus:
    """A data set whose questions and passages exist in several languages.

    Attributes:
        name: Name of the data set, e.g. ``xquad-r``.
        revision: Commit or content hash that the texts come from.
        languages: Language code -> its questions and passages, in the order of the data set.
        spec: What was known of it before it was read, as far as it was loaded by name.

    Raises:
        DataError: Ids are not unique, lengths differ, a relevance entry names no passage, or a language is not written
            like a tag.
    """

    name: str
    revision: str
    languages: Mapping[str, LanguageCorpus]
    spec: CorpusSpec | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for language, part in self.languages.items():
            if not is_tag(language):
                raise DataError(f"{self.name}: {language!r} is not a language tag (BCP 47) such as 'en' or 'zh-Hant'")
            _check(f"{self.name} {language}", part)

    def relevant(self, question_id: str, passage_language: str) -> Mapping[int, int]:
        """Return the passages in one language that answer a question.

        Args:
            question_id: Id of the question.
            passage_language: Language of the passages.

        Returns:
            Row of ``passages`` -> grade.
        """
        return self.languages[passage_language].relevance.get(question_id, {})

    def judgments(self, questions: str, pool: Iterable[str]) -> dict[str, dict[str, int]]:
        """Return the judgments of all questions in one language and passages of some languages.

        Args:
            questions: Language of the questions.
            pool: Languages of the passages.

        Returns:
            Query id -> passage id -> grade; a query without a relevant passage has an empty one.
        """
        part, passages = self.languages[questions], [(x, self.languages[x].passage_ids) for x in pool]
        return {
            query_id: {ids[row]: grade for x, ids in passages for row, grade in self.relevant(question_id, x).items()}
            for query_id, question_id in zip(part.query_ids, part.question_ids, strict=True)
        }

    def restricted(self, languages: Iterable[str]) -> ParallelCorpus:
        """Return the same corpus with only some of its languages, in their order here.

        Args:
            languages: Tags of the languages to keep.
        """
        keep = set(languages)
        return ParallelCorpus(
            self.name, self.revision, {code: part for code, part in self.languages.items() if code in keep}
        )


@dataclass(frozen=True)
class ParallelSentences:
    """Sentences of documents that exist in several languages.

    Attributes:
        revision: Commit or content hash that the texts come from.
        languages: Language -> its sentences; row i of every language is the same sentence.
        documents: Document of each sentence; the sentences of a document follow each other.
    """

    revision: str
    languages: Mapping[str, tuple[str, ...]]
    documents: tuple[str, ...]


def choose(
    name: str, languages: Sequence[str], wanted: Iterable[str] | None, unknown: str = "unknown language"
) -> tuple[str, ...]:
    """Return the languages asked for, each once and in the order of the data.

    Args:
        name: What has the languages, for messages.
        languages: Its languages.
        wanted: Those asked for, or one of them as text; None for all.
        unknown: What is said of another language.

    Raises:
        DataError: There is no such language, or none was asked for.
    """
    asked = set(languages) if wanted is None else {wanted} if isinstance(wanted, str) else set(wanted)
    others = asked - set(languages)
    if others or not asked:
        what = f"{unknown} {min(others)!r}" if others else "no language was asked for"
        raise DataError(f"{name}: {what}; it has {', '.join(languages)}")
    return tuple(language for language in languages if language in asked)


def _check(where: str, part: LanguageCorpus) -> None:
    if not len(part.question_ids) == len(part.questions) == len(part.articles):
        raise DataError(f"{where}: {len(part.question_ids)} question ids, {len(part.questions)} texts and articles")
    if len(part.passage_ids) != len(part.passages):
        raise DataError(f"{where}: {len(part.passage_ids)} passage ids for {len(part.passages)} passages")
    if part.titles is not None and len(part.titles) != len(part.passages):
        raise DataError(f"{where}: {len(part.titles)} titles for {len(part.passages)} passages")
    questions, passages = _sorted_hashes(part.question_ids), _sorted_hashes(part.passage_ids)
    for kind, ids, hashes in (("question", part.question_ids, questions), ("passage", part.passage_ids, passages)):
        twice = _first_repeated(ids) if (hashes[1:] == hashes[:-1]).any() else None
        if twice is not None:
            raise DataError(f"{where}: the {kind} id {twice!r} stands twice; ids must be unique")
    queries = _sorted_hashes(part.query_ids)
    places = np.searchsorted(passages, queries)
    maybe_shared = len(passages) and (passages[np.minimum(places, len(passages) - 1)] == queries).any()
    shared = set(part.query_ids).intersection(part.passage_ids) if maybe_shared else ()
    if shared:
        raise DataError(f"{where}: {min(shared)!r} names both a query and a passage; rename the question")
    for question_id, rows in part.relevance.items():
        for row, grade in rows.items():
            if not 0 <= row < len(part.passages) or grade <= 0:
                raise DataError(f"{where}: question {question_id!r} has no passage row {row} of grade {grade}")


def _sorted_hashes(ids: Sequence[str]) -> NDArray[np.int64]:
    """Return a hash of each id: 8 bytes each, so that the ids of thirty million passages need not be in memory."""
    hashes = np.fromiter(map(hash, ids), dtype=np.int64, count=len(ids))
    hashes.sort()
    return hashes


def _first_repeated(ids: Iterable[str]) -> str | None:
    """Return the first id that stands a second time."""
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            return name
        seen.add(name)
    return None
