"""Parallel corpora: the data model, the readers and where the files come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from beir_hybrid.corpora import atlas, lareqa, ntrex, sources
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.sources import DATA_SETS, DataSet
from beir_hybrid.errors import DataError

__all__ = [
    "DATA_SETS",
    "RETRIEVAL_CORPORA",
    "DataSet",
    "LanguageCorpus",
    "ParallelCorpus",
    "RetrievalCorpus",
    "load",
    "revision_of",
]


@dataclass(frozen=True)
class RetrievalCorpus:
    """What is known of a retrieval corpus before it is loaded.

    Attributes:
        title: Its name as it is written.
        languages: ISO 639-1 codes, in order.
        licence: Its licence, as an SPDX identifier in lower case.
    """

    title: str
    languages: tuple[str, ...]
    licence: str


RETRIEVAL_CORPORA: Mapping[str, RetrievalCorpus] = {
    **{
        name: RetrievalCorpus(title, DATA_SETS[name].languages, DATA_SETS[name].licence)
        for name, title in (("xquad-r", "XQuAD-R"), ("mlqa-r", "MLQA-R"))
    },
    atlas.NAME: RetrievalCorpus("Atlas-R", atlas.LANGUAGES, atlas.LICENCE),
}
"""All names that `load` takes. `DATA_SETS` has those with files, and NTREX, which has no questions."""


def load(name: str, languages: Sequence[str] | None = None, progress: bool = True) -> ParallelCorpus:
    """Load a retrieval corpus by name, downloading its files if they are not on this machine.

    Args:
        name: ``xquad-r``, ``mlqa-r``, or ``atlas-r``, which is generated here: its test split.
        languages: ISO 639-1 codes; None for all languages of the data set.
        progress: Show a progress bar for downloads, if standard error is a terminal.

    Returns:
        The corpus, its languages in the order of the data set.

    Raises:
        DataError: The name or a language is unknown, the data set is no retrieval corpus, or a file is missing or
            malformed.
        BeirHybridError: The cache folder cannot be written to.
    """
    if name == ntrex.NAME:
        raise DataError(
            f"{name} is no retrieval corpus: it has parallel sentences but no questions, and serves for training only"
        )
    if name not in RETRIEVAL_CORPORA:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(RETRIEVAL_CORPORA)}")
    if name == atlas.NAME:
        return atlas.read(languages)
    return lareqa.read(name, languages, progress)


def revision_of(name: str, languages: Iterable[str] | None = None) -> str:
    """Return what names the exact texts that reading some languages of a data set gives; downloads nothing.

    Args:
        name: Name of the data set, also ``atlas-r``.
        languages: ISO 639-1 codes; None for all.

    Returns:
        For Atlas-R its content hash, else see ``sources.revision_of``.

    Raises:
        DataError: The data set or a language is unknown, or a file cannot be read.
    """
    return atlas.revision() if name == atlas.NAME else sources.revision_of(name, languages)
