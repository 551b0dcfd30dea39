"""Tasks of MTEB's with one subset a pair of languages: questions in one of them on passages in the other.

Ids are numbered anew in each subset, so that a text is what identifies a passage or a question within a language. The
judgments across languages are those of the pairs; that questions are translations of each other is said nowhere.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from beir_hybrid.corpora.mteb_pools.layouts import Pair
from beir_hybrid.corpora.mteb_pools.origin_tasks import SubsetTexts, read_subsets
from beir_hybrid.corpora.parallel import LanguageCorpus

if TYPE_CHECKING:
    from beir_hybrid.corpora.spec import CorpusSpec

logger = logging.getLogger("mteb.beir_hybrid")


@dataclass
class _Language:
    """The passages and questions of a language, found again by their texts.

    Attributes:
        language: Its tag.
        has_own: Whether it has a monolingual subset, which then has all its passages.
        passage_ids: Ids of the passages, and their titles and texts beside them.
        questions: Question id -> text.
        rows: Title and text -> rows of the passages.
        ids: Text -> ids of the questions.
    """

    language: str
    has_own: bool
    passage_ids: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    passages: list[str] = field(default_factory=list)
    questions: dict[str, str] = field(default_factory=dict)
    rows: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def rows_of(self, subset: SubsetTexts, own: bool) -> list[list[int]]:
        """Return the rows of the passages of a subset, which are added where they belong to the language."""
        titles = subset.titles or [""] * len(subset.passage_ids)
        found = []
        for passage_id, *text in zip(subset.passage_ids, titles, subset.passages, strict=True):
            rows = self.rows[text[0], text[1]]
            if own or not (rows or self.has_own):
                rows.append(len(self.passage_ids))
                self.passage_ids.append(f"{self.language}:{passage_id if own else _digest(*text)}")
                self.titles.append(text[0])
                self.passages.append(text[1])
            found.append(rows[-1:] if own else rows)
        return found

    def ids_of(self, subset: SubsetTexts, own: bool) -> list[list[str]]:
        """Return the ids of the questions of a subset, which are added where they are new."""
        found = []
        for query_id, text in zip(subset.query_ids, subset.queries, strict=True):
            ids = self.ids[text]
            if own or not ids:
                ids.append(f"{self.language}-{query_id if own else _digest(text)}")
                self.questions[ids[-1]] = text
            found.append(ids[-1:] if own else ids)
        return found


def read_pairs(spec: CorpusSpec, languages: Sequence[str], subsets: Mapping[Pair, str]) -> dict[str, LanguageCorpus]:
    """Read some languages of the pool of a task that has one subset a pair of languages.

    The passages of a language are those of its monolingual subset, and where it has none, those of all its pairs.

    Args:
        spec: The pool; its ``origin`` says what is read.
        languages: Languages to read.
        subsets: All subsets by their languages.

    Raises:
        DataError: The data cannot be had or is malformed.
    """
    origin = spec.origin
    assert origin is not None
    needed = {
        pair: subset
        for pair, subset in subsets.items()
        if pair.passages in languages and (pair.questions in languages or pair.passages not in origin.subsets)
    }
    read = read_subsets(origin.task, needed.values(), origin.split)
    parts = {language: _Language(language, language in origin.subsets) for language in languages}
    relevance: dict[str, dict[str, dict[int, int]]] = {language: defaultdict(dict) for language in languages}
    n_left_out = 0
    for pair in sorted(needed, key=lambda pair: pair.passages != pair.questions):  # monolingual ones first
        texts, own = read[needed[pair]], pair.passages == pair.questions
        rows = parts[pair.passages].rows_of(texts, own)
        if pair.questions not in languages:
            continue
        for query, ids in zip(texts.query_ids, parts[pair.questions].ids_of(texts, own), strict=True):
            for row, grade in texts.judgments[query].items():
                n_left_out += not rows[row]
                for question_id in ids:
                    relevance[pair.passages][question_id] |= dict.fromkeys(rows[row], grade)
    if n_left_out:
        logger.warning(
            f"{spec.name}: {n_left_out} judgments of pairs of languages name passages that the monolingual subset of "
            "their language has not, and are left out."
        )
    return {language: _corpus(part, relevance) for language, part in parts.items()}


def _corpus(part: _Language, relevance: Mapping[str, Mapping[str, dict[int, int]]]) -> LanguageCorpus:
    asked = [name for name in part.questions if any(of_language.get(name) for of_language in relevance.values())]
    answers = relevance[part.language]
    return LanguageCorpus(
        language=part.language,
        question_ids=tuple(asked),
        questions=tuple(part.questions[name] for name in asked),
        articles=tuple(asked),
        passage_ids=tuple(part.passage_ids),
        passages=part.passages,
        relevance={name: grades for name, grades in answers.items() if grades},
        titles=part.titles if any(part.titles) else None,
    )


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
