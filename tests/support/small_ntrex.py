"""A small data set in the layout of NTREX-128, made up here: 21 languages, three documents."""

from __future__ import annotations

from pathlib import Path

from beir_hybrid.corpora import spec_of

SOURCE = spec_of("ntrex")
LANGUAGES = SOURCE.languages
DOCUMENTS = ("paper.1", "paper.1", "paper.1", "paper.2", "radio.3", "radio.3")
"""Document of each sentence."""


def sentences(language: str) -> tuple[str, ...]:
    """Return the sentences of a language."""
    return tuple(f"{language} sentence {row} of {document}." for row, document in enumerate(DOCUMENTS))


def write(folder: Path) -> Path:
    """Write all files of NTREX-128 as a BEIR_HYBRID_DATA folder and return it."""
    (shared,) = SOURCE.files.shared
    path = SOURCE.files.path(folder, shared)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{document}\n" for document in DOCUMENTS).encode())
    for language in LANGUAGES:
        lines = "".join(f"{sentence}\r\n" for sentence in sentences(language))
        SOURCE.files.path(folder, language).write_bytes(lines.encode())
    return folder
