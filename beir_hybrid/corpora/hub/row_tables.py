"""Tables of rows, each a question with a passage that answers it, in one language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from beir_hybrid.corpora.parallel import LanguageCorpus
from beir_hybrid.errors import DataError
from beir_hybrid.files import shown

if TYPE_CHECKING:
    from datasets import Dataset


def read_rows(where: str, rows: Dataset, columns: Mapping[str, str], language: str) -> LanguageCorpus:
    """Read the rows of one language.

    Equal texts are one passage, and rows of one id, or without ids of one text, are one question with several answers.

    Args:
        where: The data set, for messages.
        rows: Its rows; those of other languages are passed over.
        columns: What is looked for -> name of its column.
        language: The language; where a column says it, as it is written there.

    Returns:
        The language, whose tag is still to be set. Question ids are those of the data set, or texts without any.

    Raises:
        DataError: A cell is empty or no text, or two rows of one id ask different questions.
    """
    texts: dict[str, list[Any]] = {what: rows[name] for what, name in columns.items()}
    passages: dict[tuple[str, str], int] = {}
    questions: dict[str, str] = {}
    articles: dict[str, str] = {}
    relevance: dict[str, dict[int, int]] = {}
    for number in range(len(rows)):
        if "language" in columns and str(texts["language"][number]) != language:
            continue
        place = f"{where}, row {number + 1}"
        question, passage = (_text(place, columns[what], texts[what][number]) for what in ("question", "passage"))
        title = str(texts["title"][number] or "") if "title" in columns else ""
        name = _text(place, columns["id"], texts["id"][number]) if "id" in columns else question
        if questions.setdefault(name, question) != question:
            raise DataError(f"{place}: the id {shown(repr(name), 80)} stood at another question of the same language")
        article = texts["article"][number] if "article" in columns else None
        articles.setdefault(name, name if article is None else str(article))
        row = passages.setdefault((title, passage), len(passages))
        relevance.setdefault(name, {})[row] = 1
    if not questions:
        raise DataError(f"{where}: has no rows")
    return LanguageCorpus(
        language=language,
        question_ids=tuple(questions),
        questions=tuple(questions.values()),
        articles=tuple(articles.values()),
        passage_ids=tuple(map(str, range(len(passages)))),
        passages=tuple(passage for _, passage in passages),
        relevance=relevance,
        titles=tuple(title for title, _ in passages) if "title" in columns else None,
    )


def languages_in(rows: Dataset, column: str) -> Sequence[str]:
    """Return what a column says of languages, in the order of the rows."""
    return [str(value) for value in dict.fromkeys(rows[column])]


def _text(place: str, column: str, value: Any) -> str:
    """Return a text or a number as a text."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(f"{place}: the column {shown(column)!r} holds no text but {shown(repr(value), 80)}")
    if not str(value).strip():
        raise DataError(f"{place}: the column {shown(column)!r} is empty")
    return str(value)
