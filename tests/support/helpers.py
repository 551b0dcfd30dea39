"""Random parallel corpora, models whose scores a test sets freely, and the rankings that trec_eval makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytrec_eval
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus
from beir_hybrid.scoring.corpus_scores import Embeddings
from beir_hybrid.scoring.counting import PassageBlock
from beir_hybrid.scoring.retrieval_scores import K_VALUES
from tests.support.mteb_models import meta_of

Run = dict[str, dict[str, float]]
"""Query id -> passage id -> score."""

Qrels = dict[str, dict[str, int]]
"""Query id -> passage id -> grade."""

LANGUAGES = ("en", "de", "zh", "el")

ODD_NAMES = (
    "9",
    "10",
    "11",
    "100",
    "\u00e9",
    "e\u0301",
    "\uff21",
    "\U0001f600",
    "Z",
    "a",
    "~",
    "\u0663",
    "1 0",
    "1-0",
    "1.0",
    ":",
)
"""Ends of passage ids whose order as strings is not their order as numbers, in a locale, or in UTF-16."""

TREC_NAMES = {
    "map_at": "map_cut",
    "ndcg_at": "ndcg_cut",
    "recall_at": "recall",
    "precision_at": "P",
    "hit_rate_at": "success",
}
"""MTEB's names of the metrics that pytrec_eval computes -> pytrec_eval's."""


def property_test(examples: int) -> settings:
    """Settings of a property test: so many examples, and nothing that depends on the speed of the machine."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def corpus_of(
    passage_names: Mapping[str, Sequence[str]],
    questions: Mapping[str, Sequence[str]],
    relevance: Mapping[str, Mapping[str, Mapping[int, int]]],
    ignored: Mapping[str, Mapping[str, Sequence[int]]] | None = None,
) -> ParallelCorpus:
    """Make a parallel corpus.

    Args:
        passage_names: Language -> ends of its passage ids.
        questions: Language -> ids of its questions.
        relevance: Language of the passages -> question id -> {row: grade}.
        ignored: Language of the passages -> question id -> rows that are no candidates.
    """
    parts = {
        language: LanguageCorpus(
            language=language,
            question_ids=tuple(questions[language]),
            questions=tuple(f"{language} question {question_id}" for question_id in questions[language]),
            articles=tuple(f"article {question_id}" for question_id in questions[language]),
            passage_ids=tuple(f"{language}:{name}" for name in names),
            passages=tuple(f"{language} passage {name}" for name in names),
            relevance=relevance.get(language, {}),
            ignored=(ignored or {}).get(language, {}),
        )
        for language, names in passage_names.items()
    }
    return ParallelCorpus("random", "1", parts)


@st.composite
def corpora(draw: st.DrawFn, graded: bool | None = None, max_passages: int = 6) -> ParallelCorpus:
    """Draw a parallel corpus of 2 to 4 languages.

    Questions lack in some languages; a question has any number of relevant passages in a language, none included, and
    passages that are no candidates for it.

    Args:
        draw: Hypothesis'.
        graded: Whether grades above 1 occur; drawn by default.
        max_passages: Passages of a language, at most.
    """
    languages = draw(st.lists(st.sampled_from(LANGUAGES), min_size=2, max_size=4, unique=True))
    question_ids = [f"q{n}" for n in range(draw(st.integers(1, 4)))]
    grades = st.integers(1, 4) if (draw(st.booleans()) if graded is None else graded) else st.just(1)
    passages, questions, relevance, ignored = {}, {}, {}, {}
    ignores = draw(st.booleans())
    for language in languages:
        names = draw(st.lists(st.sampled_from(ODD_NAMES), min_size=1, max_size=max_passages, unique=True))
        rows = st.dictionaries(st.integers(0, len(names) - 1), grades, max_size=3)
        passages[language] = names
        questions[language] = draw(st.lists(st.sampled_from(question_ids), unique=True))
        relevance[language] = {question_id: draw(rows) for question_id in question_ids}
        left = {
            question_id: sorted({*range(len(names))} - {*rows}) for question_id, rows in relevance[language].items()
        }
        ignored[language] = {
            question_id: draw(st.lists(st.sampled_from(others), unique=True, max_size=2))
            for question_id, others in left.items()
            if ignores and others
        }
    return corpus_of(passages, questions, relevance, ignored)


@dataclass(frozen=True)
class ScoreTable:
    """A corpus and the score of every query and passage, set freely.

    The embedding of a text is its row or column in the table, so that ``similarity`` can look scores up whatever
    rows it is given.

    Attributes:
        corpus: The corpus.
        scores: Queries of all languages x passages of all languages.
    """

    corpus: ParallelCorpus
    scores: NDArray[np.float32]

    @property
    def query_ids(self) -> list[str]:
        return [query_id for part in self.corpus.languages.values() for query_id in part.query_ids]

    @property
    def passage_ids(self) -> list[str]:
        return [passage_id for part in self.corpus.languages.values() for passage_id in part.passage_ids]

    @property
    def embeddings(self) -> Embeddings:
        """The embeddings of all texts, float32 of shape (n, 1)."""
        return Embeddings(
            questions=self._places({code: part.query_ids for code, part in self.corpus.languages.items()}),
            passages=self._places({code: part.passage_ids for code, part in self.corpus.languages.items()}),
        )

    def similarity(self, questions: Any, passages: Any) -> torch.Tensor:
        """Look up the scores of some questions and passages, shape (Q, n)."""
        rows, columns = (torch.as_tensor(places)[:, 0].long() - 1 for places in (questions, passages))
        return torch.from_numpy(self.scores)[rows][:, columns]

    def run(self, query_language: str, pool: Sequence[str]) -> Run:
        """Give the uncut results of the queries in one language on a pool, without what is no candidate for them."""
        column = {passage_id: number for number, passage_id in enumerate(self.passage_ids)}
        row = {query_id: number for number, query_id in enumerate(self.query_ids)}
        part, parts = self.corpus.languages[query_language], [self.corpus.languages[language] for language in pool]
        return {
            query_id: {
                passage_id: float(self.scores[row[query_id], column[passage_id]])
                for passages in parts
                for place, passage_id in enumerate(passages.passage_ids)
                if place not in passages.ignored.get(question_id, ())
            }
            for query_id, question_id in zip(part.query_ids, part.question_ids, strict=True)
        }

    def _places(self, ids: Mapping[str, Sequence[str]]) -> dict[str, torch.Tensor]:
        places, first = {}, 1.0
        for language, some in ids.items():
            places[language] = torch.arange(first, first + len(some))[:, None]
            first += len(some)
        return places


@st.composite
def score_tables(draw: st.DrawFn, graded: bool | None = None, max_passages: int = 6) -> ScoreTable:
    """Draw a corpus and scores, nearly all of which tie."""
    corpus = draw(corpora(graded, max_passages))
    shape = [sum(len(ids) for ids in every) for every in zip(*_id_lists(corpus), strict=True)]
    values = st.sampled_from(draw(st.sampled_from([(0.0, 1.0), (-1.0, -0.0, 0.0, 2.0), (0.5, 0.25, 3.0, 4.0, 5.0)])))
    flat = draw(st.lists(values, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    return ScoreTable(corpus, np.array(flat, dtype=np.float32).reshape(shape))


def _id_lists(corpus: ParallelCorpus) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    return ((part.query_ids, part.passage_ids) for part in corpus.languages.values())


def qrels_of(corpus: ParallelCorpus, query_language: str, pool: Sequence[str]) -> Qrels:
    """Give the judgments of the queries in one language that have a relevant passage in a pool."""
    part = corpus.languages[query_language]
    qrels = {
        query_id: {
            corpus.languages[language].passage_ids[row]: grade
            for language in pool
            for row, grade in sorted(corpus.relevant(question_id, language).items())
        }
        for query_id, question_id in zip(part.query_ids, part.question_ids, strict=True)
    }
    return {query_id: grades for query_id, grades in qrels.items() if grades}


def ranking(scores: Mapping[str, float]) -> dict[str, int]:
    """Rank passages as trec_eval does: by score, and of equal scores the larger id first. Passage id -> rank."""
    order = sorted(scores, key=lambda passage_id: (scores[passage_id], passage_id), reverse=True)
    return {passage_id: rank for rank, passage_id in enumerate(order, 1)}


def pytrec(run: Run, qrels: Qrels, k_values: Sequence[int] = K_VALUES) -> dict[str, NDArray[np.float64]]:
    """Let pytrec_eval compute its metrics under MTEB's names; each is of the queries in the order of ``qrels``."""
    cuts = ",".join(str(k) for k in k_values)
    measures = {"map", *(f"{name}.{cuts}" for name in TREC_NAMES.values())}
    scores = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate({query_id: run[query_id] for query_id in qrels})
    names = {"map": "map", **{f"{m}_{k}": f"{t}_{k}" for m, t in TREC_NAMES.items() for k in k_values}}
    return {name: np.array([scores[query_id][trec] for query_id in qrels]) for name, trec in names.items()}


def blocks_of(table: ScoreTable, pool: Sequence[str], rows: int | None = None) -> list[PassageBlock]:
    """Cut the passages of a pool into blocks of some rows, or of a language."""
    blocks = []
    for number, language in enumerate(pool):
        ids, embeddings = table.corpus.languages[language].passage_ids, table.embeddings.passages[language]
        step = rows or len(ids)
        blocks += [
            PassageBlock(number, first, ids[first : first + step], embeddings[first : first + step])
            for first in range(0, len(ids), step)
        ]
    return blocks


class TableModel:
    """An encoder in MTEB's protocol that gives the embeddings and scores of a table.

    Args:
        table: The corpus and scores.
    """

    def __init__(self, table: ScoreTable) -> None:
        self.table = table
        self.mteb_model_meta = meta_of("table")
        self.calls: list[dict[str, Any]] = []

    def encode(self, inputs: Any, *, prompt_type: Any = None, **options: Any) -> torch.Tensor:
        """Return the place of each text in the table, shape (n, 1)."""
        ids = [text_id for batch in inputs for text_id in batch["id"]]
        self.calls.append({"ids": ids, "prompt_type": prompt_type, **options})
        known = self.table.query_ids if prompt_type == "query" else self.table.passage_ids
        return torch.tensor([[known.index(text_id) + 1.0] for text_id in ids])

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Look the scores up."""
        return self.table.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Look the scores of pairs up."""
        return self.table.similarity(embeddings1, embeddings2).diagonal()
