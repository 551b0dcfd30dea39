"""The user's own pairs: JSON Lines, Parquet, a folder of ``Dataset.save_to_disk``, or a data set of the hub.

An entry has the texts ``id``, ``language``, ``question`` and ``answer``; entries of one id are translations of each
other. All may have hard negatives in their language, equally many each: a text or a list of texts ``negative``, or the
texts ``negative_1``, ``negative_2`` and so on; null where there are none for an entry. The same entries in the same
order give the same pairs and the same revision, however they are stored.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.corpora.parallel import choose
from beir_hybrid.errors import DataError, first_line
from beir_hybrid.files import atomic_path
from beir_hybrid.training.negatives import FIELD
from beir_hybrid.training.pair_entries import FIELDS, NEGATIVE_FIELD, checked, same_number
from beir_hybrid.training.parallel_pairs import ParallelPairs, same_answer_labels, text_column, text_columns

if TYPE_CHECKING:
    from datasets import Dataset

_HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(:(?P<split>[\w.]+))?")

_AT_ONCE = 10_000
"""Rows of a data set that are read at once."""

Entries = Iterator[tuple[str, Any]]
"""Where an entry stands, as error messages say it, and the entry."""


def is_own(source: str) -> bool:
    """Return whether a source is written like one of the user's own; it need not exist."""
    return _reader(source) is not None


def read_own(source: str, languages: Iterable[str] | None = None) -> ParallelPairs:
    """Read the user's own pairs.

    Args:
        source: A path ending in ``.jsonl``, ``.jsonl.gz`` or ``.parquet``, a folder of ``Dataset.save_to_disk``, or
            ``org/name`` or ``org/name:split`` on the Hugging Face hub.
        languages: Language tags; None for all.

    Returns:
        One row an id, in the order in which the ids appear; so are the languages. The revision is the SHA-256 of
        all entries.

    Raises:
        DataError: The source is missing or an entry malformed (the message says where), or a language is not in it.
    """
    reader = _reader(source)
    if reader is None:
        raise DataError(f"{source!r} is neither a file or folder of pairs nor a data set of the hub, org/name")
    digest = hashlib.sha256()
    row_of: dict[str, int] = {}
    questions: dict[str, dict[int, str]] = {}
    answers: dict[str, dict[int, str]] = {}
    negatives: dict[str, dict[int, tuple[str, ...]]] = {}
    number: int | None = None
    for where, fields in reader(source):
        entry = checked(fields, where)
        number = same_number(entry, where, number, first=not row_of)
        texts = entry if entry.negatives else entry[: len(FIELDS)]
        digest.update(json.dumps(texts, ensure_ascii=False).encode() + b"\n")
        row = row_of.setdefault(entry.id, len(row_of))
        if row in questions.setdefault(entry.language, {}):
            raise DataError(f"{where}: the id {entry.id!r} stands in {entry.language!r} for the second time")
        questions[entry.language][row] = entry.question
        answers.setdefault(entry.language, {})[row] = entry.answer
        of_language = negatives.setdefault(entry.language, {})
        if entry.negatives:
            of_language[row] = entry.negatives
    if not row_of:
        raise DataError(f"{source}: holds no pair")
    wanted = choose(source, tuple(questions), languages, unknown="no pair in")
    right = ((row, code, text) for code in wanted for row, text in answers[code].items())
    return ParallelPairs(
        source=source,
        revision=digest.hexdigest(),
        training_datasets=frozenset(),
        questions={code: text_column(questions[code], len(row_of)) for code in wanted},
        answers={code: text_column(answers[code], len(row_of)) for code in wanted},
        labels=same_answer_labels(len(row_of), right),
        negatives={code: text_columns(negatives[code], number, len(row_of)) for code in wanted} if number else {},
    )


def write_pairs(pairs: ParallelPairs, path: Path) -> Path:
    """Write pairs as the user's own are written, as JSON Lines, or as Parquet where the path ends in it; return it.

    The id of an entry is the number of its row. A row's question and answer are in one entry, so that it is left out
    of the languages in which it has one of the two only.

    Raises:
        BeirHybridError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        if path.name.lower().endswith(".parquet"):
            import pyarrow as pa
            from pyarrow.parquet import write_table

            write_table(pa.Table.from_pylist(list(_entries(pairs))), temporary)
        else:
            opened: Callable[..., Any] = gzip.open if path.name.lower().endswith(".gz") else open
            with opened(temporary, "wt", encoding="utf-8") as file:
                for entry in _entries(pairs):
                    file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    return path


def _entries(pairs: ParallelPairs) -> Iterator[dict[str, Any]]:
    for language in pairs.languages:
        hard = [column.to_pylist() for column in pairs.negatives.get(language, ())]
        columns = pairs.questions[language].to_pylist(), pairs.answers[language].to_pylist(), *hard
        for row, (question, answer, *negatives) in enumerate(zip(*columns, strict=True)):
            if question is not None and answer is not None:
                entry = dict(zip(FIELDS, (str(row), language, question, answer), strict=True))
                yield {**entry, FIELD: None if None in negatives else negatives} if hard else entry


def _reader(source: str) -> Callable[[str], Entries] | None:
    """Return what reads a source, None if it is not written like one of the user's own."""
    if source.lower().endswith((".jsonl", ".jsonl.gz")):
        return _json_lines
    if source.lower().endswith(".parquet"):
        return _parquet
    if source and Path(source).is_dir():
        return _saved
    return _of_the_hub if _HUB_ID.fullmatch(source) else None


def _json_lines(source: str) -> Entries:
    """Yield the objects of a JSON Lines file; blank lines are left out."""
    opened: Callable[..., Any] = gzip.open if source.lower().endswith(".gz") else open
    try:
        with opened(source, "rb") as file:
            for number, line in enumerate(file, 1):
                where = f"{source}, line {number}"
                text = _decoded(line, where)
                if text.strip():
                    yield where, _parsed(text, where)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {source}: {reason}") from error


def _decoded(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start} of the line is not UTF-8") from error


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON at column {error.colno}: {error.msg}; write one object a line") from error
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond what Python reads
        raise DataError(f"{where}: not JSON that can be read: {error}") from error


def _parquet(source: str) -> Entries:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(source) as file:
            columns = _chosen_columns(source, file.schema_arrow.names)
            rows = (row for batch in file.iter_batches(_AT_ONCE, columns=columns) for row in batch.to_pylist())
            for number, row in enumerate(rows):
                yield f"{source}, row {number}", row
    except (OSError, ArrowException) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"cannot read {source}: {reason}") from error


def _saved(source: str) -> Entries:
    """Yield the rows of a folder of save_to_disk; of one with several splits, those of ``train``."""
    from datasets import DatasetDict, load_from_disk

    try:
        saved = load_from_disk(source)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{source}: not a whole folder of Dataset.save_to_disk: {first_line(error)}") from error
    if isinstance(saved, DatasetDict):
        if "train" not in saved:
            raise DataError(f"{source}: has no split 'train' but {', '.join(saved)}; name the folder of one of them")
        saved = saved["train"]
    return _rows(source, saved)


def _of_the_hub(source: str) -> Entries:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    match = _HUB_ID.fullmatch(source)
    assert match is not None, "the reader of sources that match"
    name, split = match["name"], match["split"] or "train"
    try:
        dataset = load_dataset(name, split=split)
    except (OSError, ValueError, DatasetsError, HfHubHTTPError) as error:
        raise DataError(
            f"{source}: no folder of this name here, and split {split!r} of {name} cannot be had from the hub: "
            f"{first_line(error)}"
        ) from error
    return _rows(source, dataset)


def _rows(source: str, dataset: Dataset) -> Entries:
    """Yield the rows of a data set."""
    fields = _chosen_columns(source, dataset.column_names)
    tables = dataset.select_columns(fields).with_format("arrow").iter(_AT_ONCE)
    for number, row in enumerate(row for table in tables for row in table.to_pylist()):
        yield f"{source}, row {number}", row


def _chosen_columns(source: str, columns: list[str]) -> list[str]:
    """Return the columns of a data set that are read."""
    missing = [field for field in FIELDS if field not in columns]
    if missing:
        raise DataError(f"{source}: the column {missing[0]!r} is missing; it has {', '.join(columns)}")
    return [*FIELDS, *(column for column in columns if NEGATIVE_FIELD.fullmatch(column))]
