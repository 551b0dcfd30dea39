"""Tasks of MTEB's with one subset a language: questions count in their own language, or equal ids are translations.

Equal ids prove nothing by themselves, since many data sets are numbered anew in every language. The tasks that are
read so are translations of one data set by what is said of them, and still the data must show it,
question by question.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from beir_hybrid.corpora.mteb_pools.origin_tasks import SubsetTexts, origin_task, read_subsets
from beir_hybrid.corpora.parallel import LanguageCorpus

if TYPE_CHECKING:
    from beir_hybrid.corpora.spec import CorpusSpec

logger = logging.getLogger("mteb.beir_hybrid")


def read_monolingual(spec: CorpusSpec, languages: Sequence[str], parallel: bool) -> dict[str, LanguageCorpus]:
    """Read some languages of a pool of a task that has one subset a language.

    Args:
        spec: The pool; its ``origin`` says what is read.
        languages: Languages to read.
        parallel: Whether equal ids are translations, as far as the data show it: a question is the same in those
            languages whose judgments of it are equal, passage ids and grades; of several such groups the largest
            counts, and the first of equally large ones. Any other question counts in its own language only.

    Raises:
        DataError: The data cannot be had or is malformed.
    """
    origin = spec.origin
    assert origin is not None
    subsets = {language: origin.subsets[language] for language in languages}
    read = read_subsets(origin.task, subsets.values(), origin.split)
    texts = {language: read[subset] for language, subset in subsets.items()}
    judged = {language: _judged(part) for language, part in texts.items()}
    ids = _parallel_ids(judged) if parallel else {language: {} for language in languages}
    if parallel:
        _say(spec.name, ids, texts)
    ignores = origin_task(origin.task).ignore_identical_ids
    parts = {}
    for language, part in texts.items():
        of_query = {query: _question_id(language, query, ids) for query in part.query_ids}
        relevance = {of_query[query]: dict(part.judgments[query]) for query in part.query_ids}
        ignored = _identical(texts, ids, language, parallel) if ignores else {}
        for question_id, rows in ignored.items():
            relevance[question_id] = {r: g for r, g in relevance.get(question_id, {}).items() if r not in rows}
        question_ids = tuple(of_query.values())
        parts[language] = LanguageCorpus(
            language=language,
            question_ids=question_ids,
            questions=part.queries,
            articles=tuple(query if query in ids[language] else of_query[query] for query in part.query_ids),
            passage_ids=tuple(f"{language}:{passage_id}" for passage_id in part.passage_ids),
            passages=part.passages,
            relevance={question_id: grades for question_id, grades in relevance.items() if grades},
            titles=part.titles,
            ignored=ignored,
        )
    return parts


def _judged(part: SubsetTexts) -> dict[str, dict[str, int]]:
    """Question id -> {passage id: grade}."""
    return {
        query: {part.passage_ids[row]: grade for row, grade in part.judgments[query].items()}
        for query in part.query_ids
    }


def _parallel_ids(judged: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, str]]:
    """Return language -> id of a question that is shown to be the same in other languages -> its id in all of them."""
    groups: dict[str, dict[frozenset[tuple[str, int]], list[str]]] = defaultdict(lambda: defaultdict(list))
    for language, questions in judged.items():
        for query, grades in questions.items():
            groups[query][frozenset(grades.items())].append(language)
    ids: dict[str, dict[str, str]] = {language: {} for language in judged}
    for query, by_judgments in groups.items():
        group = max(by_judgments.values(), key=len)
        for language in group if len(group) > 1 else ():
            ids[language][query] = f"q-{query}"  # no passage is called so
    return ids


def _question_id(language: str, query: str, ids: Mapping[str, Mapping[str, str]]) -> str:
    return ids[language].get(query) or f"{language}-{query}"


def _identical(
    texts: Mapping[str, SubsetTexts], ids: Mapping[str, Mapping[str, str]], language: str, parallel: bool
) -> dict[str, list[int]]:
    """Return question id -> rows of the passages of a language that bear the id of the question."""
    rows = {passage_id: row for row, passage_id in enumerate(texts[language].passage_ids)}
    asked = {
        _question_id(asking, query, ids): query
        for asking, part in texts.items()
        for query in part.query_ids
        if asking == language or (parallel and query in ids[asking])
    }
    return {question_id: [rows[query]] for question_id, query in asked.items() if query in rows}


def _say(name: str, ids: Mapping[str, Mapping[str, str]], texts: Mapping[str, SubsetTexts]) -> None:
    """Log how many questions were shown to be parallel."""
    questions = {query for part in texts.values() for query in part.query_ids}
    everywhere = sum(all(query in of_language for of_language in ids.values()) for query in questions)
    shared = {query for of_language in ids.values() for query in of_language}
    own = sum(len(part.query_ids) - len(ids[language]) for language, part in texts.items())
    logger.info(
        f"{name}: {everywhere} of {len(questions)} questions have the same id and the same judgments in all "
        f"{len(texts)} languages, {len(shared) - everywhere} in some; {own} times a question counts in its own "
        "language only."
    )
