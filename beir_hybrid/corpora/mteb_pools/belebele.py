"""Belebele: 900 questions on 488 passages in 122 languages, numbered anew in each by MTEB's class.

What is the same in all languages is the key of a row, the link of its passage and the number of its question. MTEB
takes equal texts of questions in one language for one question: where these are of several keys, it is no translation
of any other, but its answers are still the passages of its links, in every language. Source: arXiv 2308.16884.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from beir_hybrid.corpora.mteb_pools.origin_tasks import (
    SubsetTexts,
    read_subsets,
    ready_to_read,
    repository_of,
    unreadable,
)
from beir_hybrid.corpora.parallel import LanguageCorpus
from beir_hybrid.errors import DataError

if TYPE_CHECKING:
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    from beir_hybrid.corpora.spec import CorpusSpec

_COLUMNS = ("question", "link", "question_number")

_Key = tuple[str, str]
"""Link of the passage, and number of the question on it."""


@dataclass(frozen=True)
class _Numbering:
    """What MTEB's numbers of one language mean.

    Attributes:
        keys: Question id -> keys of its rows, each once.
        rows: Link -> row of its passage.
    """

    keys: Mapping[str, Sequence[_Key]]
    rows: Mapping[str, int]

    def question_id(self, language: str, query: str, times: Mapping[_Key, int]) -> str:
        """Name a question by its key, where it has one and no other question of the language has it."""
        keys = self.keys[query]
        if len(keys) > 1 or times[keys[0]] > 1:
            return f"{language}-{query}"
        link, number = keys[0]
        return f"{hashlib.sha256(link.encode()).hexdigest()[:12]}-{number}"


def read_belebele(spec: CorpusSpec, languages: Sequence[str]) -> dict[str, LanguageCorpus]:
    """Read some languages.

    Args:
        spec: The pool; its ``origin`` says what is read.
        languages: Languages to read.

    Raises:
        DataError: The data cannot be had or is malformed.
    """
    origin = spec.origin
    assert origin is not None
    subsets = {language: origin.subsets[language] for language in languages}
    read = read_subsets(origin.task, subsets.values(), origin.split)
    task = ready_to_read(origin.task, subsets.values(), origin.split)
    numbered = {language: _numbering(task, subset, origin.split, read[subset]) for language, subset in subsets.items()}
    ids: dict[str, dict[str, str]] = {}
    links: dict[str, list[str]] = {}
    for language, numbering in numbered.items():
        times = Counter(key for keys in numbering.keys.values() for key in keys)
        ids[language] = {query: numbering.question_id(language, query, times) for query in numbering.keys}
        links |= {ids[language][query]: [link for link, _ in keys] for query, keys in numbering.keys.items()}
    return {
        language: LanguageCorpus(
            language=language,
            question_ids=tuple(ids[language][query] for query in read[subset].query_ids),
            questions=read[subset].queries,
            articles=tuple(links[ids[language][query]][0] for query in read[subset].query_ids),
            passage_ids=tuple(f"{language}:{passage_id}" for passage_id in read[subset].passage_ids),
            passages=read[subset].passages,
            relevance=_relevance(links, numbered[language].rows),
            titles=read[subset].titles,
        )
        for language, subset in subsets.items()
    }


def _relevance(links: Mapping[str, Sequence[str]], rows: Mapping[str, int]) -> dict[str, dict[int, int]]:
    """Return question id -> {row: 1} of the passages of a language that a question's links lead to."""
    found = {
        question: {rows[link]: 1 for link in of_question if link in rows} for question, of_question in links.items()
    }
    return {question: answers for question, answers in found.items() if answers}


def _numbering(task: AbsTaskRetrieval, subset: str, split: str, texts: SubsetTexts) -> _Numbering:
    """Number the rows of a language as MTEB's class does, and make sure that it does."""
    from datasets import load_dataset

    config = task.metadata.hf_subsets_to_langscripts[subset][0].replace("-", "_")
    try:
        with repository_of(task).reading():
            data = load_dataset(name=config, **task.metadata.dataset)[split]
        questions, links, numbers = (list(map(str, data[column])) for column in _COLUMNS)
    except Exception as error:  # of the hub's client, pyarrow, the file system
        raise unreadable(task, error) from error
    query_ids = {text: f"Q{number}" for number, text in enumerate(dict.fromkeys(questions))}
    passage_rows = {link: row for row, link in enumerate(dict.fromkeys(links))}
    keys: dict[str, dict[_Key, None]] = {query: {} for query in query_ids.values()}
    for question, link, number in zip(questions, links, numbers, strict=True):
        keys[query_ids[question]][link, number] = None
    judged = {query: {passage_rows[link]: 1 for link, _ in of_query} for query, of_query in keys.items()}
    if judged != texts.judgments or dict(zip(texts.query_ids, texts.queries, strict=True)) != {
        query: text for text, query in query_ids.items()
    }:
        raise DataError(f"mteb:{task.metadata.name} {subset}: MTEB numbers the rows otherwise than this version knows")
    return _Numbering({query: [*of_query] for query, of_query in keys.items()}, passage_rows)
