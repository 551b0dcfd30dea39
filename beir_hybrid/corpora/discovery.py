"""Corpora that are not ours: folders that BEIR_HYBRID_CORPORA names, and those that installed packages offer.

Whoever imports mteb looks for them. One that cannot be used is a warning of one line, and the others go on.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from beir_hybrid.corpora.spec import CORPUS_FILE, CorpusSpec
from beir_hybrid.errors import DataError, one_line
from beir_hybrid.files import user_path

FOLDERS = "BEIR_HYBRID_CORPORA"
"""The variable that names folders, each a corpus or a folder of corpora, with the system's separator between them."""

GROUP = "beir_hybrid.corpora"
"""The group of entry points: each names a spec, several of them, or a function without arguments that returns those."""


def is_corpus_folder(folder: Path) -> bool:
    """Whether a folder is a corpus; what is in it may be malformed."""
    return (folder / CORPUS_FILE).is_file()


def found_specs() -> Iterator[CorpusSpec]:
    """Yield the specs of the corpora that installed packages offer, then of those in the user's folders."""
    for entry in entry_points(group=GROUP):
        yield from _or_warning(f"the entry point {entry.name} = {entry.value}", _specs_of, entry)
    for name in os.environ.get(FOLDERS, "").split(os.pathsep):
        for folder in _or_warning(f"{FOLDERS}={name}", _corpora_below, name) if name.strip() else ():
            yield from _or_warning("", _spec_of, folder)


def _specs_of(entry: EntryPoint) -> Iterable[CorpusSpec]:
    offered = entry.load()
    offered = offered() if callable(offered) else offered
    specs = [offered] if isinstance(offered, CorpusSpec) else list(offered)
    for spec in specs:
        if not isinstance(spec, CorpusSpec):
            raise DataError(f"offers a {type(spec).__name__}, not a CorpusSpec")
    return specs


def _corpora_below(name: str) -> Iterable[Path]:
    """Return a corpus's folder as it is, and of any other folder those in it that are corpora."""
    folder = user_path(name.strip(), f"{FOLDERS}=")
    if not folder.is_dir():
        raise DataError("there is no such folder")
    if is_corpus_folder(folder):
        return [folder]
    corpora = sorted(path for path in folder.iterdir() if is_corpus_folder(path))
    if not corpora:
        raise DataError(f"neither a corpus, a folder with a {CORPUS_FILE}, nor a folder of corpora")
    return corpora


def _spec_of(folder: Path) -> Iterable[CorpusSpec]:
    from beir_hybrid.corpora.own import spec_of_folder

    return [spec_of_folder(folder)]


def _or_warning(what: str, find: Callable[[Any], Iterable[Any]], where: Any) -> Iterable[Any]:
    """Return what a function finds; whatever it raises, other people's code included, is a warning."""
    try:
        return find(where)
    except Exception as error:
        reason = str(error) if isinstance(error, DataError) else one_line(error)
        warn_of(f"{what}: {reason}" if what else reason)
        return ()


def warn_of(problem: str) -> None:
    """Say in one line why a corpus is left out."""
    warnings.warn(f"BEIR-Hybrid: a corpus is left out: {' '.join(problem.split())}", RuntimeWarning, stacklevel=2)
