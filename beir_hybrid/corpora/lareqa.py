"""Reads XQuAD-R and MLQA-R: SQuAD JSON whose paragraphs carry the offsets of their sentences.

Every sentence is a passage. A passage is relevant to a question if an answer starts in it, or if it has the same
text as such a sentence of the same paragraph. Source: LAReQA, https://arxiv.org/abs/2004.05484, section 3.1.
Texts are taken as they are: offsets count code points of exactly these texts, so nothing is normalized.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from beir_hybrid.corpora import sources
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.spec import CorpusSpec
from beir_hybrid.errors import DataError
from beir_hybrid.files import read_json

REPOSITORY = "google-research-datasets/lareqa"
URL = f"https://raw.githubusercontent.com/{REPOSITORY}/{{revision}}"

CITATION = r"""
@inproceedings{roy-etal-2020-lareqa,
  author = {Roy, Uma and Constant, Noah and Al-Rfou, Rami and Barua, Aditya and Phillips, Aaron and Yang, Yinfei},
  booktitle = {Proceedings of the 2020 Conference on Empirical Methods in Natural Language Processing},
  title = {{LAReQA}: Language-Agnostic Answer Retrieval from a Multilingual Pool},
  year = {2020},
}
"""


class _Sentence(NamedTuple):
    start: int
    end: int
    text: str


class _Question(NamedTuple):
    text: str
    article: str
    relevance: dict[int, int]


def read(spec: CorpusSpec, languages: Sequence[str], progress: bool = True) -> ParallelCorpus:
    """Read some languages of XQuAD-R or MLQA-R.

    Returns:
        The corpus. ``passage_ids`` count the sentences of a file from 0. ``articles`` holds, as a string, the
        number (from 0) of the article that the question belongs to in the English file: it is the same in every
        language and whichever languages are read. In XQuAD-R it is the article's number in every file.

    Raises:
        DataError: A file cannot be had (see ``sources.path_of``), or is malformed.
        BeirHybridError: The cache folder cannot be written to.
    """
    pivot = sources.files_of(spec).pivot
    paths = {language: sources.path_of(spec, language, progress) for language in sources.needed(spec, languages)}
    known = read_file(paths[pivot], pivot)
    articles = dict(zip(known.question_ids, known.articles, strict=True))
    parts = {}
    for language in languages:
        part = known if language == pivot else read_file(paths[language], language)
        parts[language] = _with_articles(part, articles, f"{paths[language]}", f"{paths[pivot]}")
    return ParallelCorpus(spec.name, sources.revision_of(spec, languages), parts)


def read_file(path: Path, language: str) -> LanguageCorpus:
    """Read one language's file.

    Args:
        path: SQuAD JSON with ``sentence_breaks``, a list of [start, end) code point offsets, in each paragraph.
        language: Language of its texts.

    Returns:
        Its questions and passages in the order of the file; ``articles`` are the numbers of this file's articles.

    Raises:
        DataError: The file is malformed: unreadable, not UTF-8, not JSON, without a field that is needed, with a
            sentence outside its context, a repeated question id, or an answer outside every sentence.
    """
    passages: list[str] = []
    questions: dict[str, _Question] = {}
    for article, paragraph, where in _paragraphs(path):
        sentences = _sentences(paragraph, where)
        for entry in _field(paragraph, "qas", list, where):
            question_id = _text(entry, "id", where)
            here = f"{where}, question {question_id!r}"
            if question_id in questions:
                raise DataError(f"{here}: another question of this file has the same id; ids must be unique")
            relevance = _relevance(entry, sentences, len(passages), here)
            questions[question_id] = _Question(_text(entry, "question", here), str(article), relevance)
        passages.extend(sentence.text for sentence in sentences)
    if not questions:
        raise DataError(f"{path}: holds no question")
    return LanguageCorpus(
        language=language,
        question_ids=tuple(questions),
        questions=tuple(question.text for question in questions.values()),
        articles=tuple(question.article for question in questions.values()),
        passage_ids=tuple(f"{language}:{n}" for n in range(len(passages))),
        passages=tuple(passages),
        relevance={question_id: question.relevance for question_id, question in questions.items()},
    )


def _with_articles(part: LanguageCorpus, articles: Mapping[str, str], path: str, pivot_path: str) -> LanguageCorpus:
    """Return ``part`` with the articles that the pivot language's file gives its questions."""
    for question_id in part.question_ids:
        if question_id not in articles:
            raise DataError(f"{path}: question {question_id!r} is not in {pivot_path}, which names its article")
    return replace(part, articles=tuple(articles[question_id] for question_id in part.question_ids))


def _paragraphs(path: Path) -> Iterator[tuple[int, Any, str]]:
    """Yield each paragraph of a file with the number of its article and the words that say where it stands."""
    for a, article in enumerate(_field(read_json(path, DataError), "data", list, f"{path}")):
        for p, paragraph in enumerate(_field(article, "paragraphs", list, f"{path}: article {a}")):
            yield a, paragraph, f"{path}: article {a}, paragraph {p}"


def _sentences(paragraph: Any, where: str) -> list[_Sentence]:
    """Cut a paragraph's context at its sentence breaks."""
    context = _text(paragraph, "context", where)
    sentences = []
    for n, pair in enumerate(_field(paragraph, "sentence_breaks", list, where)):
        if not (isinstance(pair, list) and len(pair) == 2 and all(_is_a(offset, int) for offset in pair)):
            raise DataError(f"{where}: sentence break {n} is not a pair of whole numbers [start, end)")
        start, end = pair
        if not 0 <= start < end <= len(context):
            raise DataError(
                f"{where}: sentence break {n} is [{start}, {end}) in a context of {len(context)} characters; "
                "it must have 0 <= start < end <= that length"
            )
        sentences.append(_Sentence(start, end, context[start:end]))
    return sentences


def _relevance(question: Any, sentences: Sequence[_Sentence], first_row: int, where: str) -> dict[int, int]:
    """Return {row: 1} of the passages that answer a question; its paragraph's first passage has row first_row."""
    answers = _field(question, "answers", list, where)
    if not answers:
        raise DataError(f"{where}: it has no answer, so nothing is relevant to it")
    texts: set[str] = set()
    for answer in answers:
        start = _field(answer, "answer_start", int, where)
        holding = {sentence.text for sentence in sentences if sentence.start <= start < sentence.end}
        if not holding:
            raise DataError(f"{where}: its answer_start {start} lies outside every sentence of the paragraph")
        texts |= holding
    return {first_row + n: 1 for n, sentence in enumerate(sentences) if sentence.text in texts}


def _field(holder: Any, key: str, kind: type, where: str) -> Any:
    """Return a field of a JSON object, which must be there and of the right kind."""
    names = {list: "a list", str: "a text", int: "a whole number"}
    if not isinstance(holder, dict):
        raise DataError(f"{where}: the object with the field {key!r} is missing; this is not SQuAD JSON")
    if key not in holder:
        raise DataError(f"{where}: the field {key!r} is missing; this is not SQuAD JSON with sentence breaks")
    if not _is_a(holder[key], kind):
        raise DataError(f"{where}: the field {key!r} is not {names[kind]}")
    return holder[key]


def _text(holder: Any, key: str, where: str) -> str:
    """Return a field that is a text which says something and can be written as UTF-8."""
    text: str = _field(holder, key, str, where)
    if not text.strip():
        raise DataError(f"{where}: the field {key!r} is empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: the field {key!r} holds a lone surrogate, half a character, at {error.start}"
        ) from error
    return text


def _is_a(value: object, kind: type) -> bool:
    """Like isinstance, but true and false are no whole numbers."""
    return isinstance(value, kind) and not isinstance(value, bool)
