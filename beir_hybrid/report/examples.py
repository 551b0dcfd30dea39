"""Examples to read: answers that were not found, or by one of two models only, with the passages that stand above."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from beir_hybrid.corpora.text_columns import take
from beir_hybrid.errors import RankTableError
from beir_hybrid.files import shown
from beir_hybrid.ranks.rank_table import evaluated_pairs
from beir_hybrid.report.content import Answer, Example, Kind, Passage
from beir_hybrid.subsets import MULTI

if TYPE_CHECKING:
    from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
    from beir_hybrid.interface.rank_figures import RankTable

T = TypeVar("T")

FOUND = 10
"""An answer is found if it is among the first so many passages."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_KEY = ["query_id", "question_id", "query_language", "passage_language"]
_PER_CELL = 100
"""Candidates of a kind and a pair of languages that are looked at, the worst: no report shows more."""


def examples_of(runs: Sequence[RankTable], corpus: ParallelCorpus, n: int = 50) -> list[Example]:
    """Choose examples of what was lost, and look up their texts.

    An example is a question and its answers in one language, ranked as the best of them. It is found if it is among the
    first ten passages: of the pool of its language, or of the pool of all languages. Kinds ``lost-in-pool`` and
    ``lost-in-both`` are of the first run, ``won`` and ``lost`` of the first run against the second.

    What was lost is counted in doublings of the rank, so that rank 1 to 8 is as much as rank 10 to 80:

        lost = log2(rank in the pool of all languages / rank in the pool of its language, 10 at most)

    for the first two kinds; log2(rank by the run that lost it / rank by the other), both in the pool of all languages,
    for the other two; and the largest of these for an example of several kinds. For this order alone, an answer that a
    search did not return counts as the one behind the last result that was asked for; its ranks stay unknown.

    The n examples are spread evenly over the kinds, and within a kind over question and answer languages, the worst of
    each first; another question is preferred to one that was chosen already.

    Args:
        runs: One or two, of the same task, with their top passages.
        corpus: Where the texts come from.
        n: Examples to choose; fewer if there are no more.

    Returns:
        The examples, what was lost most first.

    Raises:
        RankTableError: A run has no top passages, or the ranks are of other texts than the corpus.
    """
    for run in runs:
        if run.tops is None:
            raise RankTableError(
                f"{shown(run.info.model)} on {shown(run.info.task)} has no top passages; evaluate it with --keep-top 10"
            )
    candidates = _with_kinds(runs)
    chosen = candidates.iloc[_spread(candidates, n)].sort_values("doublings", ascending=False, kind="stable")
    return _Texts.of(runs, corpus, chosen).examples(chosen)


# Which there are


def _with_kinds(runs: Sequence[RankTable]) -> pd.DataFrame:
    """Return the examples that there are: a row each, a column of booleans a kind, and ``doublings``, what was lost."""
    tables = [_best_ranks(run).add_suffix(f"_{number}") for number, run in enumerate(runs)]
    both = reduce(lambda one, other: one.join(other, how="inner"), tables)
    own, pool = both["own_0"], both["pool_0"]
    factors = dict.fromkeys(("lost-in-pool", "lost-in-both"), pool / own.clip(upper=FOUND))
    found = {"lost-in-pool": (own <= FOUND) & (pool > FOUND), "lost-in-both": (own > FOUND) & (pool > FOUND)}
    if len(runs) > 1:
        other = both["pool_1"]
        factors |= {"won": other / pool, "lost": pool / other}
        found |= {"won": (pool <= FOUND) & (other > FOUND), "lost": (pool > FOUND) & (other <= FOUND)}
    doublings = pd.DataFrame({kind: np.log2(factors[kind]).where(found[kind]) for kind in found}).max(axis=1)
    kinds = pd.DataFrame(found).assign(doublings=doublings)
    # Of equal ones the farther down, and then any fixed order.
    order = kinds.assign(pool=pool).loc[kinds["doublings"].notna()].reset_index()
    order = order.sort_values(
        ["doublings", "pool", "query_id", "passage_language"], ascending=[False, False, True, True]
    )
    return order.drop(columns="pool").reset_index(drop=True)


def _best_ranks(run: RankTable) -> pd.DataFrame:
    """Return the best ranks of the answers of each query in each language, in its pool and in that of all.

    NaN where the pool was not evaluated, or its top passages were not kept; where a search did not return any answer,
    the rank behind its last result.
    """
    ranks = [("rank_in_language", "min"), ("rank_in_pool", "min")]
    table = run.table.group_by(_KEY).aggregate(ranks).to_pandas()
    pairs = evaluated_pairs(run.table.to_pandas() if run.info.pairs is None else pd.DataFrame(), run.info)
    behind = np.nan if run.info.cut is None else max(run.info.cut, FOUND) + 1.0
    asked, answered = table["query_language"], table["passage_language"]
    with_tops = {language for language in _languages_with_tops(run) if (language, MULTI) in pairs}
    table["own"] = table["rank_in_language_min"].fillna(behind).where(_among(asked, answered, pairs))
    table["pool"] = table["rank_in_pool_min"].fillna(behind).where(asked.isin(with_tops))
    return table.set_index(_KEY)[["own", "pool"]]


def _among(asked: pd.Series, answered: pd.Series, pairs: Iterable[tuple[str, str]]) -> pd.Series:
    known = pd.MultiIndex.from_tuples(sorted(pairs), names=["asked", "answered"])
    return pd.Series(pd.MultiIndex.from_arrays([asked, answered]).isin(known), index=asked.index)


def _languages_with_tops(run: RankTable) -> set[str]:
    """The question languages whose top passages in the pool of all languages were kept."""
    assert run.tops is not None
    in_pool = run.tops.rows(pool=MULTI)
    return set(pc.unique(in_pool["query_language"]).to_pylist())


# Which are shown


def _spread(candidates: pd.DataFrame, n: int) -> list[int]:
    """Choose rows, spread evenly over kinds and languages, the worst of each first."""
    kinds = [kind for kind in KINDS if kind in candidates]
    cells: dict[str, dict[tuple[str, str], list[int]]] = {
        kind: {
            pair: rows.index[:_PER_CELL].tolist()
            for pair, rows in candidates[candidates[kind]].groupby(["query_language", "passage_language"])
        }
        for kind in kinds
    }
    questions, lost = candidates["question_id"].to_numpy(), candidates["doublings"].to_numpy()
    chosen: dict[int, None] = {}
    seen: Counter[Any] = Counter()
    while len(chosen) < n:
        for of_kind in cells.values():
            for pair in [pair for pair, rows in of_kind.items() if not rows]:
                del of_kind[pair]
        left = [kind for kind in kinds if cells[kind]]
        if not left:
            break
        kind = min(left, key=lambda kind: seen[kind])
        # In the rows of a cell the worst come first.
        pair = min(
            cells[kind],
            key=lambda pair: (
                seen[kind, "asked", pair[0]] + seen[kind, "answered", pair[1]],
                seen["asked", pair[0]] + seen["answered", pair[1]],
                -lost[cells[kind][pair][0]],
            ),
        )
        rows = cells[kind][pair]
        row = min(rows, key=lambda row: seen["question", questions[row]])
        rows.remove(row)
        if row in chosen:
            continue
        chosen[row] = None
        seen["question", questions[row]] += 1
        seen.update([("asked", pair[0]), ("answered", pair[1])])
        for other in kinds:
            if candidates[other].iat[row]:
                seen.update([other, (other, "asked", pair[0]), (other, "answered", pair[1])])
    return list(chosen)


# What they say


@dataclass(frozen=True)
class _Texts:
    """All that the chosen examples show: rows of the rank tables, top passages, and texts.

    Attributes:
        questions: Query id -> text of the question.
        passages: Passage id -> the passage, without score.
        ranks: For each run, query id -> passage id -> ranks in its language and in the pool.
        tops: For each run, query id -> passage ids and scores of the top passages in the pool, best first.
        scores: Query id -> passage id -> score by the one run, as far as it is known; empty for two runs.
    """

    questions: Mapping[str, str]
    passages: Mapping[str, Passage]
    ranks: Sequence[Mapping[str, Mapping[str, tuple[int | None, int | None]]]]
    tops: Sequence[Mapping[str, Sequence[tuple[str, float]]]]
    scores: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, runs: Sequence[RankTable], corpus: ParallelCorpus, chosen: pd.DataFrame) -> _Texts:
        """Look up what some examples show.

        Raises:
            RankTableError: The ranks are of other texts than the corpus.
        """
        queries = set(chosen["query_id"])
        ranks = [_ranks_of(run, queries) for run in runs]
        tops = [run.tops.rows(query_ids=queries).to_pylist() if run.tops is not None else [] for run in runs]
        in_pool = [_by_query((row for row in rows if row["pool"] == MULTI), _top) for rows in tops]
        passage_ids = {passage_id for of_query in ranks for answers in of_query.values() for passage_id in answers}
        passage_ids |= {passage_id for of_query in in_pool for rows in of_query.values() for passage_id, _ in rows}
        return cls(
            _questions(corpus, queries),
            _passages(corpus, passage_ids),
            ranks,
            in_pool,
            {query_id: dict(rows) for query_id, rows in _by_query(tops[0], _top).items()} if len(runs) == 1 else {},
        )

    def examples(self, chosen: pd.DataFrame) -> list[Example]:
        """Return the examples, in their order."""
        return [self._example(row) for row in chosen.to_dict("records")]

    def _example(self, row: dict[str, Any]) -> Example:
        query_id, language = row["query_id"], row["passage_language"]
        right = {passage_id: None for ranks in self.ranks for passage_id in ranks.get(query_id, {})}
        answers = [self._answer(query_id, passage_id) for passage_id in right]
        answers.sort(
            key=lambda answer: [_last(rank) for rank in (answer.ranks_in_pool[0], answer.ranks_in_language[0])]
        )
        here = [answer for answer in answers if answer.passage.language == language]
        above = [self._above(number, query_id, here, right) for number in range(len(self.ranks))]
        return Example(
            query_id=query_id,
            question_language=row["query_language"],
            question=self.questions[query_id],
            answer_language=language,
            kinds=[kind for kind in KINDS if row.get(kind)],
            lost=float(row["doublings"]),
            answers=here,
            others=[answer for answer in answers if answer.passage.language != language],
            above=[passages for passages, _ in above],
            are_all=[is_all for _, is_all in above],
        )

    def _answer(self, query_id: str, passage_id: str) -> Answer:
        score = self.scores.get(query_id, {}).get(passage_id)
        ranks = [ranks.get(query_id, {}).get(passage_id, (None, None)) for ranks in self.ranks]
        passage = replace(self.passages[passage_id], score=score, is_right=True)
        return Answer(passage, [own for own, _ in ranks], [pool for _, pool in ranks])

    def _above(
        self, number: int, query_id: str, answers: Sequence[Answer], right: Mapping[str, None]
    ) -> tuple[list[Passage], bool]:
        """The passages above the best of some answers by a run, and whether these are all that there are."""
        tops = self.tops[number].get(query_id, ())
        ranks = [answer.ranks_in_pool[number] for answer in answers]
        best = min((rank for rank in ranks if rank is not None), default=None)
        before = tops if best is None else tops[: best - 1]
        passages = [
            replace(self.passages[passage_id], score=score, is_right=passage_id in right)
            for passage_id, score in before
        ]
        return passages, best is not None and len(before) == best - 1


def _last(rank: int | None) -> float:
    return np.inf if rank is None else rank


def _top(row: Mapping[str, Any]) -> tuple[str, float]:
    return row["passage_id"], row["score"]


def _by_query(rows: Iterable[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], T]) -> dict[str, list[T]]:
    """Group rows by their query, in their order."""
    groups: dict[str, list[T]] = {}
    for row in rows:
        groups.setdefault(row["query_id"], []).append(value(row))
    return groups


def _ranks_of(run: RankTable, queries: set[str]) -> dict[str, dict[str, tuple[int | None, int | None]]]:
    """Return query id -> passage id -> ranks in its language and in the pool, of the right answers of some queries."""
    table = run.table.filter(pc.is_in(run.table["query_id"], pa.array(sorted(queries), pa.string())))
    rows = table.select(["query_id", "passage_id", "rank_in_language", "rank_in_pool"]).to_pylist()
    by_query = _by_query(rows, lambda row: (row["passage_id"], (row["rank_in_language"], row["rank_in_pool"])))
    return {query_id: dict(ranks) for query_id, ranks in by_query.items()}


def _questions(corpus: ParallelCorpus, queries: set[str]) -> dict[str, str]:
    found = {
        query_id: text
        for part in corpus.languages.values()
        for query_id, text in zip(part.query_ids, part.questions, strict=True)
        if query_id in queries
    }
    return _all_of(queries, found, "question", corpus)


def _passages(corpus: ParallelCorpus, passage_ids: set[str]) -> dict[str, Passage]:
    found = {}
    for language, part in corpus.languages.items():
        rows = [row for row, passage_id in enumerate(part.passage_ids) if passage_id in passage_ids]
        for row, passage_id in zip(rows, take(part.passage_ids, np.array(rows, dtype=np.int64)), strict=True):
            found[passage_id] = Passage(passage_id, language, _text(part, row), None, False)
    return _all_of(passage_ids, found, "passage", corpus)


def _text(part: LanguageCorpus, row: int) -> str:
    """Return the text of a passage with its title in front, joined as MTEB joins them."""
    title = part.titles[row] if part.titles is not None else ""
    return f"{title} {part.passages[row]}".strip() if title else part.passages[row]


def _all_of(wanted: set[str], found: dict[str, T], kind: str, corpus: ParallelCorpus) -> dict[str, T]:
    missing = wanted - found.keys()
    if missing:
        raise RankTableError(
            f"{corpus.name} has no {kind} {shown(repr(min(missing)), 80)}, of which there are ranks; name the data "
            "that the model was evaluated on"
        )
    return found
