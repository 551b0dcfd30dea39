"""Corpora by what a user types: a name, a folder, or where they come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from beir_hybrid.corpora import registry
from beir_hybrid.corpora.discovery import is_corpus_folder
from beir_hybrid.corpora.parquet_texts import is_address
from beir_hybrid.corpora.spec import CorpusSpec
from beir_hybrid.errors import DataError, did_you_mean
from beir_hybrid.files import shown, user_path

Source = str | Path | CorpusSpec
"""What names a corpus: its name, its folder or address, ``mteb:TASK``, ``hub:OWNER/NAME``, ``beir:FOLDER``, or its
spec."""

FORMS = "the folder or address (s3://...) of a corpus, mteb:TASK, hub:OWNER/NAME or beir:FOLDER"


def is_corpus(source: object) -> bool:
    """Whether something is written like a retrieval corpus; what a prefix names need not exist."""
    if isinstance(source, CorpusSpec):
        return source.read is not None
    text = str(source)
    spec = registry.find(text) if isinstance(source, str) else None
    if spec is not None:
        return spec.read is not None
    return is_address(text) or _prefix(text) in _read_by_prefix() or is_corpus_folder(user_path(text))


def spec_of_source(source: Source) -> CorpusSpec:
    """Return the spec of a retrieval corpus; reads no text of it.

    Args:
        source: Its name in `beir-hybrid data list`; the folder of a corpus of the user's own; ``mteb:TASK`` for the
            pool of a retrieval task of MTEB's; ``hub:OWNER/NAME`` or ``hub:OWNER/NAME@REVISION``; ``beir:FOLDER``;
            the address of a folder in object storage, such as ``s3://bucket/corpus``; or a spec.

    Returns:
        What is known of it before it is read.

    Raises:
        DataError: There is no such corpus, or what describes it is malformed.
    """
    if isinstance(source, CorpusSpec):
        return source
    text = str(source)
    if isinstance(source, str) and registry.find(text) is not None:
        return registry.retrieval_spec_of(text)
    if is_address(text):
        from beir_hybrid.corpora.own import spec_of_address

        return spec_of_address(text)
    reader = _read_by_prefix().get(_prefix(text))
    if reader is not None:
        return reader(text.partition(":")[2])
    if user_path(text).is_dir():
        from beir_hybrid.corpora.own import spec_of_folder

        return spec_of_folder(user_path(text))
    known = [spec.name for spec in registry.retrieval_specs()]
    meant = did_you_mean(text.lower(), known, cutoff=0.75)
    raise DataError(f"unknown data set {shown(text)!r}; known: {', '.join(known)}, and {FORMS}{meant and '; ' + meant}")


def lasting(source: str) -> str:
    """Return what names the same corpus from any folder: that of a folder is its whole path."""
    prefix = "beir:" if source.startswith("beir:") else ""
    if not prefix and (registry.find(source) is not None or _prefix(source) in _read_by_prefix()):
        return source
    folder = user_path(source.removeprefix(prefix))
    return f"{prefix}{folder.resolve()}" if folder.is_dir() else source


def _read_by_prefix() -> dict[str, Callable[[str], CorpusSpec]]:
    return {"mteb": _of_mteb, "hub": _of_hub, "beir": _of_beir}


def _prefix(text: str) -> str:
    return text.partition(":")[0] if ":" in text else ""


def _of_mteb(name: str) -> CorpusSpec:
    from beir_hybrid.corpora.mteb_pools import spec_of_mteb

    registered = (spec for spec in registry.specs() if spec.origin is not None and spec.origin.task == name)
    return next(registered, None) or spec_of_mteb(name)


def _of_hub(name: str) -> CorpusSpec:
    from beir_hybrid.corpora.hub.hub_corpora import spec_of_hub

    return spec_of_hub(name)


def _of_beir(folder: str) -> CorpusSpec:
    from beir_hybrid.corpora.own import spec_of_beir

    return spec_of_beir(user_path(folder))
