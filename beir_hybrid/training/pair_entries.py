"""An entry of a file of pairs: a question and its answer in one language, checked field by field."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from beir_hybrid.errors import DataError
from beir_hybrid.languages import parse
from beir_hybrid.training.negatives import FIELD

NEGATIVE_FIELD = re.compile(rf"{FIELD}(_(?P<number>[1-9]\d*))?")

FIELDS = ("id", "language", "question", "answer")
"""Texts that every entry has."""


class Entry(NamedTuple):
    """A question and its answer in one language, with hard negatives; None if it does not speak of any."""

    id: str
    language: str
    question: str
    answer: str
    negatives: tuple[str, ...] | None = None


def checked(fields: Any, where: str) -> Entry:
    """Return an entry whose fields are all there, are texts that say something, and can be written as UTF-8."""
    if not isinstance(fields, dict):
        raise DataError(f"{where}: not an object with the fields {', '.join(FIELDS)}")
    for field in FIELDS:
        if field not in fields:
            raise DataError(f"{where}: the field {field!r} is missing")
        _check_text(fields[field], field, where)
    negatives = _negatives(fields, where)
    entry = Entry(fields["id"], fields["language"], fields["question"], fields["answer"], negatives)
    if entry.answer in (negatives or ()):
        raise DataError(f"{where}: a hard negative is the answer itself; take it out")
    try:
        parse(entry.language)
    except DataError as error:
        raise DataError(f"{where}: the field 'language': {error}") from error
    return entry


def _negatives(fields: dict[str, Any], where: str) -> tuple[str, ...] | None:
    """Return the hard negatives of an entry, () where they are null, None where it has no such field."""
    numbers = {field: int(match["number"] or 0) for field in fields if (match := NEGATIVE_FIELD.fullmatch(field))}
    if not numbers:
        return None
    names = sorted(numbers, key=numbers.__getitem__)
    if FIELD in names and len(names) > 1:
        raise DataError(f"{where}: has the fields {FIELD!r} and {names[1]!r}; write one kind")
    if FIELD not in names:
        for place, name in enumerate(names, 1):
            if numbers[name] != place:
                raise DataError(f"{where}: has the field {name!r} but no {f'{FIELD}_{place}'!r}")
        values = [fields[name] for name in names]
        if all(value is None for value in values):
            return ()
    else:
        value = fields[FIELD]
        if value is None:
            return ()
        values = value if isinstance(value, list) else [value]
        if not values:
            raise DataError(f"{where}: the field {FIELD!r} is an empty list; write null where there are none")
        names = [FIELD] * len(values)
    for name, value in zip(names, values, strict=True):
        _check_text(value, name, where)
    return tuple(values)


def _check_text(value: Any, field: str, where: str) -> None:
    """Refuse what is not a text that says something and can be written as UTF-8."""
    if not isinstance(value, str):
        raise DataError(f"{where}: the field {field!r} is {json.dumps(value, default=str)[:40]}, not a text")
    if not value.strip():
        raise DataError(f"{where}: the field {field!r} is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: the field {field!r} holds a lone surrogate, half a character") from error


def same_number(entry: Entry, where: str, number: int | None, first: bool) -> int | None:
    """Return how many hard negatives an entry has, if as many as those before (None: they do not speak of any)."""
    if entry.negatives is None:
        if number is not None:
            raise DataError(
                f"{where}: the field {FIELD!r} is missing, which the entries before have; write null for none"
            )
        return None
    if number is None and not first:
        raise DataError(f"{where}: has the field {FIELD!r}, which the entries before lack; write null for none there")
    if number and entry.negatives and len(entry.negatives) != number:
        raise DataError(
            f"{where}: has {len(entry.negatives)} hard negatives, the entries before {number}; give all equally many"
        )
    return number or len(entry.negatives)
