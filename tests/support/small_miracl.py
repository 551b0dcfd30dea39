"""A small data set in the hub's layout of MIRACL, made up here: four languages, questions judged in their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LANGUAGES = ("de", "en", "fi", "zh")

N_PASSAGES = {"de": 30, "en": 34, "fi": 29, "zh": 31}
N_QUESTIONS = 6

QRELS = pa.schema([("query-id", pa.string()), ("corpus-id", pa.string()), ("score", pa.int64())])


class Language(NamedTuple):
    """The rows of the three configurations of a language."""

    corpus: list[dict[str, Any]]
    queries: list[dict[str, Any]]
    qrels: list[dict[str, Any]]


def language(code: str) -> Language:
    """Make one language up.

    Passages have titles or not; some share their text. Grades are 0 to 3; every question has one to three relevant
    passages and two that were judged and found wrong. The last query has no judgment at all.
    """
    rng = np.random.default_rng([ord(letter) for letter in code])
    n = N_PASSAGES[code]
    corpus = [
        {
            "_id": f"{10 * number}#{number % 3}",
            "text": f" {code} text {number % (n - 3)}, \u00e9\u0301\U0001f600 ",  # the last three repeat the first
            "title": f"{code} title {number % (n - 3)}" if number % 4 else "",
        }
        for number in range(n)
    ]
    queries = [{"_id": f"{number}", "text": f"{code} question {number}?"} for number in range(N_QUESTIONS + 1)]
    qrels = []
    for number in range(N_QUESTIONS):
        rows = rng.choice(n, size=3 + number % 3, replace=False)
        for place, row in enumerate(rows):
            grade = 0 if place < 2 else 1 + (place + number) % 3
            qrels.append({"query-id": f"{number}", "corpus-id": corpus[row]["_id"], "score": grade})
    return Language(corpus, queries, qrels)


def write(folder: Path, languages: tuple[str, ...] = LANGUAGES) -> Path:
    """Write the data set as a copy of the hub's repository and return its folder."""
    lines = ["---", "configs:"]
    for code in languages:
        for kind, rows in language(code)._asdict().items():
            config = f"{code}-{kind}"
            (folder / config).mkdir(parents=True, exist_ok=True)
            write_rows(folder, config, rows)
            lines += [f"- config_name: {config}", "  data_files:", "  - split: dev", f"    path: {config}/dev-*"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
    return folder


def write_rows(folder: Path, config: str, rows: list[dict[str, Any]]) -> None:
    """Write the Parquet file of one configuration."""
    schema = QRELS if config.endswith("-qrels") else pa.schema([(name, pa.string()) for name in ("_id", "text")])
    if config.endswith("-corpus"):
        schema = schema.append(pa.field("title", pa.string()))
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / config / "dev-00000-of-00001.parquet")
