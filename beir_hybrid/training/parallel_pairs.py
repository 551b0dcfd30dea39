"""Question-answer pairs of several languages, in memory once however many language pairs are made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beir_hybrid.corpora.parallel import choose
from beir_hybrid.errors import DataError
from beir_hybrid.subsets import Subset
from beir_hybrid.training.negatives import ANSWERS_NOTHING, Negatives, column_names, places

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
        labels: (R,): equal for rows that have the same answer, see ``same_answer_labels``; from 0 on.
        negatives: Language -> k columns of hard negatives in that language, R texts each, null where a row has none;
            the same languages, and the same k for each. Empty if there are none.

    Raises:
        DataError: The lengths, the languages or the numbers of hard negatives differ.
    """

    source: str
    revision: str
    training_datasets: frozenset[str]
    questions: Mapping[str, pa.ChunkedArray]
    answers: Mapping[str, pa.ChunkedArray]
    labels: NDArray[np.int64]
    negatives: Mapping[str, tuple[pa.ChunkedArray, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if tuple(self.questions) != tuple(self.answers):
            raise DataError(f"{self.source}: questions in {', '.join(self.questions)}, answers not in the same")
        if self.negatives and tuple(self.negatives) != tuple(self.questions):
            raise DataError(f"{self.source}: hard negatives in {', '.join(self.negatives)}, questions not in the same")
        if len({len(columns) for columns in self.negatives.values()}) > 1:
            raise DataError(f"{self.source}: not equally many hard negatives in each language")
        columns = (*self.questions.values(), *self.answers.values(), *chain(*self.negatives.values()))
        if any(len(column) != len(self.labels) for column in columns):
            raise DataError(f"{self.source}: a column has not {len(self.labels)} rows, one for each label")

    @property
    def languages(self) -> tuple[str, ...]:
        """Language tags, in the order of the source."""
        return tuple(self.questions)

    @property
    def n_negatives(self) -> int:
        """Number of hard negatives that a row has, k."""
        return len(next(iter(self.negatives.values()), ()))

    def dataset(self, question_language: str, answer_language: str, negatives: Negatives = "answer") -> Dataset:
        """Return the rows that have a question in one language and an answer in another, or the same.

        Rows that lack one of the hard negatives are left out.

        Args:
            question_language: Language of the questions.
            answer_language: Language of the answers.
            negatives: Whose language the hard negatives are in, see ``negatives.places``.

        Returns:
            The columns ``question``, ``answer`` (texts) and ``label`` (int64), in the order of the rows; its
            ``info.config_name`` is the pair's name, e.g. ``en-de``. It refers to the texts here: none is copied.
            With hard negatives, the columns ``negative_1`` to ``negative_k`` (``negative`` if k is 1) stand before the
            label, and a label is a list of k + 1 integers: the answer's label and that of each negative, which is -1
            for a text that is no answer of the source.

        Raises:
            DataError: There is no such language, or one negative a row for two languages.
        """
        from datasets import Dataset, DatasetInfo

        self._choose({question_language, answer_language})
        pair = str(Subset(question_language, answer_language))
        questions, answers = self.questions[question_language], self.answers[answer_language]
        if negatives == "both" and self.n_negatives == 1:
            raise DataError(f"{self.source}: has 1 hard negative a row; those of both languages need 2 or more")
        chosen = places(self.negatives, question_language, answer_language, negatives)
        hard = [self.negatives[language][place] for language, place in chosen]
        present = np.logical_and.reduce([column.is_valid().to_numpy() for column in (questions, answers, *hard)])
        # Without a fingerprint, datasets would hash the texts for each pair.
        fingerprint = hashlib.sha256(f"{self._digest} {pair} {chosen}".encode()).hexdigest()[:16]
        named = dict(zip(column_names(len(hard)), hard, strict=True))
        table = pa.table({"question": questions, "answer": answers, **named, "label": self._label_column(chosen)})
        dataset = Dataset(table, info=DatasetInfo(config_name=pair), fingerprint=fingerprint)
        return dataset if present.all() else dataset.select(np.flatnonzero(present), new_fingerprint=fingerprint)

    def texts(self, languages: Iterable[str] | None = None) -> Iterator[tuple[str, str, pa.Array]]:
        """Yield the distinct texts, each where it first stands.

        Args:
            languages: Language tags; None for all.

        Yields:
            Language, ``question`` or ``answer`` (hard negatives among them), and the texts, none of them null.

        Raises:
            DataError: There is no such language.
        """
        for language in self._choose(languages):
            yield language, "question", self.questions[language].unique().drop_null()
            passages = (self.answers[language], *self.negatives.get(language, ()))
            yield (
                language,
                "answer",
                pa.chunked_array(chain(*(c.chunks for c in passages)), pa.string()).unique().drop_null(),
            )

    def with_labels_from(self, first: int) -> ParallelPairs:
        """Return the same pairs with labels that begin at another number.

        Args:
            first: What is added to every label.
        """
        return replace(self, labels=self.labels + first)

    def _choose(self, languages: Iterable[str] | None) -> tuple[str, ...]:
        return choose(self.source, self.languages, languages, unknown="no pair in")

    def _label_column(self, chosen: Sequence[tuple[str, int]]) -> pa.Array:
        """Return the labels of the rows, with those of the hard negatives in some columns if there are any."""
        key = tuple(chosen)
        if key not in self._label_columns:
            own = [self.labels, *(self._negative_labels[language][place] for language, place in chosen)]
            values = pa.array(np.column_stack(own).ravel(), pa.int64())
            self._label_columns[key] = pa.FixedSizeListArray.from_arrays(values, len(own)) if chosen else values
        return self._label_columns[key]

    @cached_property
    def _label_columns(self) -> dict[tuple[tuple[str, int], ...], pa.Array]:
        """Columns of labels that were made, which all pairs with the same hard negatives share."""
        return {}

    @cached_property
    def _negative_labels(self) -> dict[str, list[NDArray[np.int64]]]:
        """Language -> (R,) for each column of hard negatives: the label of the answer that a text is."""
        labels = {}
        for language, columns in self.negatives.items():
            of_text = dict(zip(self.answers[language].to_pylist(), self.labels.tolist(), strict=True)) | {
                None: ANSWERS_NOTHING
            }
            labels[language] = [
                np.array([of_text.get(text, ANSWERS_NOTHING) for text in column.to_pylist()], np.int64)
                for column in columns
            ]
        return labels

    @cached_property
    def _digest(self) -> str:
        """A hash of what the rows of a pair follow from; the revision stands for the texts."""
        digest = hashlib.sha256(f"{self.source} {self.revision} {' '.join(self.languages)}".encode())
        digest.update(self.labels.tobytes())
        for column in chain(*self.negatives.values()):  # mined ones follow from a model, not from the revision
            digest.update(repr(column.to_pylist()).encode(errors="surrogatepass"))
        return digest.hexdigest()


def text_column(texts: Mapping[int, str], n_rows: int) -> pa.ChunkedArray:
    """Return a column of ``n_rows`` texts, null where ``texts``, row -> text, has none."""
    column = pa.array((texts.get(row) for row in range(n_rows)), pa.string(), size=n_rows)
    # More texts than one array of strings holds, 2 GiB, come in chunks already.
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def text_columns(texts: Mapping[int, Sequence[str]], number: int, n_rows: int) -> tuple[pa.ChunkedArray, ...]:
    """Return a number of columns, row -> its text in each; null where ``texts`` has no such row."""
    return tuple(text_column({row: of_row[n] for row, of_row in texts.items()}, n_rows) for n in range(number))


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
