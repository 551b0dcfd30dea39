"""The overlap check: which texts of an evaluation were in the training data, word for word or nearly.

Every training text of a language, question or answer, is compared with every evaluation text of that language; across
languages shingles have nothing in common. Similarities are computed for all pairs, not estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from tqdm import tqdm

from beir_hybrid.corpora import CorpusSpec, ParallelCorpus, load
from beir_hybrid.corpora.registry import pair_sources, retrieval_specs
from beir_hybrid.corpora.source_names import FORMS, is_corpus
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import sha256_of
from beir_hybrid.models.manifest import FILE_NAME as MANIFEST
from beir_hybrid.models.manifest import TrainingManifest, read_manifest
from beir_hybrid.overlap import fingerprints
from beir_hybrid.overlap.fingerprints import TEXT_COLUMNS, Fingerprints, fingerprint, shingle_length
from beir_hybrid.training.pair_files import is_own
from beir_hybrid.training.pairs import ParallelPairs, read_source

NEAR = 0.5
"""Jaccard similarity of the shingles from which two texts are near-duplicates; docs/overlap.md says why."""

CONTAINED = 0.9
"""Share of an evaluation text's shingles in one training text from which it counts as contained in it."""

SHINGLES_TO_BE_CONTAINED = 20
"""A text of fewer shingles is not looked for inside others, where it would be found by chance."""

MATCHES = ("exact", "near", "contained")
"""How an evaluation text matches a training text, the strongest first."""

_PAIRS_AT_ONCE = 1 << 22  # pairs of texts that are compared at a time, to bound the memory

_MATCH = np.dtype([("text", np.int64), ("match", np.int8), ("similarity", np.float64), ("training", np.int64)])
"""Rows of an evaluation text and of a training text, and how they match: an index of MATCHES."""


@dataclass(frozen=True)
class TrainingData:
    """What a model was trained on.

    Attributes:
        name: The source or the folder as the user typed it.
        revision: Revision of the source, or SHA-256 of the checkpoint's fingerprints.
        fingerprints: The fingerprints of its texts.
    """

    name: str
    revision: str
    fingerprints: Fingerprints


@dataclass(frozen=True)
class EvaluationTexts:
    """The questions or the passages of an evaluation in one language.

    Attributes:
        evaluation: The task, data set or source as the user typed it.
        revision: Revision of its data.
        language: Its tag.
        kind: ``question`` or ``passage``.
        ids: Their ids.
        texts: Their texts, in the order of ``ids``.
    """

    evaluation: str
    revision: str
    language: str
    kind: str
    ids: Sequence[str]
    texts: Sequence[str]


@dataclass(frozen=True)
class Example:
    """An evaluation text and the training text it matches best.

    Attributes:
        id: Id of the evaluation text.
        text: The evaluation text.
        match: One of MATCHES.
        similarity: Jaccard similarity of the shingles; of a contained text the share of its shingles.
        source: Name of the training data.
        row: Row of the training text in the fingerprints of its training data, from 0.
        training_text: The training text; None where only its fingerprint is known.
    """

    id: str
    text: str
    match: str
    similarity: float
    source: str
    row: int
    training_text: str | None


@dataclass(frozen=True)
class Overlap:
    """The overlap of training data with the questions or passages of an evaluation in one language.

    Attributes:
        evaluation: The task, data set or source as the user typed it.
        revision: Revision of its data.
        language: Its tag.
        kind: ``question`` or ``passage``.
        texts: Number of evaluation texts.
        training_texts: Number of training texts in that language.
        matches: Match -> evaluation texts of which it is the strongest; all of MATCHES.
        examples: The strongest matches.
    """

    evaluation: str
    revision: str
    language: str
    kind: str
    texts: int
    training_texts: int
    matches: Mapping[str, int]
    examples: tuple[Example, ...]

    @property
    def share(self) -> float:
        """Share of the evaluation texts that match a training text in any way."""
        return sum(self.matches.values()) / self.texts if self.texts else 0.0


def read_training(name: str, progress: bool = True) -> TrainingData:
    """Read what a model was trained on, or would be.

    Args:
        name: A source of pairs (see ``pairs.read_source``), or a folder that ``beir-hybrid train`` wrote. A data set
            counts with what training sees of it: its questions and their answers, not the other passages.
        progress: Show progress bars for downloads, if standard error is a terminal.

    Raises:
        BeirHybridError: There is no such source or folder, or the folder does not hold the fingerprints that its
            manifest names.
    """
    folder = Path(name)
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is not None:
        return _read_checkpoint(name, folder, manifest)
    if (folder / "modules.json").is_file() or (folder / "config.json").is_file():
        raise BeirHybridError(
            f"{name}: a model without the {MANIFEST} that `beir-hybrid train` writes; name the sources that it was "
            "trained on instead"
        )
    pairs = read_source(name, progress=progress)
    return TrainingData(name, pairs.revision, fingerprints.of_pairs([pairs]))


def _read_checkpoint(name: str, folder: Path, manifest: TrainingManifest) -> TrainingData:
    try:
        file, expected = folder / Path(manifest.fingerprints["file"]).name, manifest.fingerprints["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise BeirHybridError(
            f"{folder / MANIFEST}: the field 'fingerprints' does not name a file and its SHA-256"
        ) from error
    result = Fingerprints.read(file)
    found = sha256_of(file)
    if found != expected:
        raise BeirHybridError(f"{file}: its SHA-256 is {found}, {MANIFEST} says {expected}; restore the file")
    return TrainingData(name, found, result)


def read_evaluation(name: str, progress: bool = True) -> list[EvaluationTexts]:
    """Read the texts of an evaluation.

    Args:
        name: A task such as ``XQuADR`` or ``MLQARLanguageBias``, a data set such as ``xquad-r``, or any other source of
            pairs, whose distinct questions and answers are then the questions and passages.
        progress: Show progress bars for downloads, if standard error is a terminal.

    Returns:
        Questions and passages, language by language. Ids are those of queries and passages; in a source of pairs
        ``<language>:<row>``, the row from 0 in which the text stands first.

    Raises:
        BeirHybridError: There is no such task, data set or source, or it cannot be read.
    """
    spec = next((spec for spec in retrieval_specs() if name.lower() in _names_of(spec)), None)
    if spec is not None or is_corpus(name):
        return list(_texts_of_corpus(name, load(spec or name, progress=progress)))
    if name not in pair_sources() and not is_own(name):
        tasks = ", ".join(spec.task.name for spec in retrieval_specs() if spec.task)
        known = ", ".join(dict.fromkeys([*(spec.name for spec in retrieval_specs()), *pair_sources()]))
        raise BeirHybridError(
            f"unknown evaluation {name!r}; known: the tasks {tasks}, {known}, the user's own pairs, and {FORMS}"
        )
    return list(_texts_of_pairs(name, read_source(name, progress=progress)))


def _names_of(spec: CorpusSpec) -> set[str]:
    """Return what the evaluations of a corpus are called, in small letters: its name, and those of its tasks."""
    names = [spec.name] if spec.task is None else [spec.name, spec.task.name, spec.task.bias_name]
    return {name.lower() for name in names}


def _texts_of_corpus(name: str, corpus: ParallelCorpus) -> Iterator[EvaluationTexts]:
    for language, part in corpus.languages.items():
        yield EvaluationTexts(name, corpus.revision, language, "question", part.query_ids, part.questions)
        yield EvaluationTexts(name, corpus.revision, language, "passage", part.passage_ids, part.passages)


def _texts_of_pairs(name: str, pairs: ParallelPairs) -> Iterator[EvaluationTexts]:
    for language in pairs.languages:
        for kind, columns in (("question", pairs.questions), ("passage", pairs.answers)):
            row_of: dict[str, int] = {}
            for row, text in enumerate(columns[language].to_pylist()):
                if text is not None:
                    row_of.setdefault(text, row)
            ids = [f"{language}:{row}" for row in row_of.values()]
            yield EvaluationTexts(name, pairs.revision, language, kind, ids, list(row_of))


def find_overlap(
    training: Sequence[TrainingData],
    evaluations: Sequence[EvaluationTexts],
    near: float = NEAR,
    examples: int = 0,
    progress: bool = True,
) -> list[Overlap]:
    """Compare training data, all of it together, with the texts of evaluations.

    Args:
        training: What a model was trained on.
        evaluations: Questions and passages of evaluations.
        near: Jaccard similarity from which texts are near-duplicates, above 0.
        examples: Examples of each language and kind, at most.
        progress: Show a progress bar, if standard error is a terminal.

    Returns:
        The overlap of each of ``evaluations``, in their order.
    """
    tables: dict[str, pa.Table] = {}
    result = []
    for texts in tqdm(evaluations, desc="Comparing", unit="part", disable=None if progress else True):
        if texts.language not in tables:
            tables[texts.language] = _training_table(training, texts.language)
        result.append(_overlap(texts, tables[texts.language], near, examples))
    return result


def _training_table(training: Sequence[TrainingData], language: str) -> pa.Table:
    """Return the training texts of a language: TEXT_COLUMNS, and the columns of an Example that tell where they are."""
    tables = []
    for data in training:
        table, texts = data.fingerprints.table, data.fingerprints.texts
        rows = pc.indices_nonzero(pc.equal(table["language"], language))
        known = pa.nulls(len(rows), pa.string()) if texts is None else texts.take(rows)
        columns = [*table.select(TEXT_COLUMNS.names).take(rows), pa.repeat(data.name, len(rows)), rows, known]
        tables.append(pa.table(columns, names=[*TEXT_COLUMNS.names, "source", "row", "training_text"]))
    return pa.concat_tables(tables)


def _overlap(texts: EvaluationTexts, training: pa.Table, near: float, n_examples: int) -> Overlap:
    best = best_matches(fingerprint(texts.texts, shingle_length(texts.language)), training, near)
    counts = np.bincount(best["match"], minlength=len(MATCHES))
    strongest = best[np.lexsort((best["text"], -best["similarity"], best["match"]))][:n_examples]
    where = training.select(["source", "row", "training_text"])
    examples = [
        Example(
            id=texts.ids[match["text"]],
            text=texts.texts[match["text"]],
            match=MATCHES[match["match"]],
            similarity=float(match["similarity"]),
            **where.slice(match["training"], 1).to_pylist()[0],
        )
        for match in strongest
    ]
    return Overlap(
        evaluation=texts.evaluation,
        revision=texts.revision,
        language=texts.language,
        kind=texts.kind,
        texts=len(texts.texts),
        training_texts=len(training),
        matches=dict(zip(MATCHES, counts.tolist(), strict=True)),
        examples=tuple(examples),
    )


def all_matches(
    evaluation: pa.Table, training: pa.Table, near: float = NEAR, contained: float = CONTAINED
) -> Iterator[NDArray[np.void]]:
    """Find all pairs of an evaluation text and a training text that match.

    Args:
        evaluation: Fingerprints of texts, with TEXT_COLUMNS.
        training: The same of texts in the same language.
        near: Jaccard similarity from which texts are near-duplicates, above 0.
        contained: Share of an evaluation text's shingles from which a training text contains it, above 0.

    Yields:
        Rows of the fields ``text``, ``match``, ``similarity``, ``training``, one block of training texts after the
        other.
    """
    texts = _ShingleSets.of(evaluation)
    shingles = np.unique(texts.shingles)
    if not len(shingles):
        return
    matrix = texts.matrix(shingles)
    step = max(1, _PAIRS_AT_ONCE // len(evaluation))
    for first in range(0, len(training), step):
        block = _ShingleSets.of(training.slice(first, step))
        shared = (matrix @ block.matrix(shingles).T).tocoo()
        found = _matches(texts, block, shared, near, contained)
        found["training"] += first
        yield found


def best_matches(evaluation: pa.Table, training: pa.Table, near: float = NEAR) -> NDArray[np.void]:
    """Find the training text that each evaluation text matches best.

    Args:
        evaluation: Fingerprints of texts, with TEXT_COLUMNS.
        training: The same of texts in the same language.
        near: Jaccard similarity from which texts are near-duplicates, above 0.

    Returns:
        The rows of ``all_matches`` reduced to one for each evaluation text that matches any, ordered by ``text``. An
        exact match is better than a near one, that better than one contained; then the higher similarity counts, and
        then the order of the training texts.
    """
    best = np.empty(0, dtype=_MATCH)
    for found in all_matches(evaluation, training, near):
        candidates = np.concatenate([best, found])
        keys = ("training", "similarity", "match", "text")  # the last is the first to sort by
        order = np.lexsort([-candidates[key] if key == "similarity" else candidates[key] for key in keys])
        best = candidates[order][np.unique(candidates["text"][order], return_index=True)[1]]
    return best


@dataclass(frozen=True)
class _ShingleSets:
    """The columns of some texts' fingerprints as arrays: text i has shingles[offsets[i] : offsets[i + 1]]."""

    hashes: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    shingles: NDArray[np.uint32]

    @classmethod
    def of(cls, table: pa.Table) -> _ShingleSets:
        lists = table["shingles"].combine_chunks()
        offsets = lists.offsets.to_numpy()
        shingles = lists.values.to_numpy()[offsets[0] : offsets[-1]]
        return cls(table["text_hash"].to_numpy(), offsets - offsets[0], shingles)

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def matrix(self, shingles: NDArray[np.uint32]) -> csr_array:
        """Return texts x some ascending shingles: 1 where a text has a shingle."""
        columns = np.searchsorted(shingles, self.shingles)
        known = shingles[np.minimum(columns, len(shingles) - 1)] == self.shingles
        offsets = np.concatenate([[0], np.cumsum(known)])[self.offsets]
        ones = np.ones(offsets[-1], dtype=np.int32)
        return csr_array((ones, columns[known], offsets), shape=(len(self.hashes), len(shingles)))


def _matches(
    texts: _ShingleSets, training: _ShingleSets, shared: coo_array, near: float, contained: float
) -> NDArray[np.void]:
    """Return the pairs that match; ``shared`` holds the number of shingles that texts and training texts share."""
    rows, columns = shared.coords
    sizes = texts.sizes[rows]
    jaccard = shared.data / (sizes + training.sizes[columns] - shared.data)
    containment = np.where(sizes >= SHINGLES_TO_BE_CONTAINED, shared.data / sizes, 0.0)
    kept = (jaccard >= near) | (containment >= contained)
    rows, columns, jaccard, containment = rows[kept], columns[kept], jaccard[kept], containment[kept]
    exact = texts.hashes[rows] == training.hashes[columns]
    found = np.empty(len(rows), dtype=_MATCH)
    found["text"], found["training"] = rows, columns
    found["match"] = np.select([exact, jaccard >= near], [0, 1], 2)
    found["similarity"] = np.where(found["match"] == 2, containment, jaccard)
    return found
