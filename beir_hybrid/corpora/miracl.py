"""Reads MIRACL as mteb's own tasks do: the same repositories, the same pinned revisions, mteb's own loader.

MIRACL judges a question in its own language only. A user may add translations of its questions; the judgments stay
those of the original. Source: MIRACL, https://doi.org/10.1162/tacl_a_00595.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.spec import CorpusSpec, TaskFacts
from beir_hybrid.corpora.text_columns import TextColumn
from beir_hybrid.errors import BeirHybridError, DataError, one_line
from beir_hybrid.files import read_text, reading, user_path
from beir_hybrid.subsets import MULTI, Subset, is_subset

if TYPE_CHECKING:
    from datasets import Dataset
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData

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

# Seconds until the hub must answer: without a network the answer is an error, and an error must come at once. The
# hub's own client tries for half a minute.
CONNECT_TIMEOUT = 3

_AT_ONCE = 1_000_000
"""Ids looked through at once."""

_DATA = "BEIR_HYBRID_MIRACL"
_QUERIES = "BEIR_HYBRID_MIRACL_QUERIES"
_SUFFIX = ".jsonl"


@dataclass(frozen=True)
class HubSource:
    """A data set of the hub in mteb's layout.

    Attributes:
        name: Name of the corpus, e.g. ``miracl``.
        path: Name of the repository.
        revision: Pinned commit.
        split: Split that is read.
    """

    name: str
    path: str
    revision: str
    split: str

    @property
    def folder(self) -> Path | None:
        """The user's own copy: BEIR_HYBRID_MIRACL, or the folder in it that is named like the repository; or None."""
        root = _folder_of(os.environ.get(_DATA), _DATA)
        if root is None:
            return None
        inside = root / self.path.rpartition("/")[2]
        return inside if inside.is_dir() else root

    def check_available(self) -> None:
        """Make sure that it can be had, quickly: from the user's own copy, or from the hub or its client's cache.

        Raises:
            DataError: It cannot.
        """
        from huggingface_hub import constants

        if self.folder is not None:
            languages_of(self)
        elif not constants.HF_HUB_OFFLINE and not _answers(constants.ENDPOINT, int(time.monotonic() // 60)):
            raise DataError(f"{self.path}: {constants.ENDPOINT} does not answer; {_ways_out(self)}")
        elif constants.HF_HUB_OFFLINE:
            from datasets import get_dataset_config_names

            try:
                get_dataset_config_names(self.path, self.revision)
            except Exception as error:
                raise DataError(f"{self.path}: not on this machine ({one_line(error)}); {_ways_out(self)}") from error


def languages_of(source: HubSource) -> tuple[str, ...]:
    """Return the languages that a data set has: all 18, but a user's own copy may have fewer.

    Raises:
        DataError: The user's own copy is missing or not in the hub's layout.
    """
    if source.folder is None:
        return LANGUAGES
    configs = _configs(source.folder, _fingerprint(source.folder))
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
    return _folder_of(folder or os.environ.get(_QUERIES), _QUERIES)


def _folder_of(configured: Path | str | None, variable: str) -> Path | None:
    try:
        return user_path(configured, f"{variable}=") if configured else None
    except BeirHybridError as error:
        raise DataError(str(error)) from error


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


def revision_of(source: HubSource, translations: Path | None = None) -> str:
    """Return what names the exact texts that are read: the pinned commit, or a hash of the user's own files.

    Raises:
        DataError: A folder or file cannot be read.
    """
    folder = source.folder
    revision = source.revision if folder is None else f"local-{_content_hash(folder, _files(folder))}"
    if translations is None:
        return revision
    return f"{revision}-queries-{_content_hash(translations, sorted(translations.glob(f'*{_SUFFIX}')))}"


def read(
    source: HubSource, subsets: Sequence[str], translations: Path | None = None, num_proc: int | None = None
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
        language: _read_language(source, language, num_proc)
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


def _read_language(source: HubSource, language: str, num_proc: int | None) -> LanguageCorpus:
    """Read one language: its passages, and its questions that have a relevant passage."""
    where = f"{source.folder or source.path} {language}"
    data = _load(source, language, num_proc, where)
    passages: Dataset = data["corpus"]
    questions = dict(zip(map(str, data["queries"]["id"]), map(str, data["queries"]["text"]), strict=True))
    judgments = {
        question: relevant
        for question, grades in data["relevant_docs"].items()
        if (relevant := {passage: grade for passage, grade in grades.items() if grade > 0})
    }
    unknown = judgments.keys() - questions.keys()
    if unknown:
        raise DataError(f"{where}: the qrels name the question {min(unknown)!r}, which is not among the queries")
    if not judgments:
        raise DataError(f"{where}: no question has a relevant passage; check the qrels")
    rows = _rows_of({passage for grades in judgments.values() for passage in grades}, passages)
    nowhere = [passage for grades in judgments.values() for passage in grades if passage not in rows]
    if nowhere:
        raise DataError(f"{where}: the qrels name the passage {nowhere[0]!r}, which is not in the corpus")
    part = LanguageCorpus(
        language=language,
        question_ids=(),
        questions=(),
        articles=(),
        passage_ids=TextColumn(passages, "id", prefix=f"{language}:"),
        passages=TextColumn(passages, "text"),
        relevance={
            f"{language}-{question}": {rows[passage]: int(grade) for passage, grade in grades.items()}
            for question, grades in judgments.items()
        },
        titles=TextColumn(passages, "title") if "title" in passages.column_names else None,
    )
    return _asking(part, {f"{language}-{name}": text for name, text in questions.items() if name in judgments})


def _rows_of(ids: Iterable[str], passages: Dataset) -> dict[str, int]:
    """Find the rows of some passages, in the order of the data set, without a copy of all ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(ids), pa.string())
    column = passages.select_columns(["id"]).with_format("arrow")
    rows: dict[str, int] = {}
    for first in range(0, len(column), _AT_ONCE):
        names = column[first : first + _AT_ONCE]["id"].cast(pa.string())
        places = np.flatnonzero(pc.is_in(names, value_set=wanted).to_numpy())
        rows.update((names[place].as_py(), first + int(place)) for place in places)
    return rows


def _load(source: HubSource, language: str, num_proc: int | None, where: str) -> RetrievalSplitData:
    """Read one language by mteb's loader; whatever it raises becomes one line."""
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalDatasetLoader

    try:
        data = RetrievalDatasetLoader(
            hf_repo=str(source.folder or source.path), revision=source.revision, split=source.split, config=language
        ).load(num_proc=num_proc)
        columns = set(data["corpus"].column_names) & set(data["queries"].column_names)
    except IndexError as error:
        raise DataError(f"{where}: the corpus or the queries are empty") from error
    except Exception as error:  # of the hub's client, pyarrow, polars, the file system
        empty = _empty_file(source.folder, language)
        if empty is not None:
            raise DataError(f"{where}: {empty} is empty") from error
        raise DataError(f"{where}: cannot be read ({one_line(_root(error))}); {_ways_out(source)}") from error
    for column in ("id", "text"):
        if column not in columns:
            raise DataError(f"{where}: the corpus or the queries lack the column {column!r}")
    return data


def _empty_file(folder: Path | None, language: str) -> Path | None:
    """Find the Parquet file without a row that a language could not be read for; its reader's words say nothing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in _files(folder) if folder is not None else []:
        if path.suffix == ".parquet" and path.relative_to(folder or path).parts[0].startswith(f"{language}-"):
            try:
                if pq.read_metadata(path).num_rows == 0:
                    return path
            except (OSError, pa.ArrowException):
                continue
    return None


def _root(error: BaseException) -> BaseException:
    """Return what an error was raised from in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@lru_cache(maxsize=1)
def _answers(address: str, minute: int) -> bool:
    """Whether the hub answers; asked once a minute."""
    import requests

    try:
        requests.head(address, timeout=CONNECT_TIMEOUT)
    except requests.RequestException:
        return False
    return True


def _ways_out(source: HubSource) -> str:
    if source.folder is not None:
        return f"{_DATA} must name a copy of the hub's repository {source.path}, or several under their names"
    return (
        f"set {_DATA} to a copy of the hub's repository {source.path}, or HF_HUB_OFFLINE=1 to use what the hub's "
        "client has downloaded before, or try again where there is a network"
    )


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


def _files(folder: Path) -> list[Path]:
    """The files of a user's own copy; hidden ones, such as a repository's own, do not count."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; check {_DATA}")
    found = (path for path in folder.rglob("*") if not any(p.startswith(".") for p in path.relative_to(folder).parts))
    return sorted(path for path in found if path.is_file())


def _fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Tell quickly whether the files are those of a moment ago."""
    return tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in _files(folder))


def _content_hash(folder: Path, paths: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        with reading(path, DataError):
            digest = _file_hash(path, path.stat().st_size, path.stat().st_mtime_ns)
        total.update(f"{path.relative_to(folder).as_posix()} {digest}\n".encode())
    return total.hexdigest()[:16]


@lru_cache(maxsize=10_000)
def _file_hash(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file; computed again when its size or date has changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=8)
def _configs(folder: Path, fingerprint: tuple[tuple[str, int, int], ...]) -> frozenset[str]:
    """Names of the configurations that the hub's client finds in a folder."""
    from datasets import get_dataset_config_names

    try:
        return frozenset(get_dataset_config_names(str(folder)))
    except Exception as error:
        raise DataError(f"{folder}: cannot be read ({one_line(error)}); check {_DATA}") from error
