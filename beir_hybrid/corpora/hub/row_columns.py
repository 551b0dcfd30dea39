"""Which column of a table of rows holds what: named by the user, or found by usual names."""

from __future__ import annotations

from collections.abc import Sequence

from beir_hybrid.errors import DataError
from beir_hybrid.files import shown
from beir_hybrid.schemas import Known, Name

USUAL = {
    "question": ("question", "query", "question_text", "query_text"),
    "passage": ("passage", "answer", "context", "document", "text", "positive", "passage_text", "sentence"),
    "language": ("language", "lang", "language_code", "locale"),
    "id": ("id", "_id", "question_id", "query_id", "qid", "question-id", "query-id"),
    "title": ("title",),
    "article": ("article", "article_id", "document_id", "doc_id"),
}
"""What is looked for -> names that columns of it have, the first that is there."""


class Columns(Known):
    """The table ``[columns]`` of a corpus.toml: names of columns where they are not found by themselves.

    Attributes:
        question: The question.
        passage: The passage that answers it.
        language: The language of both, where there is no configuration for each language.
        id: The same for all translations of a question; without it no two questions are parallel.
        title: The title of the passage.
        article: What questions on one text have in common.
        split: The split of the data set; no column.
    """

    question: Name = ""
    passage: Name = ""
    language: Name = ""
    id: Name = ""
    title: Name = ""
    article: Name = ""
    split: Name = ""


def find_columns(where: str, names: Sequence[str], given: Columns, one_language: bool) -> dict[str, str]:
    """Return what is looked for -> name of its column; what is optional and not there is left out.

    Args:
        where: The data set, for messages.
        names: Names of its columns.
        given: Those that a user names.
        one_language: Whether all rows are of one language, so that no column has to say which.

    Raises:
        DataError: A column is missing.
    """
    found = {}
    for what, usual in USUAL.items():
        named = getattr(given, what)
        if named and named not in names:
            raise DataError(f"{where}: there is no column {shown(named)!r} ({what}); there are {_listed(names)}")
        column = named or next((name for name in usual if name in names), "")
        if column:
            found[what] = column
    for what in ("question", "passage", *(() if one_language else ("language",))):
        if what not in found:
            raise DataError(
                f"{where}: no column is known to hold the {what}; there are {_listed(names)}: name it under [columns] "
                "in a corpus.toml (docs/hub.md)"
            )
    if one_language:
        found.pop("language", None)
    return found


def _listed(names: Sequence[str]) -> str:
    return shown(", ".join(names)) or "none"
