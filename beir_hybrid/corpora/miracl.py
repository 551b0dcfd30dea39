"""Reads MIRACL as mteb's own tasks do: the same repositories, the same pinned revisions, mteb's own loader.

MIRACL judges a question in its own language only. A user may add translations of its questions; the judgments stay
those of the original. Source: MIRACL, https://doi.org/10.1162/tacl_a_00595.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from beir_hybrid.corpora.hub.copies import folder_named_by
from beir_hybrid.corpora.hub.repository import Repository, content_hash
from beir_hybrid.corpora.hub.retrieval_layout import read_language
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.spec import CorpusSpec, TaskFacts
from beir_hybrid.errors import DataError
from beir_hybrid.files import read_text
from beir_hybrid.subsets import MULTI, Subset, is_subset

LANGUAGES = tuple("ar bn de en es fa fi fr hi id ja ko ru sw te th yo zh".split())
"""MIRACL's languages, in the order of mteb's tasks."""

HARD_NEGATIVES = CorpusSpec(
    name="miracl-hard-negatives",
    title="MIRACL",
    licence="cc-by-sa-4.0",
    languages=LANGUAGES,
    task=TaskFacts("MIRACLCL", benchmark="BEIR-Hybrid", module="beir_hybrid.tasks.miracl"),
    adapted_from=("MIRACLRetrievalHardNegatives",),
    metrics=("ndcg_at_10", "recall_at_100"),
    judged_in_own_language=True,
)
"""The pools of mteb's MIRACLRetrievalHardNegatives."""

FULL = CorpusSpec(
    name="miracl",
    title="MIRACL, full corpora",
    licence="cc-by-sa-4.0",
    languages=LANGUAGES,
    task=TaskFacts("MIRACLCLFull", module="beir_hybrid.tasks.miracl"),
    adapted_from=("MIRACLRetrieval",),
    metrics=(),
    judged_in_own_language=True,
)
"""All 106 million passages, as in mteb's MIRACLRetrieval."""

_DATA = "BEIR_HYBRID_MIRACL"
_QUERIES = "BEIR_HYBRID_MIRACL_QUERIES"
_SUFFIX = ".jsonl"


@dataclass(frozen=True)
class MIRACLSource(Repository):
    """A data set of MIRACL on the hub, or the copy of it that BEIR_HYBRID_MIRACL names.

    Attributes:
        name: Name of the corpus, e.g. ``miracl``.
        split: Split that is read.
    """

    name: str
    split: str
    variable: ClassVar[str] = _DATA

    def check_available(self) -> None:
        """Make sure that it can be had, and that a copy has MIRACL's layout.

        Raises:
            DataError: It cannot, or has another.
        """
        super().check_available()
        languages_of(self)


def languages_of(source: MIRACLSource) -> tuple[str, ...]:
    """Return the languages that a data set has: all 18, but a user's own copy may have fewer.

    Raises:
        DataError: The user's own copy is missing or not in the hub's layout.
    """
    if source.folder is None:
        return LANGUAGES
    configs = source.configs()
    found = tuple(language for language in LANGUAGES if f"{language}-corpus" in configs)
    if not found:
        raise DataError(
            f"{source.folder}: holds no data set in the hub's layout; MIRACL has the configurations "
            f"<language>-corpus, <language>-queries and <language>-qrels: check {_DATA}"
        )
    return found


def translation_folder(folder: Path | str | None = None) -> Path | None:
    """Return the folder of translated questions: the given one, else BEIR_HYBRID_MIRACL_QUERIES, else None.

    Raises:
        DataError: It names the home of nobody, or no path at all.
    """
    return folder_named_by(_QUERIES, folder)


def translated_subsets(folder: Path | None, languages: Sequence[str]) -> list[str]:
    """Return the subsets that a folder of translated questions makes, ``xx-yy``: those of the names of its files.

    Args:
        folder: Its files are ``<xx>-<yy>.jsonl``: the questions of language yy, translated into xx.
        languages: Languages of the data set.

    Raises:
        DataError: The folder is missing or holds no such file, or a file is named otherwise.
    """
    if folder is None:
        return []
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of translated questions; check {_QUERIES}")
    names = sorted(path.name.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}"))
    if not names:
        raise DataError(
            f"{folder}: holds no translated questions; a file is named like its subset, e.g. en-de{_SUFFIX}"
        )
    for name in names:
        pair = Subset.parse(name) if is_subset(name) else Subset("", "")
        if pair.questions not in languages or pair.pool not in languages or pair.setting != "cross-lingual":
            raise DataError(
                f"{folder / name}{_SUFFIX}: the name must be that of its subset, <language of the translation>-"
                f"<language of the judgments>, of the languages {' '.join(languages)}"
            )
    order = {language: place for place, language in enumerate(languages)}
    return sorted(names, key=lambda name: [order[language] for language in Subset.parse(name)])


def revision_of(source: MIRACLSource, translations: Path | None = None) -> str:
    """Return what names the exact texts that are read: the pinned commit, or a hash of the user's own files.

    Raises:
        DataError: A folder or file cannot be read.
    """
    if translations is None:
        return source.exact_revision
    files = sorted(translations.glob(f"*{_SUFFIX}"))
    return f"{source.exact_revision}-queries-{content_hash(translations, files)}"


def read(
    source: MIRACLSource, subsets: Sequence[str], translations: Path | None = None, num_proc: int | None = None
) -> ParallelCorpus:
    """Read the questions and passages that some subsets need.

    Args:
        source: The data set.
        subsets: Such as ``de-de``, ``de-multi``, and ``en-de`` for German questions translated into English.
        translations: Folder of the translated questions.
        num_proc: Processes that prepare downloaded files.

    Returns:
        The corpus. A question id is ``<language it was asked in>-<id in MIRACL>``, a passage id
        ``<language>:<id in MIRACL>``: unique across languages. Passages are read from disk when they are used.

    Raises:
        DataError: The data cannot be had or is malformed; a translation does not fit it.
    """
    source.check_available()
    available = languages_of(source)
    pairs = [Subset.parse(subset) for subset in subsets]
    whole = any(pool == MULTI for _, pool in pairs)
    originals = {
        language: read_language(source, language, language, source.split, f"{language}-", num_proc)
        for language in available
        if whole or any(pool == language for _, pool in pairs)
    }
    parts: dict[str, LanguageCorpus] = {}
    for language in available:
        asked = [pool for question, pool in pairs if question == language]
        if language not in originals and not asked:
            continue
        part = originals.get(language) or LanguageCorpus(language, (), (), (), (), (), {})
        keeps_own = language in asked or MULTI in asked
        questions = dict(zip(part.question_ids, part.questions, strict=True)) if keeps_own else {}
        for pool in available:
            if pool in asked and pool != language:
                questions |= _read_translation(translations, language, originals[pool])
        parts[language] = _asking(part, questions)
    return ParallelCorpus(source.name, revision_of(source, translations), parts)


def _asking(part: LanguageCorpus, questions: Mapping[str, str]) -> LanguageCorpus:
    """Return the passages of a language with some questions, id -> text, each a cluster of its own."""
    ids = tuple(questions)
    return replace(part, question_ids=ids, questions=tuple(questions.values()), articles=ids)


def _read_translation(folder: Path | None, language: str, original: LanguageCorpus) -> dict[str, str]:
    """Return question id -> text of the questions of ``original``, translated into a language."""
    assert folder is not None, "a cross-lingual subset comes from this folder"
    path = folder / f"{Subset(language, original.language)}{_SUFFIX}"
    texts: dict[str, str] = {}
    known = set(original.question_ids)
    for number, line in _lines(path):
        where = f"{path}, line {number}"
        name, text = _translated_question(line, where)
        question_id = f"{original.language}-{name}"
        if question_id not in known:
            raise DataError(f"{where}: no judged {original.language} question has the id {name!r}")
        if question_id in texts:
            raise DataError(f"{where}: the question {name!r} stands twice")
        texts[question_id] = text
    missing = [question_id for question_id in original.question_ids if question_id not in texts]
    if missing:
        name = missing[0].removeprefix(f"{original.language}-")
        raise DataError(
            f"{path}: translates {len(texts)} of the {len(known)} {original.language} questions; {name!r} is missing"
        )
    return {question_id: texts[question_id] for question_id in original.question_ids}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    # Not splitlines, which also splits at characters that may stand in a text.
    for number, line in enumerate(read_text(path, DataError).split("\n"), 1):
        if line.strip():
            yield number, line


def _translated_question(line: str, where: str) -> tuple[str, str]:
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f'{where}: not JSON ({error}); a line is {{"_id": ..., "text": ...}}') from error
    if not isinstance(entry, dict):
        raise DataError(f"{where}: not a JSON object with the fields '_id' and 'text'")
    name, text = entry.get("_id"), entry.get("text")
    if not isinstance(name, str) or not name:
        raise DataError(f"{where}: the field '_id' is missing or not a text")
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where}: the field 'text' is missing, empty or not a text")
    return name, text
