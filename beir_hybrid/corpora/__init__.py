"""Parallel corpora: the data model, the readers and where the files come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from beir_hybrid.corpora import mteb_pools, sources
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.registry import register, spec_of, specs, unregister
from beir_hybrid.corpora.source_names import Source, is_corpus, spec_of_source
from beir_hybrid.corpora.spec import CorpusSpec

__all__ = [
    "CorpusSpec",
    "LanguageCorpus",
    "ParallelCorpus",
    "Source",
    "choose_languages",
    "load",
    "register",
    "revision_of",
    "spec_of",
    "spec_of_source",
    "specs",
    "unregister",
]


def load(source: Source, languages: Iterable[str] | None = None, progress: bool = True) -> ParallelCorpus:
    """Load a retrieval corpus, downloading its files if they are not on this machine.

    Args:
        source: ``xquad-r``, ``mlqa-r``, or ``atlas-r``, which is generated here: its test split; a corpus that was
            registered; the folder of a corpus of the user's own; ``mteb:TASK``, ``hub:OWNER/NAME[@REVISION]`` or
            ``beir:FOLDER``.
        languages: Language tags; None for all languages of the corpus.
        progress: Show a progress bar for downloads, if standard error is a terminal.

    Returns:
        The corpus, its languages in the order of the spec. Its ``spec`` is that of the languages that were read.

    Raises:
        DataError: The name or a language is unknown, the data set is no retrieval corpus, or a file is missing or
            malformed.
        BeirHybridError: The cache folder cannot be written to.
    """
    spec = spec_of_source(source)
    assert spec.read is not None
    chosen = spec.choose(languages)
    corpus = spec.read(spec, chosen, progress)
    return replace(corpus, spec=replace(spec, revision=corpus.revision).restricted(chosen))


def choose_languages(source: Source, languages: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the languages asked for of a retrieval corpus, in its order; reads no text.

    Args:
        source: As for ``load``.
        languages: Language tags; None for all languages of the corpus.

    Returns:
        The tags, each once.

    Raises:
        DataError: The source or a language is unknown, or the data set is no retrieval corpus.
    """
    return spec_of_source(source).choose(languages)


def revision_of(source: Source, languages: Iterable[str] | None = None) -> str:
    """Return what names the exact texts that reading some languages gives; downloads nothing.

    Args:
        source: As for ``load``, or what there are only training pairs of.
        languages: Language tags; None for all languages of the corpus.

    Returns:
        Of what is generated its content hash, else see ``sources.revision_of``.

    Raises:
        DataError: The corpus or a language is unknown, or a file cannot be read.
    """
    spec = spec_of_source(source) if is_corpus(source) else spec_of(str(source))
    if spec.origin is not None and not spec.revision:
        return mteb_pools.revision_of(spec.origin)
    return spec.revision if spec.files is None else sources.revision_of(spec, languages)
