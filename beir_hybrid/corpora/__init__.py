"""Parallel corpora: the data model, the readers and where the files come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from beir_hybrid.corpora import atlas, lareqa, ntrex, sources
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.sources import DATA_SETS, DataSet
from beir_hybrid.errors import DataError

__all__ = [
    "DATA_SETS",
    "RETRIEVAL",
    "DataSet",
    "LanguageCorpus",
    "ParallelCorpus",
    "choose_languages",
    "load",
    "revision_of",
]

RETRIEVAL = (*(name for name in DATA_SETS if name != ntrex.NAME), atlas.NAME)
"""Names of the corpora that have questions: what can be evaluated on."""


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
    languages = choose_languages(name, languages)
    if name == atlas.NAME:
        return atlas.read(languages)
    return lareqa.read(name, languages, progress)


def choose_languages(name: str, languages: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the languages asked for of a retrieval corpus, in its order; reads nothing.

    Args:
        name: Name of the corpus.
        languages: ISO 639-1 codes; None for all.

    Raises:
        DataError: The name or a language is unknown, or the data set is no retrieval corpus.
    """
    if name == ntrex.NAME:
        raise DataError(
            f"{name} is no retrieval corpus: it has parallel sentences but no questions, and serves for training only"
        )
    if name not in RETRIEVAL:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(RETRIEVAL)}")
    return atlas.choose(languages) if name == atlas.NAME else sources.data_set(name).choose(languages)


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
    return atlas.REVISION if name == atlas.NAME else sources.revision_of(name, languages)
