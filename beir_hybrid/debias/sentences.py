"""The sentences that a map is fitted on, and those that are held out to see what it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from beir_hybrid.corpora import CorpusSpec, load, ntrex, spec_of_source
from beir_hybrid.corpora.parallel import ParallelCorpus, ParallelSentences, choose
from beir_hybrid.corpora.registry import find, pair_sources
from beir_hybrid.corpora.source_names import FORMS, is_corpus
from beir_hybrid.debias.maps import DebiasError
from beir_hybrid.errors import DataError
from beir_hybrid.files import read_text, shown, user_path
from beir_hybrid.languages import is_tag
from beir_hybrid.training.pair_sources import pairs_of_corpus, pairs_of_sentences
from beir_hybrid.training.parallel_pairs import ParallelPairs, same_answer_labels, text_column

DEFAULT_DATA = ntrex.SPEC.name
SENTENCES = 200
"""Sentences of a language that a map is fitted on by default: more do hardly better (docs/debias.md)."""

LEAST_SENTENCES = 20
"""Sentences of a language below which a mean says too little: half of them are held out."""

HELD_OUT = 100
"""Sentences of a language that are held out, at most: enough for two digits, and soon embedded."""

Row = TypeVar("Row")


@dataclass(frozen=True)
class Sentences:
    """Sentences of several languages.

    Attributes:
        source: Where they come from: name of a corpus or of a folder.
        revision: Commit or content hash that names them.
        texts: Language -> its sentences, each distinct unless they are parallel.
        parallel: Whether row i of every language is the same sentence.
        training_datasets: The MTEB tasks that are made of the same texts.
    """

    source: str
    revision: str
    texts: Mapping[str, Sequence[str]]
    parallel: bool
    training_datasets: frozenset[str] = frozenset()

    def fitted(self, most: int = SENTENCES) -> Sentences:
        """Return those that a map is fitted on: every k-th from the first, at most ``most`` of a language and half.

        Raises:
            DebiasError: A language has too few sentences, or ``most`` is too small.
        """
        if most < LEAST_SENTENCES // 2:
            raise DebiasError(f"{most} sentences: at least {LEAST_SENTENCES // 2} of each language are needed")
        for language, texts in self.texts.items():
            if len(texts) < LEAST_SENTENCES:
                raise DebiasError(
                    f"{shown(self.source)}: {language} has {len(texts)} sentences; at least {LEAST_SENTENCES} are "
                    "needed, half of them to see what the map does"
                )
        return self._with({language: texts[:: _step(len(texts), most)] for language, texts in self.texts.items()})

    def held_out(self, most: int = SENTENCES) -> Sentences:
        """Return some of the others, evenly spaced: the same rows of all languages where they are parallel."""
        return self._with({language: _others(texts, most) for language, texts in self.texts.items()})

    def _with(self, texts: Mapping[str, Sequence[str]]) -> Sentences:
        return Sentences(self.source, self.revision, texts, self.parallel, self.training_datasets)

    def facts(self) -> dict[str, Any]:
        """Return what a manifest says of them."""
        return {
            "source": self.source,
            "revision": self.revision,
            "languages": list(self.texts),
            "rows": max(map(len, self.texts.values())),
            "training_datasets": sorted(self.training_datasets),
        }

    def as_pairs(self) -> ParallelPairs:
        """Return them as answers of pairs without questions, of which the overlap check knows fingerprints."""
        rows = max(map(len, self.texts.values()))
        answers = {language: text_column(dict(enumerate(texts)), rows) for language, texts in self.texts.items()}
        questions = {language: text_column({}, rows) for language in self.texts}
        labels = same_answer_labels(rows, ())
        return ParallelPairs(self.source, self.revision, self.training_datasets, questions, answers, labels)

    def as_translations(self) -> ParallelPairs:
        """Return parallel ones as pairs of a sentence with its translations, which have one label."""
        rows = len(next(iter(self.texts.values())))
        columns = {language: text_column(dict(enumerate(texts)), rows) for language, texts in self.texts.items()}
        same = ((row, language, text) for language, texts in self.texts.items() for row, text in enumerate(texts))
        labels = same_answer_labels(rows, same)
        return ParallelPairs(self.source, self.revision, self.training_datasets, columns, columns, labels)


def _step(number: int, most: int) -> int:
    return max(2, -(-number // most))


def _others(rows: Sequence[Row], most: int) -> list[Row]:
    step = _step(len(rows), most)
    others = [row for number, row in enumerate(rows) if number % step]
    return others[:: -(-len(others) // HELD_OUT)]


def read_sentences(
    data: str = DEFAULT_DATA, languages: Iterable[str] | None = None, parallel: bool = False, progress: bool = True
) -> Sentences:
    """Read the sentences of a corpus or of a folder.

    Args:
        data: A corpus, by its name or as `beir_hybrid.corpora.load` takes it, of which the sentences or the answers are
            taken; or a folder of files ``<language>.txt``, a sentence a line.
        languages: Language tags; None for all.
        parallel: Whether line i of every file of a folder is the same sentence; known of a corpus.
        progress: Show progress bars for downloads, if standard error is a terminal.

    Raises:
        DataError: There is no such corpus or folder, a language is missing, or a file is malformed.
        BeirHybridError: The cache folder cannot be written to.
    """
    spec = find(data)
    name = next(iter(spec.pairs), data) if spec else data
    if name in pair_sources():
        spec, source = pair_sources()[name]
        return _of_texts(spec, source.read(spec, spec.choose(languages), progress))
    if is_corpus(data):
        spec = spec_of_source(data)
        return _of_texts(spec, load(spec, languages, progress))
    folder = user_path(data, "--data ")
    if not folder.is_dir():
        known = ", ".join(dict.fromkeys(spec.name for spec, _ in pair_sources().values()))
        raise DataError(f"--data {shown(data)}: there is no such folder, and no such corpus; known: {known}, {FORMS}")
    return _of_folder(folder, languages, parallel)


def _of_texts(spec: CorpusSpec, texts: ParallelCorpus | ParallelSentences) -> Sentences:
    if isinstance(texts, ParallelCorpus):
        pairs = pairs_of_corpus(texts)
        chosen = np.isin(np.arange(len(pairs.labels)), np.unique(pairs.labels, return_index=True)[1])  # an answer once
    else:
        pairs = pairs_of_sentences(texts, ("translation",))
        chosen = np.ones(len(pairs.labels), np.bool_)
    columns = pairs.answers
    whole = np.logical_and.reduce([chosen, *(column.is_valid().to_numpy() for column in columns.values())])
    sentences = {language: tuple(column.filter(whole).to_pylist()) for language, column in columns.items()}
    return Sentences(spec.name, pairs.revision, sentences, True, spec.mteb_tasks)


def _of_folder(folder: Path, languages: Iterable[str] | None, parallel: bool) -> Sentences:
    files = {path.stem: path for path in sorted(folder.glob("*.txt"))}
    for language, path in files.items():
        if not is_tag(language):
            raise DataError(f"{shown(path)} is not called <language>.txt, by a language tag (BCP 47) such as zh-Hant")
    if not files:
        raise DataError(f"{shown(folder)} has no files <language>.txt, a sentence a line")
    texts = {language: _lines(files[language]) for language in choose(shown(folder), tuple(files), languages)}
    lengths: dict[int, str] = {}
    for language, lines in texts.items():
        lengths.setdefault(len(lines), language)
    if parallel and len(lengths) > 1:
        (first, one), (second, other) = list(lengths.items())[:2]
        raise DataError(f"{shown(folder)}: {one} has {first} lines and {other} {second}; parallel files have as many")
    digest = sha256("\0".join(f"{language}\0{line}" for language in texts for line in texts[language]).encode())
    if not parallel:
        texts = {language: tuple(dict.fromkeys(lines)) for language, lines in texts.items()}
    return Sentences(folder.resolve().name, f"local-{digest.hexdigest()[:16]}", texts, parallel)


def _lines(path: Path) -> tuple[str, ...]:
    lines = tuple(line.rstrip("\r") for line in read_text(path, DataError).removesuffix("\n").split("\n"))
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise DataError(f"{shown(path)}, line {number}: the line is empty; write a sentence a line")
    return lines
