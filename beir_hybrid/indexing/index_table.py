"""What an index finds of the exact ranking, by language of the question: a table, and its file beside a rank table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field

from beir_hybrid.errors import RankTableError
from beir_hybrid.files import read_json, shown, write_json
from beir_hybrid.schemas import Label, checked

if TYPE_CHECKING:
    import pandas as pd

    from beir_hybrid.ranks.schema import TableInfo

TOP = 10
"""Passages of the exact ranking that the index should return among as many."""

FIRST = 100
"""Passages among which right answers are looked for."""

ALL = "all"
"""Stands for the language of the row of means."""

FirstPassages = Mapping[str, Sequence[str]]
"""Query id -> ids of its first passages in the pool of all languages, best first."""

SUFFIX = ".index.json"

SHARES = (
    "exact top 10, own language",
    "exact top 10, others",
    "answers in 100, own language",
    "answers in 100, others",
    "exact: own language",
    "exact: others",
)
"""What the shares of a row are called in tables."""

_VERSION = 1


Share = Annotated[float, Field(ge=0, le=1)] | None
"""A share of some passages; None where it is not known, or there are none."""

_STRICT = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True)
class IndexRow:
    """What an index finds for the questions of one language in the pool of all languages: shares, None where unknown.

    Attributes:
        language: Language of the questions; ``all`` in the row of plain means.
        top_own: Share of the exact top ten that the index returns in its first ten: passages in the question's
            language, summed over the questions.
        top_other: The same of passages in other languages.
        answers_own: Share of the right answers in the question's language that the index returns in its first hundred.
        answers_other: The same of right answers in other languages.
        exact_own: Share of the right answers in the question's language in the first hundred of exact search.
        exact_other: The same of right answers in other languages.
    """

    __pydantic_config__ = _STRICT

    language: Label
    top_own: Share
    top_other: Share
    answers_own: Share
    answers_other: Share
    exact_own: Share
    exact_other: Share

    @property
    def shares(self) -> tuple[float | None, ...]:
        """The shares, in the order of SHARES."""
        return tuple(getattr(self, entry.name) for entry in fields(self)[1:])


@dataclass(frozen=True)
class IndexTable:
    """What an index, or another search that is not exact, finds of the exact ranking.

    Attributes:
        index: String of faiss's index factory, or the name of the search.
        params: Parameters it was searched with, by their names in faiss's ParameterSpace.
        k: Passages asked for.
        rows: A row a language of questions.
    """

    __pydantic_config__ = _STRICT

    index: Label
    params: dict[Label, float]
    k: Annotated[int, Field(ge=1)]
    rows: tuple[IndexRow, ...]

    @property
    def name(self) -> str:
        """The index and its parameters: ``IVF128,Flat nprobe=8``."""
        return index_name(self.index, self.params)

    @property
    def means(self) -> IndexRow:
        """Plain means over the languages of questions, as those of a setting are."""
        shares = {}
        for entry in fields(IndexRow)[1:]:
            values = [value for row in self.rows if (value := getattr(row, entry.name)) is not None]
            shares[entry.name] = fmean(values) if values else None
        return IndexRow(ALL, **shares)

    def write(self, path: Path, info: TableInfo) -> None:
        """Write the table beside a rank table.

        Args:
            path: As ``index_path`` gives it.
            info: What holds for that rank table.
        """
        write_json(path, {"format_version": _VERSION, "run": _run_of(info), "table": asdict(self)})


def index_name(index: str, params: Mapping[str, float]) -> str:
    """Name an index with its parameters."""
    return " ".join([index, *(f"{name}={value:g}" for name, value in params.items())])


def index_path(rank_table: Path) -> Path:
    """Return where the table stands: ``<task>.index.json`` beside ``<task>.parquet``."""
    return rank_table.with_suffix(SUFFIX)


def read(path: Path, info: TableInfo) -> IndexTable | None:
    """Read the table beside a rank table; None where there is none, or it is of another run.

    Args:
        path: As ``index_path`` gives it.
        info: What holds for the rank table.

    Raises:
        RankTableError: The file is malformed.
    """
    if not path.exists():
        return None
    content = read_json(path, RankTableError)
    where = f"{shown(path)} is not the table of an index"
    if not isinstance(content, dict) or content.get("format_version") != _VERSION:
        raise RankTableError(f"{where} that this version reads; evaluate again, or take it away")
    if content.get("run") != _run_of(info):
        return None
    return checked(IndexTable, content.get("table"), where, RankTableError)


def _run_of(info: TableInfo) -> dict[str, str | int | None]:
    return {
        "task": info.task,
        "dataset_revision": info.dataset_revision,
        "model": info.model,
        "model_revision": info.model_revision,
        "cut": info.cut,
    }


# What is found


@dataclass
class _Share:
    """How many of some passages are found, by whether they are in the question's language."""

    found: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    wanted: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})

    def of(self, own: bool) -> float | None:
        return self.found[own] / self.wanted[own] if self.wanted[own] else None


def index_rows(
    ranks: pd.DataFrame,
    first: FirstPassages,
    exact: pd.DataFrame | None,
    exact_first: FirstPassages | None,
) -> tuple[IndexRow, ...]:
    """Compare what an index returns with the exact ranking.

    Args:
        ranks: The rank table of the index, whose questions are those that count.
        first: The first ten passages that it returns, or more; a query that is missing has none.
        exact: The rank table of exact search; None where it is not known.
        exact_first: The first ten passages of exact search, of all queries of ``ranks``; None where they are not known.

    Returns:
        A row a language of questions, in the order of the rank table.
    """
    found, known = _answers(ranks), _answers(exact) if exact is not None else {}
    rows = []
    for language, of_language in ranks.groupby("query_language", sort=False):
        top = _Share() if exact_first is None else _top(str(language), set(of_language["query_id"]), first, exact_first)
        answers, exactly = found.get(str(language), _Share()), known.get(str(language), _Share())
        shares = [share.of(own) for share in (top, answers, exactly) for own in (True, False)]
        rows.append(IndexRow(str(language), *shares))
    return tuple(rows)


def _answers(ranks: pd.DataFrame) -> dict[str, _Share]:
    """Count the right answers among the first hundred; a missing rank is behind them."""
    own = ranks["query_language"] == ranks["passage_language"]
    inside = ranks["rank_in_pool"] <= FIRST
    shares: dict[str, _Share] = {}
    for (language, is_own), hits in inside.groupby([ranks["query_language"], own], sort=False):
        share = shares.setdefault(str(language), _Share())
        share.found[bool(is_own)], share.wanted[bool(is_own)] = int(hits.fillna(False).sum()), len(hits)
    return shares


def _top(language: str, query_ids: set[str], first: FirstPassages, exact_first: FirstPassages) -> _Share:
    share = _Share()
    for query_id in query_ids:
        returned = set(first.get(query_id, ())[:TOP])
        for passage_id in exact_first[query_id][:TOP]:
            own = passage_id.partition(":")[0] == language
            share.wanted[own] += 1
            share.found[own] += passage_id in returned
    return share
