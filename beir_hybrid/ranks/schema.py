"""The schema of a rank table: its columns, and what its file says of all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import pyarrow as pa

from beir_hybrid.errors import RankTableError, first_line
from beir_hybrid.ranks.model_state import ModelState, SameState, same_state
from beir_hybrid.revisions import STATE

FORMAT_VERSION = 1
"""Grows when readers of before would read a table wrongly; nullable columns and facts that are new leave it alone."""

SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("query_id", pa.string()),
        ("question_id", pa.string()),
        ("query_language", pa.string()),
        ("passage_id", pa.string()),
        ("passage_language", pa.string()),
        ("rank_in_language", pa.int32()),
        ("rank_in_pool", pa.int32()),
        ("outranked_by_query_language", pa.int32()),
        ("cluster_id", pa.string()),
        ("grade", pa.int16()),
        ("top_languages", pa.string()),
    ]
)
"""Columns. Ranks count from 1 and are null where they are unknown: the pool was not evaluated as a whole, or a
search did not return the passage. ``grade`` is the judgment's. ``top_languages`` holds the languages of the query's
best 100 passages in the pool of all languages, as `encode_languages` writes them, null where the pool was not evaluated
as a whole or they are not kept; it is the same in all rows of a query, or null in all but one, where rows are many."""

KEY = ("query_id", "passage_id")
RANKS = ("rank_in_language", "rank_in_pool", "outranked_by_query_language")
ADDED = frozenset({"top_languages"})
"""Nullable columns that came after the first version: where a table lacks one, it is null."""

NEVER_NULL = tuple(name for name in SCHEMA.names if name not in (*RANKS, *ADDED))

TOP_LANGUAGES = 100
"""Passages of each query whose language is kept: the largest cut-off of the bias figures."""

NO_NAME = "no_model_name/available"
"""What mteb calls a model that has no name."""

NO_REVISION = "no_revision_available"
"""What mteb calls the revision of a model that has none."""


def encode_languages(languages: Sequence[str]) -> str:
    """Write languages as one text: ``endeen`` if all have two letters, else a space before each, `` ceb zh-Hant``."""
    if {*map(len, languages)} <= {2}:
        return "".join(languages)
    return "".join(f" {language}" for language in languages)


def decode_languages(text: str) -> list[str]:
    """Return the languages that ``encode_languages`` wrote."""
    if text.startswith(" "):
        return text[1:].split(" ")
    return [text[place : place + 2] for place in range(0, len(text), 2)]


def in_schema(where: object, table: pa.Table) -> pa.Table:
    """Return a table with the columns of SCHEMA, and behind them those that this version does not know.

    Args:
        where: Its file, for messages.
        table: Columns in any order.

    Raises:
        RankTableError: A column is missing, there twice, or of another type.
    """
    for name in SCHEMA.names:
        if name not in table.column_names:
            if name not in ADDED:
                raise RankTableError(f"{where} is not a rank table: it lacks the column {name}")
            table = table.append_column(name, pa.nulls(len(table), SCHEMA.field(name).type))
    try:
        unknown = [table.schema.field(name) for name in table.column_names if name not in SCHEMA.names]
        schema = pa.schema([*SCHEMA, *unknown])
        return table.select(schema.names).cast(schema)
    except (KeyError, pa.ArrowException) as error:
        raise RankTableError(f"{where} is not a rank table: {first_line(error)}") from error


def is_named(model: str | None, revision: str | None) -> bool:
    """Whether name and revision name a model at all, instead of saying that it has none."""
    return bool(model and revision) and model != NO_NAME and not str(revision).startswith(NO_REVISION)


@dataclass(frozen=True)
class TableInfo:
    """What holds for a whole rank table.

    Attributes:
        task: Name of the MTEB task.
        dataset_revision: Commit or content hash of the data.
        model: Name of the model: a label.
        model_revision: Revision of the model, a label too; MTEB's experiment follows behind a slash.
        pool_sizes: Language -> passages in its pool.
        cut: Results that a search returned for each query; None where every passage was ranked.
        format_version: Version of this layout.
        versions: Versions of the packages that made the table.
        state: What tells the model, as it was, from any other; None where nothing is known of it.
        evaluated: Question language -> pools, languages or ``multi``, that it was evaluated on, whether or not anything
            was returned there; None in tables of before, where a known rank tells it.
    """

    task: str
    dataset_revision: str
    model: str
    model_revision: str
    pool_sizes: dict[str, int]
    cut: int | None = None
    format_version: int = FORMAT_VERSION
    versions: dict[str, str] = field(default_factory=dict)
    state: ModelState | None = None
    evaluated: dict[str, list[str]] | None = None

    @property
    def is_named(self) -> bool:
        """Whether name and revision name a model at all, instead of saying that there is no name."""
        return is_named(self.model, self.model_revision)

    @property
    def label(self) -> tuple[str, str]:
        """Name and revision as the model says them, without what tells its states apart."""
        return self.model, self.model_revision.partition(STATE)[0]

    @property
    def pairs(self) -> set[tuple[str, str]] | None:
        """The pairs of question language and pool that were evaluated; None if the table does not say it."""
        if self.evaluated is None:
            return None
        return {(language, pool) for language, pools in self.evaluated.items() for pool in pools}

    def same_run(self, other: TableInfo, same: SameState = same_state) -> bool:
        """Whether two tables hold ranks of the same model on the same data, so that they can be put together.

        Args:
            other: What holds for the other table, which is newer.
            same: Compares the states of the models.
        """
        ours = (self.task, self.dataset_revision, self.label, self.cut, self.format_version)
        theirs = (other.task, other.dataset_revision, other.label, other.cut, other.format_version)
        if self.state is None and other.state is None:
            return ours == theirs and self.is_named
        return ours == theirs and same(self.state, other.state)

    def to_json(self) -> str:
        """Return the facts as they stand in the file."""
        facts = asdict(replace(self, state=None))
        facts["state"] = self.state.to_json() if self.state is not None else None
        for name in ("state", "evaluated"):
            if facts[name] is None:
                del facts[name]
        return json.dumps(facts, sort_keys=True)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> TableInfo:
        """Return the facts that ``to_json`` wrote; those that this version does not know are left out.

        Raises:
            TypeError: One is missing.
            ValueError: The state is malformed.
        """
        known = {entry.name: facts[entry.name] for entry in fields(cls) if entry.name in facts}
        if known.get("state") is not None:
            known["state"] = ModelState.from_json(known["state"])
        return cls(**known)
