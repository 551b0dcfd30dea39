"""What corpus.toml says of a corpus."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from beir_hybrid.corpora.hub.row_columns import Columns
from beir_hybrid.corpora.own.faults import Faults
from beir_hybrid.corpora.spec import CORPUS_FILE, task_name_of
from beir_hybrid.errors import DataError
from beir_hybrid.files import as_folder, read_text, read_toml, shown
from beir_hybrid.languages import is_tag, parse
from beir_hybrid.metrics import CUT_OFFS, find_metric
from beir_hybrid.schemas import Known, Name, TaskName, problems


def _corpus_name(name: str) -> str:
    if not name or as_folder(name) != name:
        raise ValueError("is not a name that a folder can have: letters, digits, '_', '.' and '-'")
    return name


def _tag(language: str) -> str:
    try:
        parse(language)
    except DataError as error:
        raise ValueError(str(error).removeprefix(f"{language!r} ")) from error
    return language


def _different(names: list[str]) -> list[str]:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(f"names {shown(repr(twice[0]))} twice")
    return names


def _retrieval_metric(name: str) -> str:
    metric = find_metric(name)
    if metric is None or metric.about_languages or metric.cut_off not in (None, *CUT_OFFS):
        cut_offs = ", ".join(map(str, CUT_OFFS))
        raise ValueError(f"is no retrieval metric, such as map or ndcg_at_10 (the cut-offs are {cut_offs})")
    return name


Tags = Annotated[list[Annotated[str, AfterValidator(_tag)]], AfterValidator(_different), Field(min_length=1)]
Metrics = Annotated[
    list[Annotated[str, AfterValidator(_retrieval_metric)]], AfterValidator(_different), Field(min_length=1)
]


class Description(Known):
    """The keys of corpus.toml.

    Attributes:
        name: Name of the corpus, which is the name of a folder, too.
        licence: The licence of its texts, best as an SPDX identifier in lower case.
        languages: Its languages as tags, in the order in which they are listed.
        title: Its name as it is written.
        citation: BibTeX entries.
        task: Name of its retrieval task; by default made of the name, ``HelpCentre`` of ``help-centre``.
        metrics: Retrieval metrics; the first is the main score.
        judged_in_own_language: Whether questions have right answers in their own language only. Equal ids in two
            languages are then different questions.
        adapted_from: MTEB's own tasks that are made of the same texts.
        revision: Name of the exact texts; it counts as long as ``content`` is the hash of the files.
        content: Hash of the files that ``revision`` was given to.
        source: Where the texts are, ``hub:OWNER/NAME[@REVISION]``; by default in the folder (docs/hub.md).
        columns: Names of columns of a data set of the hub.
        passages: Where the passages of each language are if not in the folder: the path or address of a Parquet file,
            or of a folder of such files, in which ``{language}`` stands for the language.
    """

    name: Annotated[str, AfterValidator(_corpus_name)]
    licence: Name
    languages: Tags
    title: Name = ""
    citation: str = ""
    task: TaskName = ""
    metrics: Metrics = Field(default_factory=lambda: ["map"])
    judged_in_own_language: bool = False
    adapted_from: list[TaskName] = Field(default_factory=list)
    revision: Name = ""
    content: str = ""
    source: Annotated[str, Field(pattern=r"^(hub:.+)?$")] = ""
    columns: Columns | None = None
    passages: Annotated[str, Field(pattern=r"^(.*\{language\}.*)?$")] = ""

    @property
    def task_name(self) -> str:
        """Name of the retrieval task; it may be none that a task can have where ``task`` is not given."""
        return self.task or task_name_of(self.name)


def read_description(folder: Path, faults: Faults) -> Description | None:
    """Read the corpus.toml of a folder; None if nothing of the folder can be read by it."""
    path = folder / CORPUS_FILE
    if not path.exists():
        what = "the file is missing; it says name, licence and languages (a folder of BEIR's is named beir:FOLDER)"
        faults.add(shown(path), what)
        return None
    with faults.caught():
        content = read_toml(path, DataError)
        wrong = _problems(content)
        for key, what in wrong:
            faults.add(_place(path, key), what)
        description = _without({key for key, _ in wrong}, content) if wrong else Description.model_validate(content)
        if description is not None and not wrong and not _is_task(description.task_name):
            what = "no name of a task can be made of this name; add task = ..., a name of letters and digits"
            faults.add(_place(path, "name"), what)
        return description
    return None


def _problems(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the keys with a fault and what it is; a key that is only misspelt is not missing, too."""
    found = [(key, what.removeprefix(": ")) for key, what in problems(Description, content)]
    meant = " ".join(what for key, what in found if key in content)
    return [(key, what) for key, what in found if key in content or f"did you mean {key}?" not in meant]


def _without(wrong: set[str], content: Mapping[str, Any]) -> Description | None:
    """Return what a corpus.toml with faults says of the files of the corpus."""
    languages = content.get("languages")
    tags = [tag for tag in languages if isinstance(tag, str) and is_tag(tag)] if isinstance(languages, list) else []
    known = {key: value for key, value in content.items() if key not in wrong}
    try:
        return Description.model_validate(
            {"name": "unknown", "licence": "unknown", **known, "languages": list(dict.fromkeys(tags))}
        )
    except ValidationError:
        return None


def _is_task(name: str) -> bool:
    try:
        TypeAdapter(TaskName).validate_python(name)
    except ValidationError:
        return False
    return True


def _place(path: Path, key: str) -> str:
    """Name the file, and the line that a key stands at."""
    lines = read_text(path, DataError).splitlines()
    number = next((n for n, line in enumerate(lines, 1) if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line)), 0)
    return f"{shown(path)}, line {number}" if number else shown(path)


def written(description: Description) -> str:
    """Return the text of a corpus.toml."""
    keys: Mapping[str, Any] = description.model_dump(exclude_defaults=True)
    return "".join(f"{key} = {_value(value)}\n" for key, value in keys.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if "\n" in value and "'''" not in value and _PLAIN.fullmatch(value):
        return f"'''\n{value}'''"
    return '"' + _ESCAPED.sub(lambda letter: f"\\u{ord(letter[0]):04X}", value) + '"'


_PLAIN = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]*")
"""What a text between three quotes may hold."""

_ESCAPED = re.compile(r'[\x00-\x1f\x7f"\\]')
