"""Runs made of scores the slow way, every pool sorted as a whole: a small corpus, and what outranks what is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.corpora.spec import CorpusSpec, TaskFacts
from beir_hybrid.interface.evaluate_model import read_corpus
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.ranks.rows import build
from beir_hybrid.ranks.schema import SCHEMA, TableInfo
from beir_hybrid.subsets import MULTI
from tests.support.small_folder import HEADING, write_lines
from tests.support.sorted_tops import tops_of

LANGUAGES = ("de", "en", "th")
REVISION = "data-1"

Score = Callable[[str, int, str, int], float]
"""Language and number of a question, language and row of a passage -> score; passage row i answers question i."""


def corpus_of(
    languages: Sequence[str] = LANGUAGES, questions: int = 8, passages: int = 20, task: str = "MadeUp"
) -> ParallelCorpus:
    """Make a corpus: passage i of each language answers question i, two questions are about one article."""
    spec = CorpusSpec("made-up", "Made up", "cc0-1.0", tuple(languages), REVISION, task=TaskFacts(task))
    parts = {
        language: LanguageCorpus(
            language,
            tuple(f"q{n}" for n in range(questions)),
            tuple(f"{language} question {n}?" for n in range(questions)),
            tuple(f"article {n // 2}" for n in range(questions)),
            tuple(f"{language}:{n}" for n in range(passages)),
            tuple(f"{language} passage {n}." for n in range(passages)),
            {f"q{n}": {n: 1} for n in range(questions)},
        )
        for language in languages
    }
    return ParallelCorpus(spec.name, REVISION, parts, spec)


def write_corpus(folder: Path, questions: int = 8) -> ParallelCorpus:
    """Write such a corpus as a folder of the user's own, and return it as it is read."""
    made = corpus_of(questions=questions)
    folder.mkdir(parents=True)
    toml = f'name = "made-up"\nlicence = "cc0-1.0"\nlanguages = {list(LANGUAGES)}\n'
    (folder / "corpus.toml").write_text(toml.replace("'", '"'), encoding="utf-8")
    for language, part in made.languages.items():
        texts = {
            "corpus": [{"_id": str(n), "text": text} for n, text in enumerate(part.passages)],
            "queries": [
                {"_id": name, "text": text, "article": article}
                for name, text, article in zip(part.question_ids, part.questions, part.articles, strict=True)
            ],
        }
        for kind, rows in texts.items():
            write_lines(folder / language / f"{kind}.jsonl", map(json.dumps, rows))
        judgments = [f"q{n}\t{n}\t1" for n in range(questions)]
        write_lines(folder / language / "qrels" / "test.tsv", [HEADING, *judgments])
    return read_corpus(folder)


def random_scores(seed: int, own: float = 0.0, right: float = 1.0) -> Score:
    """Make random scores: ``own`` is added to passages in the question's language, ``right`` to right answers."""

    @cache
    def noise(questions: str, number: int, language: str) -> NDArray[np.float64]:
        return np.random.default_rng([seed, *f"{questions}{number}{language}".encode()]).random(100)

    def score(questions: str, number: int, language: str, row: int) -> float:
        bias = own * (questions == language) + right * (number == row)
        return round(float(noise(questions, number, language)[row]) + bias, 2)  # with ties

    return score


@dataclass(frozen=True)
class Ranking:
    """The passages of a pool, best first: their ids, and the rank of each."""

    order: list[str]
    ranks: dict[str, int]


def ranking(corpus: ParallelCorpus, questions: str, number: int, pool: Sequence[str], score: Score) -> Ranking:
    """Sort a pool as trec_eval does: by falling score, equal scores with the larger id first."""
    scored = [
        (score(questions, number, language, row), passage_id)
        for language in pool
        for row, passage_id in enumerate(corpus.languages[language].passage_ids)
    ]
    order = [passage_id for _, passage_id in sorted(scored, reverse=True)]
    return Ranking(order, {passage_id: place for place, passage_id in enumerate(order, start=1)})


def run_of(
    corpus: ParallelCorpus, score: Score, model: str = "me/model", k: int = 10, cut: int | None = None
) -> RankTable:
    """Rank all pools of a corpus, and keep the ranks and the top passages.

    Args:
        corpus: From ``corpus_of`` or ``write_corpus``: passage i answers question i.
        score: The model.
        model: Its name.
        k: Top passages of each query.
        cut: Passages that a search returned for each query in each pool; None for all.
    """
    assert corpus.spec is not None and corpus.spec.task is not None
    languages, rows, tops = list(corpus.languages), [], []
    outranking = {questions: dict.fromkeys(languages, 0) for questions in languages}
    for questions, part in corpus.languages.items():
        for number, (query_id, article) in enumerate(zip(part.query_ids, part.articles, strict=True)):
            in_pool = ranking(corpus, questions, number, languages, score)
            by_pool = {language: ranking(corpus, questions, number, [language], score) for language in languages}
            returned = in_pool.order[:cut]
            for language in languages:
                answer = corpus.languages[language].passage_ids[number]
                rank, in_language = in_pool.ranks[answer], by_pool[language].ranks[answer]
                above = [passage_id.split(":")[0] for passage_id in in_pool.order[: rank - 1]]
                is_known = answer in returned
                for other in above if is_known else ():
                    outranking[questions][other] += 1
                rows.append(
                    {
                        "query_id": query_id,
                        "question_id": part.question_ids[number],
                        "query_language": questions,
                        "passage_id": answer,
                        "passage_language": language,
                        "rank_in_language": in_language if cut is None or in_language <= cut else None,
                        "rank_in_pool": rank if is_known else None,
                        "outranked_by_query_language": above.count(questions) if is_known else None,
                        "cluster_id": article,
                        "grade": 1,
                        "top_languages": None,
                    }
                )
            for pool, ranked in {**by_pool, MULTI: in_pool}.items():
                for place, passage_id in enumerate(ranked.order[:cut][:k], start=1):
                    language = passage_id.split(":")[0]
                    value = score(questions, number, language, corpus.languages[language].passage_ids.index(passage_id))
                    tops.append((query_id, questions, pool, place, passage_id, language, value))
    table = build(
        corpus.spec.task.name, [{name: [row[name] for row in rows] for name in SCHEMA.names if name != "task"}]
    )
    info = TableInfo(
        task=corpus.spec.task.name,
        dataset_revision=corpus.spec.revision,
        model=model,
        model_revision="1",
        pool_sizes={language: len(part.passage_ids) for language, part in corpus.languages.items()},
        cut=cut,
        evaluated={language: [*languages, MULTI] for language in languages},
    )
    return RankTable(table, info, kept_tops=tops_of(tops, k, outranking))
