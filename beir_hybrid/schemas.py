"""What files may say: the kinds of names and numbers in them, and one line for what is of another kind.

A schema is a pydantic model or a dataclass; ``checked`` holds what a JSON or TOML file says against it. Only the
modules that read such files import this one, when they are used.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from beir_hybrid.errors import BeirHybridError, DataError, did_you_mean
from beir_hybrid.files import shown

_TASK = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z0-9][\w.+#-]{0,99}", re.ASCII)
_LONGEST_NAME = 300

_IN_WORDS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a table of keys and values",
    "model_type": "a table of keys and values",
    "dataclass_type": "a table of keys and values",
    "list_type": "a list",
    "tuple_type": "a list",
    "frozen_set_type": "a list",
    "path_type": "a text",
    "invalid_key": "a text",
}

_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")


def _task(name: str) -> str:
    if not _TASK.fullmatch(name):
        raise ValueError("is not the name of a task: letters, digits, '_', '.' and '-' only")
    return name


def _language(name: str) -> str:
    if not _LANGUAGE.fullmatch(name) or name == "multi":
        raise ValueError("is not the name of a language")
    return name


def _name(name: str) -> str:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"is not a name: up to {_LONGEST_NAME} letters that can be printed")
    return name


TaskName = Annotated[str, AfterValidator(_task)]
"""Name of a task of MTEB; it can stand in a path as it is."""

Language = Annotated[str, AfterValidator(_language)]
"""A language of passages, or a subset that stands for one; never ``multi``, which is the pool of all."""

Name = Annotated[str, AfterValidator(_name)]
"""Name of a model, a revision, a subset or a split: any text of one line that can be printed."""

Label = Annotated[str, StringConstraints(max_length=_LONGEST_NAME)]
"""A text to be shown, in any letters."""

Size = Annotated[int, Field(ge=0, lt=1 << 31)]
"""A number of passages; ranks are 32-bit integers."""


class Known(BaseModel):
    """A table of which all keys are known: another one is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Open(BaseModel):
    """A table of which some keys are read; there may be others."""

    model_config = ConfigDict(extra="ignore", strict=True)


SchemaT = TypeVar("SchemaT")


def checked(schema: type[SchemaT], content: object, where: str, kind: type[BeirHybridError] = DataError) -> SchemaT:
    """Hold what a file says against a schema.

    Args:
        schema: A pydantic model, or a dataclass with a ``__pydantic_config__``, whose lists are tuples.
        content: What the file says.
        where: The file, and the place in it.
        kind: The error to raise.

    Raises:
        BeirHybridError: Of that kind: something is missing, unknown or of another type; the message names it.
    """
    for _, words in problems(schema, content):
        raise kind(f"{where}{words}")
    return _valid(schema, content)


def problems(schema: type[Any], content: object) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with what a file says, unknown keys first: the key at its top, and the words."""
    try:
        _valid(schema, content)
    except ValidationError as error:
        found = error.errors(include_url=False)
        for problem in sorted(found, key=lambda problem: problem["type"] not in _UNKNOWN_KEY):
            yield str((*problem["loc"], "")[0]), _in_words(problem, _keys(schema))


def _valid(schema: type[SchemaT], content: object) -> SchemaT:
    adapter = TypeAdapter(schema)
    if is_dataclass(schema):  # made of a table, and its tuples of lists, in the strict reading of JSON only
        return adapter.validate_json(json.dumps(content, default=str))
    return adapter.validate_python(content)


def _keys(schema: type) -> list[str]:
    return list(schema.model_fields if issubclass(schema, BaseModel) else getattr(schema, "__dataclass_fields__", ()))


def _in_words(error: Mapping[str, Any], known: Sequence[str]) -> str:
    *above, field = error["loc"] or ("",)
    place = "".join(f"{shown(part, 50)}, " for part in above)
    value = shown(reprlib.repr(error["input"]), 80)
    if error["type"] in _UNKNOWN_KEY:
        meant = did_you_mean(str(field), known) or f"known are {', '.join(known)}"
        return f": {place}unknown key {shown(repr(field), 50)}; {meant}"
    if error["type"] == "missing":
        return f": {place}the field {field!r} is missing"
    if isinstance(field, int) and above:  # an entry of a list
        place, field = "".join(f"{shown(part, 50)}, " for part in above[:-1]), f"{above[-1]}[{field}]"
    if error["type"] == "value_error":
        return f": {place}{value} {error['ctx']['error']}"
    name = f": {place}{shown(field, 50)}" if field != "" else ""
    if error["type"] in _IN_WORDS:
        return f"{name} is {value}, not {_IN_WORDS[error['type']]}"
    return f"{name} is {value}: {error['msg'][0].lower()}{error['msg'][1:]}"
