"""Parallel corpora: the data model, the readers and where the files come from."""

from __future__ import annotations

from collections.abc import Iterable

from beir_hybrid.corpora import sources
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.registry import register, retrieval_spec_of, spec_of, specs, unregister
from beir_hybrid.corpora.spec import CorpusSpec

__all__ = [
    "CorpusSpec",
    "LanguageCorpus",
    "ParallelCorpus",
    "choose_languages",
    "load",
    "register",
    "revision_of",
    "spec_of",
    "specs",
    "unregister",
]


def load(name: str, languages: Iterable[str] | None = None, progress: bool = True) -> ParallelCorpus:
    """Load a retrieval corpus by name, downloading its files if they are not on this machine.

    Args:
        name: ``xquad-r``, ``mlqa-r``, or ``atlas-r``, which is generated here: its test split; or a corpus that was
            registered.
        languages: Language tags; None for all languages of the corpus.
        progress: Show a progress bar for downloads, if standard error is a terminal.

    Returns:
        The corpus, its languages in the order of the spec.

    Raises:
        DataError: The name or a language is unknown, the data set is no retrieval corpus, or a file is missing or
            malformed.
        BeirHybridError: The cache folder cannot be written to.
    """
    spec = retrieval_spec_of(name)
    assert spec.read is not None
    return spec.read(spec, spec.choose(languages), progress)


def choose_languages(name: str, languages: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the languages asked for of a retrieval corpus, None for all, in its order; reads nothing.

    Raises:
        DataError: The name or a language is unknown, or the data set is no retrieval corpus.
    """
    return retrieval_spec_of(name).choose(languages)


def revision_of(name: str, languages: Iterable[str] | None = None) -> str:
    """Return what names the exact texts that reading some languages, None for all, gives; downloads nothing.

    Returns:
        Of what is generated its content hash, else see ``sources.revision_of``.

    Raises:
        DataError: The corpus or a language is unknown, or a file cannot be read.
    """
    spec = spec_of(name)
    return spec.revision if spec.files is None else sources.revision_of(spec, languages)
