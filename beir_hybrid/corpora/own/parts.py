"""Makes the questions and passages of each language from the files of a corpus, and says what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from beir_hybrid.corpora.own import stored_passages
from beir_hybrid.corpora.own.entries import SCORE, Entry, entries
from beir_hybrid.corpora.own.faults import Faults
from beir_hybrid.corpora.own.layout import LanguageFiles
from beir_hybrid.corpora.own.stored_passages import StoredPassages
from beir_hybrid.corpora.parallel import LanguageCorpus
from beir_hybrid.corpora.parquet_texts import SUFFIX, ParquetTable
from beir_hybrid.files import shown

QUERY, PASSAGE = "query-id", "corpus-id"

_JUDGMENTS = ("qrels", "others", "ignored")

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_GRADE = re.compile(r"[+-]?[0-9]{1,9}")
_LARGEST_GRADE = (1 << 15) - 1
"""What a rank table holds."""


@dataclass(frozen=True)
class Folder:
    """The files of a corpus.

    Attributes:
        path: The folder.
        files: Language -> its files.
        judged_in_own_language: Equal ids in two languages are different questions.
        is_beir: It is BEIR's: questions without a judgment are those of other splits, a grade below 0 is as 0, and a
            passage with the id and the text of a question is the question itself.
        passages: Language -> address of its passages, Parquet, where they are not in the folder.
    """

    path: Path
    files: Mapping[str, LanguageFiles]
    judged_in_own_language: bool = False
    is_beir: bool = False
    passages: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def stored(self) -> dict[str, ParquetTable]:
        """Language -> its passages, where they stay in their files: all that are not in the folder, and large ones.

        Raises:
            DataError: They cannot be read.
        """
        places: dict[str, str | Path] = {**self.passages}
        for language, files in self.files.items():
            path = files.get("corpus")
            if path is not None and path.suffix == SUFFIX and path.stat().st_size >= stored_passages.LARGE:
                places[language] = path
        return {language: ParquetTable(place) for language, place in places.items()}

    def passage_id(self, language: str, name: str) -> str:
        """Return the id of a passage: no query has it, whatever the questions are called."""
        return name if name.startswith(f"{language}:") else f"{language}:p:{name}"

    def question_id(self, language: str, name: str) -> str:
        """Return the id of a question, the same in every language unless each has questions of its own."""
        name, own = name.removeprefix(f"{language}:"), f"{language}-"
        return name if not self.judged_in_own_language or not name or name.startswith(own) else own + name


@dataclass
class _Passages:
    """The passages of a language; ``whole`` unless some of their ids could not be read.

    ``rows`` has all of them, but of passages that stay in their files those that judgments name.
    """

    rows: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    whole: bool = True
    stored: StoredPassages | None = None


@dataclass
class _Questions:
    """The questions of a language: id -> text, and where each stands, for messages about its article."""

    texts: dict[str, str] = field(default_factory=dict)
    articles: dict[str, str] = field(default_factory=dict)
    places: dict[str, Entry] = field(default_factory=dict)
    whole: bool = True


@dataclass
class _Judgments:
    """What is said of the passages of a language: question id -> grades by row, and rows that are no candidates."""

    grades: dict[str, dict[int, int]] = field(default_factory=dict)
    ignored: dict[str, list[int]] = field(default_factory=dict)


def read_parts(folder: Folder, languages: Sequence[str], faults: Faults) -> dict[str, LanguageCorpus]:
    """Read some languages of a corpus.

    Args:
        folder: Its files.
        languages: Those to read.
        faults: Is told every fault; what has one is left out where faults are collected.

    Returns:
        Language -> its questions and passages.
    """
    reader = _Reader(folder, faults)
    parts = {language: reader.part(language) for language in languages}
    if not faults.lines and len(parts) == len(folder.files):
        _check_whole(folder, parts, faults)
    return parts


def _check_whole(folder: Folder, parts: Mapping[str, LanguageCorpus], faults: Faults) -> None:
    if not any(part.question_ids for part in parts.values()):
        faults.add(shown(folder.path), f"there is no question in {', '.join(parts)}")
    elif not any(grades for part in parts.values() for grades in part.relevance.values()):
        faults.add(shown(folder.path), "no question has a relevant passage; a judgment with a score above 0 names one")


class _Reader:
    """Reads languages one after the other, and keeps the questions of each for those that follow."""

    def __init__(self, folder: Folder, faults: Faults) -> None:
        self._folder = folder
        self._faults = faults
        self._questions: dict[str, _Questions] = {}
        self._articles: dict[str, tuple[str, str]] = {}  # question id -> article, and the language that says so

    def part(self, language: str) -> LanguageCorpus:
        files = self._folder.files[language]
        passages = self._passages(language)
        questions = self._questions_of(language)
        self._check_ids(language, questions, passages)
        self._check_articles(language, questions)
        said = _Judgments()
        for kind in _JUDGMENTS:
            if kind in files:
                self._judgments(language, files[kind], kind == "ignored", passages, said)
        if self._folder.is_beir:
            self._as_beir(language, questions, passages, said)
        ids, stored = tuple(questions.texts), passages.stored
        return LanguageCorpus(
            language=language,
            question_ids=ids,
            questions=tuple(questions.texts.values()),
            articles=tuple(questions.articles.get(question, question) for question in ids),
            passage_ids=tuple(passages.rows) if stored is None else stored.ids,
            passages=tuple(passages.texts) if stored is None else stored.texts,
            relevance={question: judged for question, grades in said.grades.items() if (judged := _relevant(grades))},
            titles=(tuple(passages.titles) if any(passages.titles) else None) if stored is None else stored.titles,
            ignored=said.ignored,
        )

    def _passages(self, language: str) -> _Passages:
        if language in self._folder.stored:
            return self._stored(language)
        passages = _Passages()
        path = self._folder.files[language].get("corpus")
        name = partial(self._folder.passage_id, language)
        for entry in self._entries(path, ("_id", "text"), ("title",)):
            if not entry.values:
                passages.whole = False
                continue
            passage_id = self._id(entry, 0, "_id", name)
            text = self._text(entry, 1, "text") or ""
            title = "" if entry.values[2] is None else self._text(entry, 2, "title") or ""
            if passage_id is None:
                passages.whole = False
            elif passage_id in passages.rows:
                self._faults.add(entry.where, f"the passage {_quoted(passage_id)} stands twice; ids must be unique")
            else:
                passages.rows[passage_id] = len(passages.texts)
                passages.texts.append(text)
                passages.titles.append(title)
        if path is None:
            passages.whole = False
        elif passages.whole and not passages.rows:
            self._faults.add(shown(path), "there is no passage")
            passages.whole = False
        return passages

    def _stored(self, language: str) -> _Passages:
        """Look through the ids of passages that stay in their files; a query may have the id of one."""
        name = partial(self._folder.passage_id, language)
        named = {f"{language}:{question}" for question in self._questions_of(language).texts}
        for kind in _JUDGMENTS:
            columns = (QUERY, PASSAGE) if kind == "ignored" else (QUERY, PASSAGE, SCORE)
            path = self._folder.files[language].get(kind)
            for entry in () if path is None else entries(path, columns, (), Faults(collect=True)):
                if entry.values and isinstance(entry.values[1], str):
                    named.add(name(entry.values[1]))
        stored = stored_passages.stored_passages(self._folder.stored[language], name, named, self._faults)
        return _Passages(whole=False) if stored is None else _Passages(rows=stored.rows, stored=stored)

    def _questions_of(self, language: str) -> _Questions:
        """Return the questions of a language, reading them at the first call."""
        if language in self._questions:
            return self._questions[language]
        questions = self._questions[language] = _Questions()
        path = self._folder.files[language].get("queries")
        name = partial(self._folder.question_id, language)
        for entry in self._entries(path, ("_id", "text"), ("article",)):
            if not entry.values:
                questions.whole = False
                continue
            question = self._id(entry, 0, "_id", name)
            text = self._text(entry, 1, "text")
            article = question if entry.values[2] is None else self._text(entry, 2, "article")
            if text is not None and not text.strip():
                self._faults.add(entry.where, "the question is empty: the field 'text' holds nothing")
            if question is None:
                questions.whole = False
            elif question in questions.texts:
                self._faults.add(entry.where, f"the question {_quoted(question)} stands twice; ids must be unique")
            else:
                questions.texts[question] = text or ""
                if article is not None:
                    questions.articles[question] = article
                questions.places[question] = entry._replace(values=())
        if path is not None and questions.whole and not questions.texts:
            self._faults.add(shown(path), "there is no question")
            questions.whole = False
        return questions

    def _check_ids(self, language: str, questions: _Questions, passages: _Passages) -> None:
        for question in questions.texts:
            if f"{language}:{question}" in passages.rows:
                what = f"the query {_quoted(f'{language}:{question}')} has the id of a passage; rename one of them"
                self._faults.add(questions.places[question].where, what)

    def _check_articles(self, language: str, questions: _Questions) -> None:
        for question, article in questions.articles.items():
            known, other = self._articles.setdefault(question, (article, language))
            if article != known:
                what = f"the question {_quoted(question)} is of the article {_quoted(article)}, but in {other} of"
                self._faults.add(questions.places[question].where, f"{what} {_quoted(known)}")

    def _judgments(self, language: str, path: Path, ignored: bool, passages: _Passages, said: _Judgments) -> None:
        """Read a file of judgments of the passages of a language, or one of those that are no candidates."""
        names = (partial(self._folder.question_id, language), partial(self._folder.passage_id, language))
        columns = (QUERY, PASSAGE) if ignored else (QUERY, PASSAGE, SCORE)
        for entry in self._entries(path, columns, ()):
            if not entry.values:
                continue
            question, passage = (self._id(entry, place, columns[place], names[place]) for place in (0, 1))
            grade = None if ignored else self._grade(entry)
            if question is None or passage is None or not self._is_asked(entry, language, question):
                continue
            row = passages.rows.get(passage)
            if row is None:
                if passages.whole:
                    self._faults.add(entry.where, f"there is no passage {_quoted(entry.values[1])} in {language}", True)
            elif ignored:
                if said.grades.get(question, {}).get(row, 0) > 0:
                    self._faults.add(entry.where, "the passage is relevant to the question, and so a candidate")
                elif row not in (rows := said.ignored.setdefault(question, [])):
                    rows.append(row)
            elif grade is not None:
                known = said.grades.setdefault(question, {}).setdefault(row, grade)
                if known != grade:
                    what = f"the passage {_quoted(passage)} has the score {known} for this question already"
                    self._faults.add(entry.where, f"{what}, not {grade}")

    def _is_asked(self, entry: Entry, language: str, question: str) -> bool:
        """Whether a question is asked in some language; in its own first, so that others are read only if needed."""
        if question in self._questions_of(language).texts:
            return True
        asked = [self._questions_of(other) for other in self._folder.files]
        if any(question in questions.texts for questions in asked):
            return True
        if all(questions.whole for questions in asked):
            self._faults.add(entry.where, f"there is no question {_quoted(entry.values[0])}", True)
        return False

    def _grade(self, entry: Entry) -> int | None:
        value = entry.values[2]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not _GRADE.fullmatch(str(value)):
            self._faults.add(entry.where, f"the field {SCORE!r} is {_quoted(value)}, not a whole number")
            return None
        grade = int(value)
        if grade < 0 and self._folder.is_beir:
            return 0
        if not 0 <= grade <= _LARGEST_GRADE:
            self._faults.add(entry.where, f"the field {SCORE!r} is {grade}; scores are 0 to {_LARGEST_GRADE}")
            return None
        return grade

    def _as_beir(self, language: str, questions: _Questions, passages: _Passages, said: _Judgments) -> None:
        """Leave out questions of other splits, and a passage that is the question itself as a candidate for it."""
        for question in [question for question in questions.texts if question not in said.grades]:
            del questions.texts[question]
        for question, text in questions.texts.items():
            row = passages.rows.get(self._folder.passage_id(language, question))
            if row is not None and passages.texts[row] == text:
                said.grades[question].pop(row, None)
                said.ignored[question] = [row]

    def _entries(self, path: Path | None, needed: Sequence[str], optional: Sequence[str]) -> Iterator[Entry]:
        return iter(()) if path is None else entries(path, needed, optional, self._faults)

    def _id(self, entry: Entry, place: int, name: str, namespaced: Callable[[str], str]) -> str | None:
        """Return an id as it is here, None for a fault."""
        text = self._text(entry, place, name)
        if text is None:
            return None
        here = namespaced(text)
        if here and is_id(text):
            return here
        what = f"{_quoted(text)}; an id holds no tab or line break" if here and text.strip() else "empty"
        self._faults.add(entry.where, f"the field {name!r} is {what}")
        return None

    def _text(self, entry: Entry, place: int, name: str) -> str | None:
        """Return a text of an entry, None for a fault."""
        value = entry.values[place]
        if isinstance(value, str):
            half = _SURROGATE.search(value)
            if half is None:
                return value
            what = f"the field {name!r} holds half a surrogate pair, which is no character, after {half.start()} others"
        else:
            what = f"the field {name!r} is " + ("missing" if value is None else f"{_quoted(value)}, not a text")
        self._faults.add(entry.where, what)
        return None


def is_id(name: str) -> bool:
    """Whether a text can be an id: it is not empty, and holds no tab, line break or other control character."""
    return bool(name.strip()) and not _CONTROL.search(name)


def _relevant(grades: Mapping[int, int]) -> dict[int, int]:
    return {row: grade for row, grade in grades.items() if grade > 0}


def _quoted(value: object) -> str:
    return shown(repr(value), 80)
