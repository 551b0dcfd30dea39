"""Small rank tables, made up: a few questions in a few languages, and models that are better or worse at them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from beir_hybrid.ranks import SCHEMA, build, rank_table
from beir_hybrid.ranks.schema import TableInfo

LANGUAGES = ("de", "en", "th")
POOL = 40
"""Passages in each language."""


def info_of(model: str, task: str = "XQuADR", languages: Sequence[str] = LANGUAGES, **facts) -> TableInfo:
    """Describe a table."""
    return TableInfo(
        **{
            "task": task,
            "dataset_revision": "data-1",
            "model": model,
            "model_revision": "main",
            "pool_sizes": dict.fromkeys(languages, POOL),
            **facts,
        }
    )


def ranks_of(level: float, questions: int, languages: Sequence[str], seed: int, same: bool = False) -> list[dict]:
    """Make the rows of a table: the higher the level, between 0 and 1, the better the ranks.

    Args:
        level: How good the model is.
        questions: Number of questions.
        languages: Languages of questions and answers; every question has one answer in each.
        seed: Of what is random.
        same: Give all questions the same ranks.
    """
    chance = random.Random(seed)
    rows = []
    for number in range(questions):
        for query_language in languages:
            draws = {language: 1 if same else _rank(level, chance) for language in languages}
            order = sorted(languages, key=lambda language: (draws[language], language))
            for passage_language in languages:
                place = order.index(passage_language)
                rows.append(
                    {
                        "query_id": f"{query_language}:q{number}",
                        "question_id": f"q{number}",
                        "query_language": query_language,
                        "passage_id": f"{passage_language}:p{number}",
                        "passage_language": passage_language,
                        "rank_in_language": draws[passage_language],
                        "rank_in_pool": 2 * draws[passage_language] + place,
                        "outranked_by_query_language": draws[passage_language] - 1,
                        "cluster_id": f"article {number // 2}",
                        "grade": 1,
                        "top_languages": (query_language * 3 + "".join(languages)) * 10,
                    }
                )
    return rows


def _rank(level: float, chance: random.Random) -> int:
    return 1 + int((1 - level) * 20 * chance.random() ** 2)


def write_ranks(
    folder: Path,
    model: str,
    level: float,
    task: str = "XQuADR",
    questions: int = 20,
    languages: Sequence[str] = LANGUAGES,
    seed: int = 0,
    same: bool = False,
    **facts,
) -> Path:
    """Write the rank table of a model to its place below ``folder``/ranks and return the file."""
    rows = ranks_of(level, questions, languages, seed, same)
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names if name != "task"}
    info = info_of(model, task, languages, **facts)
    path = rank_table.default_path(task, model, info.model_revision, folder)
    rank_table.write(path, build(task, [columns]), info)
    return path


def lose_ranks(path: Path, queries: int) -> None:
    """Take the rank of an answer in the pool of all languages away from some queries, question after question."""
    table, info = rank_table.read(path)
    frame = table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype(), pa.int16(): pd.Int32Dtype()}.get)
    answers = frame.sort_values("question_id", kind="stable").drop_duplicates("query_id").index[:queries]
    frame.loc[answers, ["rank_in_pool", "outranked_by_query_language"]] = None
    rank_table.write(path, pa.Table.from_pandas(frame, preserve_index=False), info)
