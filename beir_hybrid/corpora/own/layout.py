"""Where the files of a corpus stand: in a folder for each language, or flat, their names beginning with it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from beir_hybrid.corpora.own.faults import Faults
from beir_hybrid.corpora.spec import CORPUS_FILE
from beir_hybrid.files import shown

LanguageFiles = Mapping[str, Path]
"""Kind -> file of a language, as far as there is one."""

IN_FOLDER = {
    "corpus": "corpus.jsonl",
    "queries": "queries.jsonl",
    "qrels": "qrels/test.tsv",
    "others": "qrels/others.tsv",
    "ignored": "qrels/ignored.tsv",
}
"""Kind -> place in a language's folder: passages; questions; their judgments, and those of questions that are asked in
other languages only; passages that are no candidates for a question."""

_FLAT = {
    "corpus": "-corpus.jsonl",
    "queries": "-queries.jsonl",
    "qrels": "-qrels.tsv",
    "others": "-others.tsv",
    "ignored": "-ignored.tsv",
}


def places_of(language: str, kind: str) -> list[str]:
    """Return where a file of a language may stand in the folder of its corpus."""
    own, flat = f"{language}/{IN_FOLDER[kind]}", f"{language}{_FLAT[kind]}"
    return [own, flat, f"{language}/{kind}.parquet", f"{language}-{kind}.parquet"]


def locate(
    folder: Path, languages: Sequence[str], faults: Faults, elsewhere: Container[str] = ()
) -> dict[str, LanguageFiles]:
    """Find the files of some languages.

    A language needs passages. One without questions has neither questions nor judgments of them.

    Args:
        folder: The folder.
        languages: The languages.
        faults: Is told what is missing.
        elsewhere: Languages whose passages are not in the folder.
    """
    return {language: _of_language(folder, language, faults, language in elsewhere) for language in languages}


def _of_language(folder: Path, language: str, faults: Faults, elsewhere: bool) -> LanguageFiles:
    files: dict[str, Path] = {}
    for kind in IN_FOLDER:
        there = [path for place in places_of(language, kind) if (path := folder / place).exists()]
        if len(there) > 1:
            faults.add(shown(there[0]), f"{shown(there[1].relative_to(folder))} is there, too; keep one of them")
        if there:
            files[kind] = there[0]
    if elsewhere and "corpus" in files:
        faults.add(shown(files["corpus"]), f"{CORPUS_FILE} says that the passages are elsewhere; keep one of them")
    if not files and not elsewhere:
        what = f"nothing of the language {language}: neither {language}/corpus.jsonl nor {language}-corpus.jsonl"
        faults.add(shown(folder), what)
    for kind in (
        *([] if elsewhere else ["corpus"]),
        *(["queries", "qrels"] if files.keys() & {"queries", "qrels"} else []),
    ):
        if files and kind not in files:
            faults.add(_beside(folder, language, kind, files), "the file is missing")
    return files


def _beside(folder: Path, language: str, kind: str, files: LanguageFiles) -> str:
    """Name the place of a missing file in the form that the others have."""
    other = next(iter(files.values()))
    flat = other.parent == folder
    if other.suffix == ".parquet":
        return shown(folder / f"{language}-{kind}.parquet" if flat else folder / language / f"{kind}.parquet")
    return shown(folder / f"{language}{_FLAT[kind]}" if flat else folder / language / IN_FOLDER[kind])
