"""Reads NTREX-128: the sentences of news stories, the same in every language.

Source: Federmann, Kocmi and Xin, 2022, https://aclanthology.org/2022.sumeval-1.4. A file holds one sentence a line;
line i of every language translates line i of the English file. DOCUMENT_IDS.tsv names the document of each line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from beir_hybrid.corpora import sources
from beir_hybrid.errors import DataError
from beir_hybrid.files import read_text

NAME = "ntrex"


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


def read(languages: Iterable[str] | None = None, progress: bool = True) -> ParallelSentences:
    """Read NTREX-128.

    Args:
        languages: ISO 639-1 codes; None for all languages of the data set.
        progress: Show a progress bar for files that have to be downloaded.

    Returns:
        The sentences as they are in the files, the languages in the order of the data set.

    Raises:
        DataError: A language is unknown, a file cannot be had (see ``sources.path_of``), or a file is malformed:
            unreadable, not UTF-8, with an empty line, or of another length than its list of documents.
        BeirHybridError: The cache folder cannot be written to.
    """
    source = sources.data_set(NAME)
    wanted = source.choose(languages)
    (shared,) = source.shared
    list_of_documents = sources.path_of(NAME, shared, progress)
    documents = _documents(list_of_documents)
    sentences = {}
    for language in wanted:
        path = sources.path_of(NAME, language, progress)
        sentences[language] = _lines(path)
        if len(sentences[language]) != len(documents):
            raise DataError(
                f"{path}: {len(sentences[language])} lines, but {list_of_documents} has {len(documents)}; "
                "line i must be the same sentence in every file"
            )
    return ParallelSentences(sources.revision_of(NAME, wanted), sentences, documents)


def _documents(path: Path) -> tuple[str, ...]:
    """Return the document of each line; the lines of a document must follow each other."""
    documents = _lines(path)
    seen: set[str] = set()
    line = 1
    for document, lines in groupby(documents):
        if document in seen:
            raise DataError(f"{path}, line {line}: the document {document!r} goes on after another; restore the file")
        seen.add(document)
        line += sum(1 for _ in lines)
    return documents


def _lines(path: Path) -> tuple[str, ...]:
    """Return the lines of a file, without their ends, which the published files write both ways."""
    text = read_text(path, DataError)
    # Not splitlines(), which also splits at characters that can stand inside a sentence.
    lines = tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
    if not text.strip():
        raise DataError(f"{path}: the file is empty; restore it")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise DataError(f"{path}, line {number}: the line is empty; restore the file")
    return lines
