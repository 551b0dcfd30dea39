"""Which model, in which state, ranks are of: what changes when its vectors change, not what it is called.

Name and revision are labels: mteb calls every local model ``no_model_name/available``, weights are trained on between
two runs, wrappers cut dimensions. So whatever is kept of a run (checkpoint, rank table, ranks in memory) says whose it
is by a fingerprint of the model's content where that can be read, else by the embeddings of some texts of the run's
corpus. Embeddings are compared within a tolerance: they differ in the last digits by device, threads and batch size,
and a hash of them would differ, too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beir_hybrid.corpora.parallel import ParallelCorpus

SAMPLED_TEXTS = 64
"""Texts whose embeddings stand for a model that has no fingerprint; more where there are more languages."""

TOLERANCE = 5e-3
"""Largest distance of two embeddings of one text, as a share of the longer one, that another device or batch size
explains: float32 differs by 1e-5, rounding to bfloat16 by up to 2e-3."""

_SKETCH = 32
"""Numbers that are kept of an embedding in a rank table: products with fixed random vectors, which keep distances."""

QUERY, PASSAGE = "query", "document"
"""Kinds of texts; also MTEB's names of the kinds of prompts."""


class SampledText(NamedTuple):
    """A text of a sample.

    Attributes:
        kind: ``query`` or ``document``.
        language: Its language.
        row: Its number among the questions or passages of the language.
    """

    kind: str
    language: str
    row: int


@dataclass(frozen=True, eq=False)
class Sample:
    """Embeddings of some texts, brief enough to be kept with a rank table.

    Attributes:
        texts: The n texts.
        width: Dimensions of the embeddings.
        sketch: Products of the embeddings with fixed random vectors, float32 of shape (n, 32).
    """

    texts: tuple[SampledText, ...]
    width: int
    sketch: NDArray[np.float32]

    @classmethod
    def of(cls, texts: Sequence[SampledText], embeddings: Any) -> Sample:
        """Take a sample of the embeddings of some texts, shape (n, D)."""
        rows = as_rows(embeddings)
        directions = np.random.default_rng(0).standard_normal((rows.shape[1], _SKETCH)) / np.sqrt(_SKETCH)
        return cls(tuple(texts), rows.shape[1], (rows @ directions).astype(np.float32))

    def agrees_with(self, other: Sample) -> bool:
        """Whether the texts that two samples share, if any, have the same embeddings."""
        places = {text: place for place, text in enumerate(other.texts)}
        shared = [(place, places[text]) for place, text in enumerate(self.texts) if text in places]
        if not shared or self.width != other.width:
            return False
        ours, theirs = (list(numbers) for numbers in zip(*shared, strict=True))
        return close(self.sketch[ours], other.sketch[theirs])

    def covers(self, other: Sample) -> bool:
        """Whether this sample has texts of every language and kind that another has."""
        ours, theirs = ({(text.kind, text.language) for text in sample.texts} for sample in (self, other))
        return theirs <= ours


@dataclass(frozen=True)
class ModelState:
    """The state of a model that a run was made with.

    Attributes:
        fingerprint: Hash of all that its embeddings depend on; None where that cannot be read.
        sample: Embeddings of some texts of the run, where there is no fingerprint.
        run: Names the one run that a search made, where the model has neither.
    """

    fingerprint: str | None = None
    sample: Sample | None = None
    run: str | None = None

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits to tell states apart by, in names of folders."""
        content = self.sample.sketch.tobytes() if self.sample is not None else (self.fingerprint or self.run or "")
        return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()[:8]

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON can hold it."""
        if self.sample is None:
            return {name: value for name, value in (("fingerprint", self.fingerprint), ("run", self.run)) if value}
        sketch = np.ascontiguousarray(self.sample.sketch, dtype="<f4")
        return {
            "texts": [list(text) for text in self.sample.texts],
            "width": self.sample.width,
            "sketch": base64.b64encode(sketch.tobytes()).decode(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ModelState:
        """Return the state that ``to_json`` wrote.

        Raises:
            ValueError: It is malformed.
        """
        try:
            if "sketch" not in content:
                fingerprint, run = content.get("fingerprint"), content.get("run")
                if not all(value is None or isinstance(value, str) for value in (fingerprint, run)):
                    raise ValueError("the fingerprint is not a text")
                return cls(fingerprint, run=run)
            texts = tuple(SampledText(str(kind), str(language), int(row)) for kind, language, row in content["texts"])
            numbers = np.frombuffer(base64.b64decode(content["sketch"], validate=True), dtype="<f4")
            sketch = numbers.reshape(len(texts), _SKETCH).astype(np.float32)
            return cls(sample=Sample(texts, int(content["width"]), sketch))
        except (AttributeError, KeyError, TypeError, OverflowError, binascii.Error) as error:
            raise ValueError(f"the model's state is malformed ({type(error).__name__})") from error


Encode = Callable[[Sequence[SampledText]], Any]
"""Texts of a sample -> their embeddings by the model as it is now, shape (n, D)."""

Embed = Callable[[str, str, "NDArray[np.int64]"], Any]
"""Kind of texts, language and rows, shape (n,) -> their embeddings, shape (n, D)."""

SameState = Callable[[ModelState | None, ModelState | None], bool]
"""Says of the state that a table was made with, and that of the model now, whether they are the same."""


def same_state(stored: ModelState | None, now: ModelState | None, encode: Encode | None = None) -> bool:
    """Whether what is stored is of the model as it is now.

    Args:
        stored: The state that is stored; None where nothing is known.
        now: The state of the model now; None likewise.
        encode: Embeds texts, where the model as it is now may be asked; texts of languages that it cannot read are a
            KeyError.
    """
    if stored is None or now is None:
        return stored is now
    if stored.sample is None or now.fingerprint is not None or now.run is not None:
        return (stored.sample, stored.fingerprint, stored.run) == (now.sample, now.fingerprint, now.run)
    if now.sample is not None and now.sample.covers(stored.sample):
        return stored.sample.agrees_with(now.sample)
    try:
        return encode is not None and stored.sample.agrees_with(
            Sample.of(stored.sample.texts, encode(stored.sample.texts))
        )
    except KeyError:
        return False


def as_rows(embeddings: Any) -> NDArray[np.float64]:
    """Return embeddings, numpy or torch, dense or sparse, on any device, as float64 of shape (n, D)."""
    if hasattr(embeddings, "detach"):
        tensor = embeddings.detach()
        tensor = tensor.to_dense() if tensor.is_sparse else tensor
        embeddings = (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
    return np.asarray(embeddings, dtype=np.float64)


def close(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> bool:
    """Whether the embeddings of some texts are the same but for rounding, two arrays of shape (n, D)."""
    if ours.shape != theirs.shape:
        return False
    distance = np.linalg.norm(ours - theirs, axis=1)
    length = np.maximum(np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1))
    return bool((distance <= TOLERANCE * length).all())


def sampled_rows(n_rows: int, wanted: int) -> NDArray[np.int64]:
    """Return the numbers of up to ``wanted`` of some rows, about evenly spaced, ascending.

    Of the same rows, a larger choice contains a smaller one, so that two samples have texts in common.
    """
    if wanted >= n_rows:
        return np.arange(n_rows)
    golden = np.arange(8 * wanted) * ((5**0.5 - 1) / 2) % 1
    rows = dict.fromkeys((golden * n_rows).astype(np.int64).tolist())
    return np.sort(np.array([*rows, *(row for row in range(wanted) if row not in rows)][:wanted], dtype=np.int64))


def sampled_texts(n_questions: Mapping[str, int], n_passages: Mapping[str, int]) -> list[SampledText]:
    """Choose the texts of a sample: evenly from every language, questions and passages.

    Args:
        n_questions: Language -> number of its questions.
        n_passages: Language -> number of its passages.
    """
    each = max(1, SAMPLED_TEXTS // max(len(n_questions) + len(n_passages), 1))
    return [
        SampledText(kind, language, int(row))
        for kind, sizes in ((QUERY, n_questions), (PASSAGE, n_passages))
        for language, size in sizes.items()
        for row in sampled_rows(size, each)
    ]


def sampled_texts_of(corpus: ParallelCorpus, questions: Iterable[str], passages: Iterable[str]) -> list[SampledText]:
    """Choose the texts of a sample from the questions and passages of some languages of a corpus."""
    parts = corpus.languages
    return sampled_texts(
        {language: len(parts[language].questions) for language in questions},
        {language: len(parts[language].passages) for language in passages},
    )


def by_language(texts: Sequence[SampledText], embeddings_of: Embed) -> NDArray[np.float64]:
    """Return the embeddings of the texts of a sample, shape (n, D), asked for by kind and language.

    Args:
        texts: The n texts.
        embeddings_of: Kind, language and rows -> the embeddings of these texts.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for place, text in enumerate(texts):
        groups.setdefault((text.kind, text.language), []).append(place)
    rows: dict[int, NDArray[np.float64]] = {}
    for (kind, language), places in groups.items():
        embeddings = embeddings_of(kind, language, np.array([texts[place].row for place in places]))
        rows.update(zip(places, as_rows(embeddings), strict=True))
    return np.array([rows[place] for place in range(len(texts))]) if rows else np.empty((0, 0))
