"""Scores of models side by side: the same queries in the same order, and nothing that cannot be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from beir_hybrid.errors import RankTableError
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, subsets_in

_KEY = ["subset", "query_id"]


@dataclass(frozen=True, eq=False)
class QueryScores:
    """The scores of a model with all its training seeds.

    Attributes:
        name: Of the first seed, for messages.
        data_revision: Revision of the data set.
        subsets: The subsets that they are of.
        queries: The ``question_id`` and ``cluster_id`` of n queries, by ``subset`` and ``query_id``, in their order.
        scores: Shape (seeds, n); NaN where a query does not have the figure.
    """

    name: str
    data_revision: str
    subsets: tuple[str, ...]
    queries: pd.DataFrame
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, name: str, of_seeds: Sequence[ColumnScores] | QueryScores, common_only: bool = False) -> QueryScores:
        """Put the seeds of a model side by side.

        Args:
            name: What the model is called where its scores have no name.
            of_seeds: One a training seed; or what was put side by side before.
            common_only: Keep the queries that all seeds were evaluated on, where they are not the same.

        Raises:
            RankTableError: There are no scores, some are infinite or there twice, or seeds cannot be compared.
        """
        if isinstance(of_seeds, QueryScores):
            return of_seeds
        if not of_seeds:
            raise RankTableError(f"{name}: no scores; give one ColumnScores a training seed")
        first, *others = (_of_seed(name, scores) for scores in of_seeds)
        for other in others:
            check_comparable(first, other, common_only)
            queries = shared_queries(first, other)
            scores = np.concatenate([first.on(queries), other.on(queries)])
            first = cls(first.name, first.data_revision, first.subsets, queries, scores)
        return first

    @property
    def defined(self) -> NDArray[np.bool_]:
        """Which queries have the figure with every seed, shape (n,)."""
        return np.asarray(~np.isnan(self.scores).any(axis=0))

    def figures(self) -> list[float]:
        """Return the figure with each seed: the plain mean over the subsets of the means over their queries."""
        subset, names = pd.factorize(self.queries.index.get_level_values("subset"))
        weights = np.array([len(subsets_in(name)) for name in names])
        defined = ~np.isnan(self.scores)
        sums = (
            np.bincount(subset, np.where(known, scores, 0.0), len(names))
            for known, scores in zip(defined, self.scores, strict=True)
        )
        counts = (np.bincount(subset, known, len(names)) for known in defined)
        return [
            float(np.average(total[n > 0] / n[n > 0], weights=weights[n > 0]))
            for total, n in zip(sums, counts, strict=True)
        ]

    def within(self, subsets: Sequence[str]) -> QueryScores:
        """Return the scores of some subsets; a stratum lies within if all of its subsets do."""
        names = self.queries.index.get_level_values("subset")
        strata = [name for name in names.unique() if set(subsets) >= set(subsets_in(name))]
        inside = np.asarray(names.isin(strata))
        known = tuple(sorted(subset for name in strata for subset in subsets_in(name)))
        return replace(self, subsets=known, queries=self.queries[inside], scores=self.scores[:, inside])

    def on(self, queries: pd.DataFrame) -> NDArray[np.float64]:
        """Return the scores of some of the queries, in their order."""
        if _same(self.queries, queries):
            return self.scores
        return self.scores[:, self.queries.index.get_indexer(queries.index)]


def common_queries(
    scores: Mapping[str, QueryScores], pairs: Sequence[tuple[str, str]], common_only: bool
) -> Iterator[pd.DataFrame]:
    """Yield the queries that each pair is compared on: those of which both have the figure.

    Pairs on the same queries get the same object.

    Raises:
        RankTableError: The two of a pair cannot be compared, or were not evaluated on the same queries, and are not to
            be compared on those that both were.
    """
    known: list[pd.DataFrame] = []
    without: dict[tuple[int, bytes], pd.DataFrame] = {}

    def registered(queries: pd.DataFrame) -> pd.DataFrame:
        for other in known:
            if _same(other, queries):
                return other
        known.append(queries)
        return queries

    queries_of = {name: registered(scores[name].queries) for pair in pairs for name in pair}
    for pair in pairs:
        model, baseline = (scores[name] for name in pair)
        check_comparable(model, baseline, common_only)
        if queries_of[pair[0]] is queries_of[pair[1]]:
            queries, defined = queries_of[pair[0]], model.defined & baseline.defined
        else:
            queries = registered(shared_queries(model, baseline))
            defined = ~np.isnan(np.concatenate([model.on(queries), baseline.on(queries)])).any(axis=0)
        if not defined.all():
            key = id(queries), defined.tobytes()
            queries = without[key] = without.get(key, queries[defined])
        yield queries


def check_comparable(one: QueryScores, other: QueryScores, common_only: bool) -> None:
    """Refuse scores of other data or of other subsets, and of other queries unless ``common_only``."""
    for what, values in (
        ("data revision", (one.data_revision, other.data_revision)),
        ("subsets", (one.subsets, other.subsets)),
    ):
        if values[0] == values[1]:
            continue
        counts = [f"{len(value)} subsets" if what == "subsets" else f"data revision {value}" for value in values]
        raise RankTableError(
            f"{one.name} and {other.name} cannot be compared: the scores are of {counts[0]} and of {counts[1]}"
            f"{', not the same' if counts[0] == counts[1] else ''}; evaluate both on the same data"
        )
    if not common_only and not _same(one.queries, other.queries):
        what, numbers = "questions", _numbers_of_questions(one, other)
        if len(set(numbers)) == 1:
            what, numbers = "queries", (len(one.queries), len(other.queries), len(shared_queries(one, other)))
        raise RankTableError(
            f"{one.name} and {other.name} were not evaluated on the same {what}: {numbers[0]} and {numbers[1]}, "
            f"{numbers[2]} in common; evaluate both on the same data, or ask for the common ones "
            "only (--common-questions; common_questions in leaderboard.toml and in Python)"
        )


def shared_queries(one: QueryScores, other: QueryScores) -> pd.DataFrame:
    """Return the queries that both were evaluated on."""
    if _same(one.queries, other.queries):
        return one.queries
    return one.queries[one.queries.index.isin(other.queries.index)]


def _numbers_of_questions(one: QueryScores, other: QueryScores) -> tuple[int, int, int]:
    """Count the questions of two models, and those in common."""
    asked, asked_of_other = set(one.queries["question_id"]), set(other.queries["question_id"])
    return len(asked), len(asked_of_other), len(asked & asked_of_other)


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return one is other or (len(one) == len(other) and one.index.equals(other.index))


def _of_seed(name: str, column: ColumnScores) -> QueryScores:
    shown = column.name or name
    queries = column.queries.set_index(_KEY).sort_index()
    scores = queries["score"].to_numpy(dtype=np.float64)
    for wrong, what in (
        (np.isinf(scores), "has a score that is infinite"),
        (queries.index.duplicated(), "is there twice"),
    ):
        if wrong.any():
            subset, query = queries.index[wrong.argmax()]
            raise RankTableError(f"{shown}: the query {query!r} in {subset} {what}; evaluate it again")
    return QueryScores(shown, column.data_revision, column.subsets, queries.drop(columns="score"), scores[None])
