"""What is known of a corpus before it is read: its spec, from which every list of corpora is derived."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from beir_hybrid.corpora.parallel import ParallelCorpus, ParallelSentences, choose

CORPUS_FILE = "corpus.toml"
"""The file that makes a folder a corpus."""

BIAS_SUFFIX = "LanguageBias"
"""What follows the name of a retrieval task in that of its bias task."""


_MOST_NAMED = 6
"""Languages that the name of a task of some languages spells out."""


@dataclass(frozen=True)
class Files:
    """The published files of a corpus: one a language, and those that belong to all languages.

    A *part* is a language or the name of a shared file: what has a file, a checksum and an address.

    Attributes:
        url: Address of a file, a template with ``{revision}`` and ``{language}``.
        folder: Subfolder of BEIR_HYBRID_DATA, and of the cache folder, that holds the files.
        sha256: Language -> SHA-256 of its file, in the order of the corpus.
        shared: File name -> SHA-256 of the files that belong to all languages; needed whatever is read.
        names: Part -> what stands for ``{language}`` in its address, where that is not the part itself.
        suffix: End of the name of a language's file.
        pivot: Language whose file is fetched with any other.
    """

    url: str
    folder: str
    sha256: Mapping[str, str]
    shared: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ".json"
    pivot: str = "en"

    @property
    def parts(self) -> Mapping[str, str]:
        """Part -> SHA-256: the languages, then the shared files."""
        return {**self.sha256, **self.shared}

    def path(self, root: Path, part: str) -> Path:
        """Return the place of a part's file below ``root``."""
        return root / self.folder / (part if part in self.shared else part + self.suffix)


@dataclass(frozen=True)
class TaskFacts:
    """What MTEB's metadata say of the retrieval task of a corpus, in the words of mteb's ``TaskMetadata``.

    Attributes:
        name: Name of the task; that of its language-bias task follows from it.
        path: Where the data is published, ``organization/name``.
        description: One sentence about the data.
        reference: Address of its page or paper.
        date: First and last day that the texts are from, where it is known.
        domains: What the texts are about, in MTEB's words.
        annotations_creators: Who judged, in MTEB's words.
        sample_creation: How the texts were made, in MTEB's words.
        license: The licence, where MTEB does not write it as the spec does.
        benchmark: Name of the benchmark of ours that the task belongs to, if any.
        module: Module that defines the tasks, where they are more than a spec says.
    """

    name: str
    path: str = ""
    description: str = ""
    reference: str = ""
    date: tuple[str, str] | None = None
    domains: tuple[str, ...] = ("Encyclopaedic", "Written")
    annotations_creators: str = "human-annotated"
    sample_creation: str = "human-translated"
    license: str = ""
    benchmark: str = ""
    module: str = ""

    @property
    def bias_name(self) -> str:
        """Name of the task that measures language bias on the same data."""
        return self.name + BIAS_SUFFIX


@dataclass(frozen=True)
class Origin:
    """The task of MTEB's own that a corpus is a pool of.

    Encoders are asked as that task asks them: prompts go by its name, and its data come by its loader.

    Attributes:
        task: Name of the task.
        subsets: Language of the corpus -> the task's monolingual subset of it.
        split: Split that is read.
        pairs: Languages of questions and of passages that it has judgments of; None for all there are.
    """

    task: str
    subsets: Mapping[str, str]
    split: str = "test"
    pairs: frozenset[tuple[str, str]] | None = None


Reader = Callable[["CorpusSpec", Sequence[str], bool], ParallelCorpus]
"""Reads some languages of a corpus; the last argument asks for progress bars of downloads on a terminal."""


@dataclass(frozen=True)
class PairSource:
    """A source of training pairs.

    Attributes:
        read: Reads the texts, as a corpus's reader does.
        kinds: The kinds of pairs of sentences without questions: ``translation``, ``next`` or both.
    """

    read: Callable[[CorpusSpec, Sequence[str], bool], ParallelCorpus | ParallelSentences]
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CorpusSpec:
    """Everything that is known of a corpus before it is read; each is equal to itself alone.

    Attributes:
        name: Name that users type, e.g. ``xquad-r``.
        title: Its name as it is written.
        licence: Licence that the publisher ships with the texts, as an SPDX identifier in lower case.
        languages: Language tags, in order; by default those of the files.
        revision: Commit that the files are pinned to, or content hash of what is generated; "" where MTEB pins it.
        citation: BibTeX entries.
        files: Its files; None where it is generated, or where its task reads it through MTEB.
        read: Reads questions and passages; None where there are none, or where only its task reads them.
        task: Its retrieval task in MTEB; None if it has none.
        adapted_from: MTEB's own tasks that are made of the same texts.
        pairs: Name of a source of training pairs that is made of it -> the source.
        metrics: Retrieval metrics that the leaderboard has columns of, if any; the first is the task's main score.
        judged_in_own_language: Whether questions have right answers in their own language only, which leaves nothing to
            say of language bias.
        group: Title of the data sets that the leaderboard averages over, and this is one of; "" for none.
        origin: The task of MTEB's own that this is a pool of; None for a corpus with texts of its own.
    """

    name: str
    title: str
    licence: str
    languages: tuple[str, ...] = ()
    revision: str = ""
    citation: str = ""
    files: Files | None = None
    read: Reader | None = None
    task: TaskFacts | None = None
    adapted_from: tuple[str, ...] = ()
    pairs: Mapping[str, PairSource] = field(default_factory=dict)
    metrics: tuple[str, ...] = ("map",)
    judged_in_own_language: bool = False
    group: str = ""
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if not self.languages and self.files is not None:
            object.__setattr__(self, "languages", tuple(self.files.sha256))

    @property
    def mteb_tasks(self) -> frozenset[str]:
        """The MTEB tasks that a model trained on these texts is no longer zero-shot for."""
        own = () if self.task is None else (self.task.name, self.task.bias_name)
        return frozenset({*own, *self.adapted_from})

    @property
    def judged_pairs(self) -> frozenset[tuple[str, str]] | None:
        """Languages of questions and of passages that there can be judgments of; None for all."""
        if self.judged_in_own_language:
            return frozenset(zip(self.languages, self.languages, strict=True))
        return None if self.origin is None else self.origin.pairs

    def choose(self, languages: Iterable[str] | None) -> tuple[str, ...]:
        """Return the languages asked for, each once and in the order of the corpus.

        Args:
            languages: Language tags, or one of them as text; None for all.

        Raises:
            DataError: A language is not part of the corpus, or none was asked for.
        """
        return choose(self.name, self.languages, languages)

    def restricted(self, languages: Iterable[str] | None) -> CorpusSpec:
        """Return the spec of a corpus that has some of these languages only.

        Its pool is that of these languages, so that its ranks are others: its task and its revision have other names.

        Args:
            languages: As for ``choose``.

        Raises:
            DataError: As for ``choose``.
        """
        chosen = self.choose(languages)
        if chosen == self.languages:
            return self
        revision = f"{self.revision}-{_joined(chosen)}"
        task = None if self.task is None else replace(self.task, name=f"{self.task.name}-{_joined(chosen)}")
        return replace(self, languages=chosen, revision=revision, task=task, files=None, read=self._reader())

    def _reader(self) -> Reader | None:
        """Return what reads languages of this corpus, whichever spec asks."""
        read = self.read
        return None if read is None else lambda _, languages, progress: read(self, languages, progress)


def task_name_of(name: str) -> str:
    """Return the name of the task of a corpus that says none: ``HelpCentre`` of ``help-centre``."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name))


def _joined(languages: Sequence[str]) -> str:
    """Name some languages in one word: all of them, or their number and a hash where they are many."""
    if len(languages) <= _MOST_NAMED:
        return "-".join(languages)
    return f"{len(languages)}-languages-{sha256(' '.join(languages).encode()).hexdigest()[:8]}"
