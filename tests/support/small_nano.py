"""Stand-ins for MTEB's ``MultilingualNano...Retrieval`` data, made up here, as copies of the hub's repositories.

They have the layout that MTEB's loader reads: for each language the configurations ``<x>-corpus``, ``<x>-queries`` and
``<x>-qrels`` with one split, several relevant passages a question, grades of 0, 1 and 2, titles in some data sets, and
the rows of every language in another order. A passage is a bag of concepts; each language has a word of its own for
each, and one in three words is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from beir_hybrid.corpora import CorpusSpec

CONCEPTS = 3_000
"""Different meanings of words."""

DEVIATING = "nano-scifact"
"""The data set of which one language has ids of its own."""

DEVIATES = "ko"
"""That language."""

_WORDS = 18
"""Words of a passage."""

_SHARED = 3
"""Concepts of a question that are in each of its answers, of six."""


@dataclass(frozen=True)
class Size:
    """How large a data set is, in every language.

    Attributes:
        questions: Number of questions.
        passages: Number of passages.
        relevant: Number of judgments that are not 0.
        most: The most of them that a question has.
    """

    questions: int = 6
    passages: int = 24
    relevant: int = 14
    most: int = 5

    @classmethod
    def real(cls, spec: CorpusSpec) -> Size:
        """Return the size of the real data, as MTEB's descriptive statistics have it."""
        assert spec.origin is not None
        stats: Any = mteb.get_task(spec.origin.task).metadata.descriptive_stats
        of_language = stats["test"]["hf_subset_descriptive_stats"]["en"]
        judged = of_language["relevant_docs_statistics"]
        return cls(
            of_language["num_queries"],
            of_language["num_documents"],
            judged["num_relevant_docs"],
            judged["max_relevant_docs_per_query"],
        )

    def relevant_of_each(self) -> list[int]:
        """Return how many answers each question has: one with the most, the others about equally many."""
        rest = self.relevant - self.most
        others = self.questions - 1
        return [self.most, *(rest // others + (place < rest % others) for place in range(others))]


def words_of(language: str, concepts: NDArray[np.int64]) -> str:
    """Say some concepts in a language."""
    return " ".join(f"w{concept}" if concept % 3 == 0 else f"{language}{concept}" for concept in concepts.tolist())


def write(root: Path, specs: Sequence[CorpusSpec], size: Size | None = None, languages: Sequence[str] = ()) -> Path:
    """Write copies of the repositories of some corpora into a folder that BEIR_HYBRID_HUB can name, and return it.

    Args:
        root: The folder.
        specs: The corpora.
        size: Of each of them; by default that of the real data.
        languages: Those that are written; all by default.
    """
    for number, spec in enumerate(specs):
        _write_one(root, spec, size or Size.real(spec), languages or spec.languages, number)
    return root


def _write_one(root: Path, spec: CorpusSpec, size: Size, languages: Sequence[str], seed: int) -> None:
    assert spec.task is not None
    folder = root / spec.task.path
    rng = np.random.default_rng([7, seed])
    passages = rng.integers(CONCEPTS, size=(size.passages, _WORDS))
    questions = rng.integers(CONCEPTS, size=(size.questions, 2 * _SHARED))
    qrels = list(_judge(size, questions, passages, rng))
    lines = ["---", "configs:"]
    for place, language in enumerate(languages):
        order = np.random.default_rng([seed, place])
        deviates = spec.name == DEVIATING and language == DEVIATES
        ids = [f"{'x' if deviates else 'd'}{number}" for number in range(size.passages)]
        asked = [f"{'y' if deviates else 'q'}{number}" for number in range(size.questions)]
        corpus = [{"_id": name, **_passage(language, passages[row], seed)} for row, name in enumerate(ids)]
        queries = [{"_id": asked[row], "text": words_of(language, questions[row])} for row in range(size.questions)]
        judged = [{"query-id": asked[q], "corpus-id": ids[d], "score": grade} for q, d, grade in qrels]
        for kind, rows in (("corpus", corpus), ("queries", queries), ("qrels", judged)):
            config = f"{language}-{kind}"
            (folder / config).mkdir(parents=True, exist_ok=True)
            table = pa.Table.from_pylist([rows[row] for row in order.permutation(len(rows))])
            pq.write_table(table, folder / config / "test-00000-of-00001.parquet")
            lines += [f"- config_name: {config}", "  data_files:", "  - split: test", f"    path: {config}/test-*"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")


def _passage(language: str, concepts: NDArray[np.int64], seed: int) -> dict[str, str]:
    """Say what a passage is about; every other data set has titles."""
    title, text = words_of(language, concepts[:3]), words_of(language, concepts[3:])
    return {"title": title, "text": text} if seed % 2 else {"text": f"{title} {text}"}


def _judge(
    size: Size, questions: NDArray[np.int64], passages: NDArray[np.int64], rng: np.random.Generator
) -> Iterator[tuple[int, int, int]]:
    """Yield question, passage and grade, and let the relevant passages speak of what they are asked about."""
    for question, n_relevant in enumerate(size.relevant_of_each()):
        first, *others = rng.choice(size.passages, n_relevant + 1, replace=False).tolist()
        yield question, first, 0
        for place, passage in enumerate(others):
            yield question, passage, 1 + place % 2
            concepts = rng.choice(questions[question], _SHARED, replace=False)
            passages[passage, rng.choice(_WORDS, _SHARED, replace=False)] = concepts


def save_static_model(folder: Path, languages: Sequence[str], dimensions: int = 64, seed: int = 0) -> Path:
    """Save a Sentence Transformers model that knows all words: a vector a concept, shifted and blurred by language."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    rng = np.random.default_rng(seed)
    meanings = rng.normal(size=(CONCEPTS, dimensions))
    words, vectors = ["[UNK]"], [np.zeros((1, dimensions))]
    for language in ("w", *languages):
        blur = 0.0 if language == "w" else 0.8
        shift = blur * rng.normal(size=dimensions)
        words += [f"{language}{concept}" for concept in range(CONCEPTS)]
        vectors.append(meanings + shift + blur * rng.normal(size=meanings.shape))
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    weights = np.concatenate(vectors).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[module], device="cpu").save(str(folder), create_model_card=False)
    return folder
