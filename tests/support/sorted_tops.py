"""Top passages the slow way: every pool sorted as a whole, as trec_eval sorts it; for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from beir_hybrid.ranks.tops import SCHEMA, Outranking, Tops
from beir_hybrid.subsets import MULTI
from tests.support.helpers import Qrels, Run, ScoreTable, qrels_of, ranking

Row = tuple[Any, ...]
"""The values of a row, in the order of SCHEMA."""


def tops_of(rows: Sequence[Row], k: int, outranking: Outranking | None = None) -> Tops:
    """Make top passages of rows."""
    columns = {name: [row[place] for row in rows] for place, name in enumerate(SCHEMA.names)}
    arrays = [pa.array(columns[field.name], getattr(field.type, "value_type", field.type)) for field in SCHEMA]
    return Tops(pa.table(arrays, SCHEMA.names).cast(SCHEMA), k, outranking or {})


def rows_of(tops: Tops) -> list[Row]:
    """Return the rows, ordered by query, pool and place."""
    return sorted(tuple(row[name] for name in SCHEMA.names) for row in tops.table.to_pylist())


def rows_by_sorting(run: Run, pool: str, k: int) -> list[Row]:
    """Return the rows of some queries in a pool."""
    return [
        (query_id, language_of(query_id), pool, place, passage_id, language_of(passage_id), single(scores[passage_id]))
        for query_id, scores in run.items()
        for passage_id, place in ranking(scores).items()
        if place <= k
    ]


def tops_by_sorting(table: ScoreTable, asked: str, pool: Sequence[str], k: int) -> Tops:
    """Return the top passages of the questions of a language in each language of a pool, and in all of it."""
    runs = {**{language: table.run(asked, [language]) for language in pool}, MULTI: table.run(asked, pool)}
    rows = [row for name, run in runs.items() for row in rows_by_sorting(run, name, k)]
    return tops_of(rows, k, {asked: outranking_by_sorting(runs[MULTI], qrels_of(table.corpus, asked, pool), pool)})


def outranking_by_sorting(run: Run, qrels: Qrels, pool: Sequence[str]) -> dict[str, int]:
    """Count the passages of each language before each right answer that is ranked."""
    counts = dict.fromkeys(pool, 0)
    for query_id, grades in qrels.items():
        order = ranking(run.get(query_id, {}))
        for answer in grades.keys() & order.keys():
            for passage_id, rank in order.items():
                counts[language_of(passage_id)] += rank < order[answer]
    return counts


def language_of(name: str) -> str:
    """Return the language of a query or a passage by its id."""
    return name.partition(":")[0]


def single(score: float) -> float:
    """Return a score as single precision keeps it."""
    return float(np.float32(score))
