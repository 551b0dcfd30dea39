"""The specs of corpora in folders: the user's own, and BEIR's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from beir_hybrid.corpora.hub.repository import content_hash
from beir_hybrid.corpora.own.description import Description, read_description
from beir_hybrid.corpora.own.faults import Faults
from beir_hybrid.corpora.own.layout import IN_FOLDER, LanguageFiles, locate
from beir_hybrid.corpora.own.object_storage import copied
from beir_hybrid.corpora.own.parts import Folder, read_parts
from beir_hybrid.corpora.parallel import ParallelCorpus
from beir_hybrid.corpora.parquet_texts import is_address
from beir_hybrid.corpora.spec import CORPUS_FILE, CorpusSpec, TaskFacts
from beir_hybrid.errors import DataError
from beir_hybrid.files import as_folder, check_regular, shown, user_path
from beir_hybrid.languages import is_tag

_BEIR_LANGUAGE = "en"
"""Language of a data set of BEIR."""

_BEIR_SPLITS = ("test", "dev", "train")
"""The splits of BEIR's data sets; the first that has judgments is read."""


@dataclass(frozen=True)
class OwnCorpus:
    """A corpus in a folder, before a text of it is read.

    Attributes:
        description: What it says of itself.
        folder: Its files.
    """

    description: Description
    folder: Folder

    @property
    def revision(self) -> str:
        """What names its texts: the given revision as long as the files are those it was given to, else their hash."""
        content = content_of(self.folder.path, self.folder.files)
        elsewhere = "".join(f"{x} {self.folder.stored[x].identity}\n" for x in sorted(self.folder.passages))
        if elsewhere:
            content = hashlib.sha256(f"{content}\n{elsewhere}".encode()).hexdigest()[:16]
        given = self.description
        return given.revision if given.revision and given.content == content else f"local-{content}"

    def read(self, spec: CorpusSpec, languages: Sequence[str], progress: bool = True) -> ParallelCorpus:
        """Read some languages.

        Raises:
            DataError: A file cannot be read, or is malformed; the first fault that is found.
        """
        parts = read_parts(self.folder, languages, Faults())
        return ParallelCorpus(spec.name, self.revision, parts)

    def spec(self) -> CorpusSpec:
        """Make the spec."""
        given = self.description
        return CorpusSpec(
            name=given.name,
            title=given.title or given.name,
            licence=given.licence,
            languages=tuple(given.languages),
            revision=self.revision,
            citation=given.citation,
            read=self.read,
            task=TaskFacts(
                name=given.task_name,
                path=given.name,
                description=f"Find the passages that answer a question, in {given.title or given.name}.",
                domains=(),
                annotations_creators="",
                sample_creation="",
            ),
            adapted_from=tuple(given.adapted_from),
            metrics=tuple(given.metrics),
            judged_in_own_language=given.judged_in_own_language,
        )


def spec_of_folder(path: Path) -> CorpusSpec:
    """Return the spec of a corpus in a folder, see docs/own-data.md; reads no text, but hashes the files.

    Raises:
        DataError: The folder's corpus.toml is missing or malformed, or a file is missing.
    """
    description = read_description(path, Faults())
    assert description is not None, "the first fault is raised"
    if description.source and description.passages:
        raise DataError(f"{shown(path / CORPUS_FILE)}: has both source and passages; keep one of them")
    if description.source:
        from beir_hybrid.corpora.hub.hub_corpora import spec_of_hub

        return spec_of_hub(description.source.partition(":")[2], description)
    return open_folder(path, description, Faults()).spec()


def spec_of_address(address: str) -> CorpusSpec:
    """Return the spec of a corpus in object storage, a folder as on disk whose passages are Parquet.

    Its small files are copied to this machine. The passages stay where they are.

    Args:
        address: Such as ``s3://bucket/help-centre``.

    Raises:
        DataError: It cannot be read, or is not the address of a corpus.
    """
    folder, passages = copied(address)
    description = read_description(folder, Faults())
    assert description is not None, "the first fault is raised"
    return open_folder(folder, description, Faults(), passages).spec()


def spec_of_beir(path: Path) -> CorpusSpec:
    """Return the spec of a data set of BEIR, or of a folder that holds one for each language.

    Args:
        path: A folder with ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/``, taken for English; or a folder of such
            folders, each named like its language, where equal query ids are translations.

    Raises:
        DataError: It is neither, or a file is missing.
    """
    corpus = open_beir(path, Faults())
    assert corpus is not None, "the first fault is raised"
    return corpus.spec()


def folder_of(spec: CorpusSpec) -> Path | None:
    """Return the folder of a corpus; None if it is in none."""
    corpus = getattr(spec.read, "__self__", None)
    return corpus.folder.path if isinstance(corpus, OwnCorpus) else None


def open_folder(
    path: Path, description: Description, faults: Faults, passages: Mapping[str, str] | None = None
) -> OwnCorpus:
    """Find the files of a corpus in a folder.

    Args:
        path: The folder.
        description: What it says of itself.
        faults: Is told what is missing.
        passages: Language -> address of its passages, where they are not in the folder; by default as described.
    """
    if passages is None and description.passages:
        passages = {x: _beside(path, description.passages.replace("{language}", x)) for x in description.languages}
    files = locate(path, description.languages, faults, passages or ())
    return OwnCorpus(description, Folder(path, files, description.judged_in_own_language, passages=passages or {}))


def _beside(folder: Path, place: str) -> str:
    """Return an address as it is, and a path as one that begins at the folder of the corpus."""
    return place if is_address(place) else str(folder / user_path(place))


def open_beir(path: Path, faults: Faults) -> OwnCorpus | None:
    """Find the files of a data set of BEIR; None if there is none."""
    if (path / CORPUS_FILE).exists():
        faults.add(shown(path), f"has a {CORPUS_FILE}: it is a corpus of its own; name it without beir:")
        return None
    single = (path / IN_FOLDER["corpus"]).exists()
    folders = {_BEIR_LANGUAGE: path} if single else _language_folders(path)
    if not folders:
        what = f"holds no {IN_FOLDER['corpus']}, and no folder of a language, such as {_BEIR_LANGUAGE}, that does"
        faults.add(shown(path), what)
        return None
    name = as_folder(path.resolve().name)
    description = Description(name=name, licence="not specified", languages=list(folders))
    return OwnCorpus(description, Folder(path, {x: _beir_files(place) for x, place in folders.items()}, is_beir=True))


def _language_folders(path: Path) -> dict[str, Path]:
    if not path.is_dir():
        return {}
    inside = sorted(place for place in path.iterdir() if is_tag(place.name))
    return {place.name: place for place in inside if (place / IN_FOLDER["corpus"]).exists()}


def _beir_files(folder: Path) -> LanguageFiles:
    qrels = [folder / IN_FOLDER["qrels"].replace("test", split) for split in _BEIR_SPLITS]
    there = next((path for path in qrels if path.exists()), qrels[0])
    return {"corpus": folder / IN_FOLDER["corpus"], "queries": folder / IN_FOLDER["queries"], "qrels": there}


def content_of(folder: Path, files: Mapping[str, LanguageFiles]) -> str:
    """Return a hash of the files of a corpus: 16 hexadecimal digits.

    Raises:
        DataError: A file is missing or cannot be read.
    """
    paths = sorted(path for of_language in files.values() for path in of_language.values())
    for path in paths:
        check_regular(path, DataError, largest=None)
    return content_hash(folder, paths)
