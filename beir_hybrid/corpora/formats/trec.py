"""TREC's files, which trec_eval, ir_measures and ranx read: judgments (qrels) and rankings (runs)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from beir_hybrid.errors import DataError
from beir_hybrid.files import atomic_path, check_regular, object_of, shown

Qrels = Mapping[str, Mapping[str, int]]
"""Query id -> passage id -> grade."""

Results = Mapping[str, Mapping[str, float]]
"""Query id -> passage id -> score."""

_CHUNK = 1 << 24
"""Characters of a predictions file that are read at a time."""

_START = re.compile(r'\s*[{,]\s*("(?:[^"\\]|\\.)*")\s*:\s*(?=\{)')
_END = re.compile(r"\s*\}\s*")


def write_trec_qrels(path: Path, qrels: Qrels) -> None:
    """Write judgments: ``query 0 passage grade`` on each line.

    Args:
        path: The file to write.
        qrels: Judgments, e.g. those of ``beir_hybrid.beir.load``.

    Raises:
        DataError: An id is empty or holds white space, which the format cannot express.
        BeirHybridError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for query_id, grades in qrels.items():
            file.writelines(
                f"{_word(query_id)} 0 {_word(passage_id)} {grade}\n" for passage_id, grade in grades.items()
            )


def write_trec_run(path: Path, results: Results, tag: str = "beir-hybrid") -> None:
    """Write a ranking: ``query Q0 passage rank score tag`` on each line, best first.

    Scores keep all their digits. Equal ones are in trec_eval's order, the larger passage id first, and equal in the
    single precision that trec_eval compares them in.

    Args:
        path: The file to write.
        results: Scores, e.g. what BEIR's ``EvaluateRetrieval.retrieve`` returns.
        tag: Name of the run.

    Raises:
        DataError: An id or the tag is empty or holds white space, or a score is not a number.
        BeirHybridError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for query_id, scores in results.items():
            _write_ranking(file, _word(query_id), scores, _word(tag))


def _write_ranking(file: IO[str], query_id: str, scores: Mapping[str, float], tag: str) -> None:
    import numpy as np

    with np.errstate(over="ignore"):
        single = np.array(list(scores.values()), dtype=np.float32)
    if np.isnan(single).any():
        passage_id = list(scores)[int(np.isnan(single).argmax())]
        raise DataError(f"query {query_id}: the score of {passage_id} is not a number, so it has no rank")
    order = sorted(zip(single.tolist(), scores, strict=True), reverse=True)
    file.writelines(
        f"{query_id} Q0 {_word(passage_id)} {rank} {float(scores[passage_id])!r} {tag}\n"
        for rank, (_, passage_id) in enumerate(order, 1)
    )


def _word(name: str) -> str:
    """Return an id, which must be one word."""
    if len(name.split()) != 1 or name != name.strip():
        raise DataError(f"the id {name!r} is empty or holds white space, which TREC's format cannot express; rename it")
    return name


def read_predictions(path: Path) -> Iterator[tuple[str, Any]]:
    """Read MTEB's predictions, subset by subset: a file of 132 subsets would need more memory than there is.

    Args:
        path: A file ``<task>_predictions.json``, as ``mteb run`` writes them.

    Yields:
        The top-level keys with their values: ``mteb_model_meta``, and each subset with split -> results.

    Raises:
        DataError: The file cannot be read or is not a JSON object.
    """
    check_regular(path, DataError, largest=None)
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _entries(file)
    except OSError as error:
        raise DataError(f"cannot read {shown(path)}: {error.strerror or error}") from error
    except RecursionError as error:
        raise DataError(f"{shown(path)} is nested too deeply to be read") from error
    except ValueError as error:
        raise DataError(
            f"{shown(path)} is not a whole predictions file ({_brief(error)}); run the evaluation again"
        ) from error


def _brief(error: ValueError) -> str:
    # Positions would be those in the part of the file that is in memory.
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)


def _entries(file: IO[str]) -> Iterator[tuple[str, Any]]:
    """Yield key and value of a JSON object of objects, reading no further than each of them needs."""
    decode = json.JSONDecoder(object_pairs_hook=object_of).raw_decode
    text, first = file.read(_CHUNK), True
    keys: set[str] = set()
    while first or not _END.fullmatch(text):
        start = _START.match(text)
        try:
            if start is None:
                raise json.JSONDecodeError("an object by the name of a subset is missing", "", 0)
            # The value is an object, which ends in a brace: a part of it is never taken for the whole.
            value, end = decode(text, start.end())
        except json.JSONDecodeError:
            more = file.read(max(_CHUNK, len(text)))
            if not more:
                raise
            text += more
            continue
        key = json.loads(start[1])
        if key in keys:
            raise ValueError(f"{shown(repr(key))} is there twice")
        keys.add(key)
        yield key, value
        text, first = text[end:], False
