"""Corpora that are made of data sets of the hub: ``hub:OWNER/NAME[@REVISION]`` (docs/hub.md)."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from beir_hybrid.corpora.hub.repository import CONNECT_TIMEOUT, Repository
from beir_hybrid.corpora.hub.retrieval_layout import KINDS, read_language, root_of
from beir_hybrid.corpora.hub.row_columns import Columns, find_columns
from beir_hybrid.corpora.hub.row_tables import languages_in, read_rows
from beir_hybrid.corpora.own.description import Description, read_description
from beir_hybrid.corpora.own.faults import Faults
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.spec import CORPUS_FILE, CorpusSpec, TaskFacts, task_name_of
from beir_hybrid.errors import DataError, one_line
from beir_hybrid.files import as_folder, shown
from beir_hybrid.languages import is_tag, tag_of_mteb

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger("mteb.beir_hybrid")

_NAME = re.compile(r"(?P<path>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[A-Za-z0-9][\w./-]*))?", re.ASCII)

_COMMIT = re.compile(r"[0-9a-f]{40}")

_SPLITS = ("test", "validation", "dev", "train")
"""Splits of a data set; the first that is there is read."""


def spec_of_hub(name: str, description: Description | None = None) -> CorpusSpec:
    """Return the spec of a data set of the hub; reads no question and no passage.

    Args:
        name: ``OWNER/NAME``, or ``OWNER/NAME@REVISION`` for another commit than the newest.
        description: What a corpus.toml says of it; by default that of the user's own copy, if it has one.

    Raises:
        DataError: It cannot be had, has another layout, or its languages are not known.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise DataError(f"hub:{shown(name)}: a data set of the hub is named OWNER/NAME or OWNER/NAME@REVISION")
    repository = _resolved(Repository(match["path"], match["revision"] or ""))
    folder = repository.folder
    if description is None and folder is not None and (folder / CORPUS_FILE).exists():
        description = read_description(folder, Faults())
    described = description.model_dump_json(exclude_defaults=True) if description else ""
    return _spec(repository, repository.exact_revision, described)


@dataclass(frozen=True)
class _HubCorpus:
    """A data set of the hub, before a text of it is read.

    Attributes:
        repository: Where it is.
        columns: What a user says of its columns, and its split.
        configs: Tag -> configuration of the language, or what its configurations begin with; empty for one table of
            all languages.
        is_table: Whether it is a table of rows, and not in the layout of mteb's retrieval tasks.
        judged_in_own_language: Whether equal ids in two languages are different questions.
    """

    repository: Repository
    columns: Columns
    configs: Mapping[str, str]
    is_table: bool
    judged_in_own_language: bool

    @property
    def where(self) -> str:
        """The data set, for messages."""
        return f"hub:{self.repository.path}"

    def read(self, spec: CorpusSpec, languages: Sequence[str], progress: bool = True) -> ParallelCorpus:
        """Read some languages.

        Raises:
            DataError: The data cannot be had or is malformed.
        """
        read = self._read_table if self.is_table else self._read_layout
        parts = {language: read(language) for language in languages}
        if not self.judged_in_own_language:
            self._say(spec.name, parts)
        own = self.judged_in_own_language
        named = {language: _named(part, f"{language}-" if own else "q-") for language, part in parts.items()}
        return ParallelCorpus(spec.name, spec.revision, named)

    def has_ids(self) -> bool:
        """Whether questions have ids by which translations could be recognized."""
        return not self.is_table or any("id" in self._columns(config) for config in self._tables()[:1])

    def languages(self) -> tuple[str, ...]:
        """Return the tags of its languages, in the order of the data set."""
        return tuple(self.configs or self._languages_in_table())

    def _read_layout(self, language: str) -> LanguageCorpus:
        config = self.configs[language]
        split = _split(self.repository, f"{config}-{KINDS[-1]}", self.columns.split)
        return read_language(self.repository, config, language, split)

    def _read_table(self, language: str) -> LanguageCorpus:
        config = self.configs.get(language) or None
        written = language if config else self._languages_in_table()[language]
        where = f"{self.where} {config}" if config else self.where
        rows = self._rows(config)
        part = read_rows(where, rows, self._columns(config), written)
        ids = tuple(f"{language}:{passage_id}" for passage_id in part.passage_ids)
        return replace(part, language=language, passage_ids=ids)

    def _languages_in_table(self) -> dict[str, str]:
        """Tag -> how the column of languages writes it."""
        rows = self._rows(None)
        return _tags(self.where, languages_in(rows, self._columns(None)["language"]))

    def _tables(self) -> list[str | None]:
        return [*self.configs.values()] or [None]

    def _columns(self, config: str | None) -> dict[str, str]:
        rows = self._rows(config)
        return find_columns(self.where, rows.column_names, self.columns, one_language=config is not None)

    def _rows(self, config: str | None) -> Dataset:
        return _load(self.repository, config, self.columns.split, self.repository.exact_revision)

    def _say(self, name: str, parts: Mapping[str, LanguageCorpus]) -> None:
        """Log how many questions have the same id in several languages."""
        times = Counter(question_id for part in parts.values() for question_id in part.question_ids)
        everywhere = sum(number == len(parts) for number in times.values())
        some = sum(1 < number < len(parts) for number in times.values())
        logger.info(
            f"{name}: {everywhere} of {len(times)} question ids are in all {len(parts)} languages, {some} in some of "
            "them: equal ids are taken for translations."
        )


@cache
def _spec(repository: Repository, revision: str, described: str) -> CorpusSpec:
    """Make the spec, by the configurations that the data set has; always the same one of the same facts.

    Args:
        repository: The data set.
        revision: Names its content.
        described: A description as JSON; "" for none.
    """
    where = f"hub:{repository.path}"
    said = Description.model_validate_json(described) if described else None
    columns = said.columns if said and said.columns else Columns()
    configs = sorted(repository.configs())
    parts = [config.rpartition("-") for config in configs]
    kinds = Counter(prefix for prefix, _, kind in parts if kind in KINDS)
    prefixes = [prefix for prefix, times in kinds.items() if prefix and times == len(KINDS)]
    by_language = prefixes or ([] if len(configs) == 1 else configs)
    corpus = _HubCorpus(repository, columns, _tags(where, by_language), not prefixes, False)
    found = corpus.languages()
    description = said or Description.model_construct(
        name=as_folder(repository.path),
        licence="not specified",
        languages=[*found],
        title=repository.path,
        task=task_name_of(repository.path)[:80],
    )
    unknown = [language for language in description.languages if language not in found]
    if unknown:
        raise DataError(f"{where}: has no language {unknown[0]!r}; there are {', '.join(found)}")
    corpus = replace(corpus, judged_in_own_language=description.judged_in_own_language or not corpus.has_ids())
    title = description.title or description.name
    return CorpusSpec(
        name=description.name,
        title=title,
        licence=description.licence,
        languages=tuple(description.languages),
        revision=revision,
        citation=description.citation,
        read=corpus.read,
        task=TaskFacts(
            name=description.task_name,
            path=repository.path,
            description=f"Find the passages that answer a question, in {title}.",
            reference=f"https://huggingface.co/datasets/{repository.path}",
            domains=(),
            annotations_creators="",
            sample_creation="",
        ),
        adapted_from=tuple(description.adapted_from),
        metrics=tuple(description.metrics),
        judged_in_own_language=corpus.judged_in_own_language,
    )


def _named(part: LanguageCorpus, prefix: str) -> LanguageCorpus:
    """Give questions ids that no passage has; those of one language only when they count there only."""
    ids = tuple(f"{prefix}{name}" for name in part.question_ids)
    articles = tuple(
        new if article == old else article
        for old, new, article in zip(part.question_ids, ids, part.articles, strict=True)
    )
    relevance = {f"{prefix}{name}": grades for name, grades in part.relevance.items()}
    return replace(part, question_ids=ids, articles=articles, relevance=relevance)


def _tags(where: str, names: Sequence[str]) -> dict[str, str]:
    """Return tag -> name of a language as the data set writes it: as a tag, or as MTEB does.

    Raises:
        DataError: A name is no language, or two are one language.
    """
    tags: dict[str, str] = {}
    for name in names:
        written = name.replace("_", "-")
        try:
            tag = written if is_tag(written) else tag_of_mteb(written)
        except DataError as error:
            raise DataError(
                f"{where}: {shown(repr(name), 80)} is no language; it needs configurations <language>-corpus, -queries "
                "and -qrels, or a table of rows with one configuration a language or a column of it (docs/hub.md)"
            ) from error
        if tag in tags:
            raise DataError(f"{where}: {shown(name)} and {shown(tags[tag])} are both {tag}")
        tags[tag] = name
    return tags


def _split(repository: Repository, config: str | None, wanted: str) -> str:
    """Return the split that is read."""
    from datasets import get_dataset_split_names

    with _one_line_of(repository), repository.reading():
        splits = get_dataset_split_names(_place(repository), config, revision=_commit(repository))
    if wanted and wanted not in splits:
        raise DataError(f"hub:{repository.path}: has no split {shown(wanted)!r}; there are {shown(', '.join(splits))}")
    return wanted or next((split for split in _SPLITS if split in splits), splits[0])


@lru_cache(maxsize=4)
def _load(repository: Repository, config: str | None, split: str, revision: str) -> Dataset:
    """Load a table; ``revision`` names its content."""
    from datasets import load_dataset

    split = _split(repository, config, split)
    with _one_line_of(repository), repository.reading():
        place, commit = _place(repository), _commit(repository)
        data: Dataset = load_dataset(place, config, split=split, revision=commit, trust_remote_code=False)
    return data


def _place(repository: Repository) -> str:
    return str(repository.folder or repository.path)


def _commit(repository: Repository) -> str | None:
    return None if repository.folder is not None else repository.revision or None


def _resolved(repository: Repository) -> Repository:
    """Return the repository with the commit that a branch, a tag or nothing stands for.

    Raises:
        DataError: The hub does not say, and its client has not asked before.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.file_download import repo_folder_name

    if repository.folder is not None or _COMMIT.fullmatch(repository.revision):
        return repository
    with _one_line_of(repository):
        if constants.HF_HUB_OFFLINE:
            folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository.path, repo_type="dataset")
            commit = (folder / "refs" / (repository.revision or "main")).read_text(encoding="utf-8").strip()
        else:
            repository.check_available()
            info = HfApi().dataset_info(repository.path, revision=repository.revision or None, timeout=CONNECT_TIMEOUT)
            commit = info.sha or ""
    return replace(repository, revision=commit)


@contextmanager
def _one_line_of(repository: Repository) -> Iterator[None]:
    """Turn what the hub's client raises into one line."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # of the hub's client, pyarrow, the file system
        raise DataError(
            f"hub:{repository.path}: cannot be read ({one_line(root_of(error))}); {repository.ways_out}"
        ) from error
