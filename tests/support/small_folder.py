"""A small corpus of the user's own as a folder, made up here: two languages, ids that count from 1 in each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TOML = """\
name = "help-centre"
licence = "cc-by-4.0"
languages = ["en", "de"]
"""

HEADING = "query-id\tcorpus-id\tscore"

QRELS = [("1", "1", 1), ("2", "2", 2), ("2", "3", 1), ("3", "3", 0)]
"""Question, passage, grade; the third question has no answer."""


def passages(language: str) -> list[dict[str, Any]]:
    """Make the passages of a language, of which the second has a title."""
    titles = {2: f"{language} title"}
    return [
        {"_id": str(n), "text": f"{language} passage {n}"} | ({"title": titles[n]} if n in titles else {})
        for n in range(1, 5)
    ]


def questions(language: str) -> list[dict[str, Any]]:
    """Make the questions of a language; the first two are about one article."""
    return [
        {"_id": str(n), "text": f"{language} question {n}?"} | ({"article": "passwords"} if n < 3 else {})
        for n in range(1, 4)
    ]


def write(folder: Path, form: str = "jsonl", flat: bool = False) -> Path:
    """Write the corpus as JSON Lines or Parquet, a folder for each language or flat files, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.toml").write_text(TOML, encoding="utf-8")
    for language in ("en", "de"):
        place = f"{language}-" if flat else f"{language}/"
        kinds = {"corpus": passages(language), "queries": questions(language)}
        judgments = [dict(zip(HEADING.split("\t"), row, strict=True)) for row in QRELS]
        if form == "parquet":
            for kind, rows in {**kinds, "qrels": judgments}.items():
                write_parquet(folder / f"{place}{kind}.parquet", rows)
        else:
            for kind, rows in kinds.items():
                write_lines(folder / f"{place}{kind}.jsonl", map(json.dumps, rows))
            lines = ["\t".join(map(str, row.values())) for row in judgments]
            write_lines(folder / (f"{place}qrels.tsv" if flat else f"{place}qrels/test.tsv"), [HEADING, *lines])
    return folder


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines of text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_parquet(path: Path, rows: list[Mapping[str, Any]]) -> None:
    """Write rows as Parquet, with every column that some of them have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
