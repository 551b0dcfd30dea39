"""Data sets in the layout of mteb's retrieval tasks, of which each language has configurations of its own.

``<x>-corpus`` has the columns ``_id``, ``text`` and perhaps ``title``, ``<x>-queries`` has ``_id`` and ``text``, and
``<x>-qrels`` has ``query-id``, ``corpus-id`` and ``score``. mteb's own loader reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from beir_hybrid.corpora.hub.repository import Repository, files_of
from beir_hybrid.corpora.parallel import LanguageCorpus
from beir_hybrid.corpora.text_columns import TextColumn
from beir_hybrid.errors import DataError, one_line

if TYPE_CHECKING:
    from datasets import Dataset
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData

KINDS = ("corpus", "queries", "qrels")
"""What follows the name of a language in that of its configurations."""

_AT_ONCE = 1_000_000
"""Ids looked through at once."""


def read_language(
    source: Repository, config: str, language: str, split: str, prefix: str = "", num_proc: int | None = None
) -> LanguageCorpus:
    """Read the passages of one language, and its questions that have a relevant passage.

    Args:
        source: The data set.
        config: What the configurations of the language begin with.
        language: Its tag.
        split: The split; where there is one only, that one.
        prefix: Put before the id of each question.
        num_proc: Processes that prepare downloaded files.

    Returns:
        The language. A passage id is ``<language>:<id in the data set>``; each question is an article of its own.
        Passages are read from disk when they are used.

    Raises:
        DataError: The data cannot be had or is malformed.
    """
    where = f"{source.folder or source.path} {config}"
    data = _load(source, config, split, num_proc, where)
    passages: Dataset = data["corpus"]
    questions = dict(zip(map(str, data["queries"]["id"]), map(str, data["queries"]["text"]), strict=True))
    judgments = {
        question: relevant
        for question, grades in data["relevant_docs"].items()
        if (relevant := {passage: grade for passage, grade in grades.items() if grade > 0})
    }
    unknown = judgments.keys() - questions.keys()
    if unknown:
        raise DataError(f"{where}: the qrels name the question {min(unknown)!r}, which is not among the queries")
    if not judgments:
        raise DataError(f"{where}: no question has a relevant passage; check the qrels")
    rows = _rows_of({passage for grades in judgments.values() for passage in grades}, passages)
    nowhere = [passage for grades in judgments.values() for passage in grades if passage not in rows]
    if nowhere:
        raise DataError(f"{where}: the qrels name the passage {nowhere[0]!r}, which is not in the corpus")
    asked = {f"{prefix}{name}": text for name, text in questions.items() if name in judgments}
    return LanguageCorpus(
        language=language,
        question_ids=tuple(asked),
        questions=tuple(asked.values()),
        articles=tuple(asked),
        passage_ids=TextColumn(passages, "id", prefix=f"{language}:"),
        passages=TextColumn(passages, "text"),
        relevance={
            f"{prefix}{question}": {rows[passage]: int(grade) for passage, grade in grades.items()}
            for question, grades in judgments.items()
        },
        titles=TextColumn(passages, "title") if "title" in passages.column_names else None,
    )


def _rows_of(ids: Iterable[str], passages: Dataset) -> dict[str, int]:
    """Find the rows of some passages, in the order of the data set, without a copy of all ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(ids), pa.string())
    column = passages.select_columns(["id"]).with_format("arrow")
    rows: dict[str, int] = {}
    for first in range(0, len(column), _AT_ONCE):
        names = column[first : first + _AT_ONCE]["id"].cast(pa.string())
        places = np.flatnonzero(pc.is_in(names, value_set=wanted).to_numpy())
        rows.update((names[place].as_py(), first + int(place)) for place in places)
    return rows


def _load(source: Repository, config: str, split: str, num_proc: int | None, where: str) -> RetrievalSplitData:
    """Read one language by mteb's loader; whatever it raises becomes one line."""
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalDatasetLoader

    try:
        with source.reading():
            data = RetrievalDatasetLoader(
                hf_repo=str(source.folder or source.path), revision=source.revision, split=split, config=config
            ).load(num_proc=num_proc)
        columns = set(data["corpus"].column_names) & set(data["queries"].column_names)
    except IndexError as error:
        raise DataError(f"{where}: the corpus or the queries are empty") from error
    except Exception as error:  # of the hub's client, pyarrow, polars, the file system
        empty = _empty_file(source, config)
        if empty is not None:
            raise DataError(f"{where}: {empty} is empty") from error
        raise DataError(f"{where}: cannot be read ({one_line(root_of(error))}); {source.ways_out}") from error
    for column in ("id", "text"):
        if column not in columns:
            raise DataError(f"{where}: the corpus or the queries lack the column {column!r}")
    return data


def _empty_file(source: Repository, config: str) -> Path | None:
    """Find the Parquet file without a row that a language could not be read for; its reader's words say nothing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = source.folder
    for path in files_of(folder, source.check) if folder is not None else []:
        if path.suffix == ".parquet" and path.relative_to(folder or path).parts[0].startswith(f"{config}-"):
            try:
                if pq.read_metadata(path).num_rows == 0:
                    return path
            except (OSError, pa.ArrowException):
                continue
    return None


def root_of(error: BaseException) -> BaseException:
    """Return what an error was raised from in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
