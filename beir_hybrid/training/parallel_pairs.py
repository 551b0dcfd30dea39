"""Question-answer pairs of several languages, in memory once however many language pairs are made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beir_hybrid.corpora.parallel import choose
from beir_hybrid.errors import DataError
from beir_hybrid.subsets import Subset

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, eq=False)
class ParallelPairs:
    """Question-answer pairs aligned over languages: row i of every language is the same question and answer.

    Attributes:
        source: Where they come from, as the user typed it: ``mlqa-r``, ``ntrex``, ``pairs.jsonl``.
        revision: Commit or content hash that names the texts.
        training_datasets: Names of the MTEB tasks that a model trained on these pairs is no longer zero-shot for.
        questions: Language -> R texts, null where the language lacks the row.
        answers: Language -> R texts, null where the language lacks the row; the same languages.
        labels: (R,): equal for rows that have the same answer, see ``same_answer_labels``.
        cross_lingual_only: (R,): rows whose question and answer are translations of each other, so that in one
            language they are the same text.

    Raises:
        DataError: The lengths or the languages differ.
    """

    source: str
    revision: str
    training_datasets: frozenset[str]
    questions: Mapping[str, pa.ChunkedArray]
    answers: Mapping[str, pa.ChunkedArray]
    labels: NDArray[np.int64]
    cross_lingual_only: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if tuple(self.questions) != tuple(self.answers):
            raise DataError(f"{self.source}: questions in {', '.join(self.questions)}, answers not in the same")
        columns = (*self.questions.values(), *self.answers.values(), self.cross_lingual_only)
        if any(len(column) != len(self.labels) for column in columns):
            raise DataError(f"{self.source}: a column has not {len(self.labels)} rows, one for each label")

    @property
    def languages(self) -> tuple[str, ...]:
        """Language tags, in the order of the source."""
        return tuple(self.questions)

    def dataset(self, question_language: str, answer_language: str) -> Dataset:
        """Return the rows that have a question in one language and an answer in another, or the same.

        Args:
            question_language: Language of the questions.
            answer_language: Language of the answers.

        Returns:
            The columns ``question``, ``answer`` (texts) and ``label`` (int64), in the order of the rows; its
            ``info.config_name`` is the pair's name, e.g. ``en-de``. It refers to the texts here: none is copied.

        Raises:
            DataError: There is no such language.
        """
        from datasets import Dataset, DatasetInfo

        self._choose({question_language, answer_language})
        pair = str(Subset(question_language, answer_language))
        questions, answers = self.questions[question_language], self.answers[answer_language]
        present = questions.is_valid().to_numpy() & answers.is_valid().to_numpy()
        if question_language == answer_language:
            present &= ~self.cross_lingual_only
        # Without a fingerprint, datasets would hash the texts for each pair.
        fingerprint = hashlib.sha256(f"{self._digest} {pair}".encode()).hexdigest()[:16]
        table = pa.table({"question": questions, "answer": answers, "label": self._label_column})
        dataset = Dataset(table, info=DatasetInfo(config_name=pair), fingerprint=fingerprint)
        return dataset if present.all() else dataset.select(np.flatnonzero(present), new_fingerprint=fingerprint)

    def texts(self, languages: Iterable[str] | None = None) -> Iterator[tuple[str, str, pa.Array]]:
        """Yield the distinct texts, each where it first stands.

        Args:
            languages: Language tags; None for all.

        Yields:
            Language, ``question`` or ``answer``, and the texts, none of them null.

        Raises:
            DataError: There is no such language.
        """
        for language in self._choose(languages):
            yield language, "question", self.questions[language].unique().drop_null()
            yield language, "answer", self.answers[language].unique().drop_null()

    def with_labels_from(self, first: int) -> ParallelPairs:
        """Return the same pairs with ``first`` added to every label."""
        return replace(self, labels=self.labels + first)

    def _choose(self, languages: Iterable[str] | None) -> tuple[str, ...]:
        return choose(self.source, self.languages, languages, unknown="no pair in")

    @cached_property
    def _label_column(self) -> pa.Array:
        return pa.array(self.labels, pa.int64())

    @cached_property
    def _digest(self) -> str:
        """A hash of what the rows of a pair follow from; the revision stands for the texts."""
        digest = hashlib.sha256(f"{self.source} {self.revision} {' '.join(self.languages)}".encode())
        digest.update(self.labels.tobytes())
        digest.update(self.cross_lingual_only.tobytes())
        return digest.hexdigest()


def text_column(texts: Mapping[int, str], n_rows: int) -> pa.ChunkedArray:
    """Return a column of ``n_rows`` texts, null where ``texts``, row -> text, has none."""
    column = pa.array((texts.get(row) for row in range(n_rows)), pa.string(), size=n_rows)
    # More texts than one array of strings holds, 2 GiB, come in chunks already.
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def same_answer_labels(n_rows: int, answers: Iterable[tuple[int, str, str]]) -> NDArray[np.int64]:
    """Give rows with the same answer the same label.

    Two rows have the same answer if in any language a right answer of one has the same text as a right answer of the
    other, or if both have the same answer as a third.

    Args:
        n_rows: Rows, R.
        answers: Row, language and text of every right answer.

    Returns:
        (R,), numbered from 0 in the order of the first row of each label.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # The rows and the texts are the nodes of a graph, whose edges join each row with its answers.
    nodes: dict[tuple[str, str], int] = {}
    edges = [(row, nodes.setdefault((language, text), n_rows + len(nodes))) for row, language, text in answers]
    rows, texts = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    n_nodes = n_rows + len(nodes)
    graph = coo_array((np.ones(len(rows), dtype=np.bool_), (rows, texts)), shape=(n_nodes, n_nodes))
    _, components = connected_components(graph, directed=False)
    labels: NDArray[np.int64] = pa.array(components[:n_rows]).dictionary_encode().indices.to_numpy().astype(np.int64)
    return labels


def texts_by_column(parts: Iterable[ParallelPairs]) -> dict[str, list[str]]:
    """Return the texts of all sources and languages: ``question`` and ``answer`` -> texts, for a model to embed."""
    texts: dict[str, list[str]] = {"question": [], "answer": []}
    for part in parts:
        for _, column, distinct in part.texts():
            texts[column] += distinct.to_pylist()
    return texts
