"""What the matter is, in words: how answers are found in the pool of their language, and what becomes of them in all.

Everything follows from the ranks. An answer stands for the best right answer to a question in one language; its rank in
the pool of all languages is the one it has without the right answers in other languages, as for one-target mAP: answers
that push each other down are no loss. Ranks are given as medians, for which a rank that a search did not return need
not be known: it is behind all that it returned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.ranks import rank_table
from beir_hybrid.report.examples import FOUND

NO_BREAK = "\N{NO-BREAK SPACE}"
"""Keeps a number and what belongs to it on one line."""

FEW_LOST = 0.05
"""Share of the answers found in their own pool below which nothing is said of those lost in the pool of all."""


@dataclass(frozen=True)
class AnswersIn:
    """What becomes of the answers in some languages.

    Attributes:
        answers: How many there are: the best right answer to each question in each of the languages.
        rank_in_language: Median of their ranks in the pool of their language; infinite where fewer than half were
            returned.
        rank_in_pool: The same in the pool of all languages, without the right answers in other languages.
        found_in_language: Share that is among the first ten in the pool of their language.
        found_in_pool: Share that is in the pool of all languages.
        lost: Of those found in the pool of their language, the share not found in that of all; NaN of none.
        to_question_language: Of the wrong passages above a lost answer in the pool, the share in the question's
            language: the mean over the lost answers whose rank is known; NaN of none.
        question_language_in_pool: Share of the pool that is in the question's language, the mean over the same.
        wins_in: Share of the question languages in which these are at least half of those wrong passages; NaN of none.
            Where one language stands above all others, that is few.
    """

    answers: int
    rank_in_language: float
    rank_in_pool: float
    found_in_language: float
    found_in_pool: float
    lost: float
    to_question_language: float
    question_language_in_pool: float
    wins_in: float

    @property
    def is_found(self) -> bool:
        """Whether at least half of the answers are found in the pool of their own language."""
        return self.found_in_language >= 0.5

    @property
    def loses_to_question_language(self) -> bool:
        """Whether lost answers are lost to passages in the question's language, in general and in most languages."""
        return self.to_question_language >= 0.5 and self.wins_in > 0.5

    @property
    def loses(self) -> bool:
        """Whether more than a few of the answers found there are lost in the pool of all languages."""
        return self.lost >= FEW_LOST


@dataclass(frozen=True)
class Matter:
    """What becomes of the answers in the question's language, and in others; None where there are none.

    Attributes:
        own: Of those in the question's language.
        other: Of those in other languages whose pools were evaluated one by one.
    """

    own: AnswersIn | None
    other: AnswersIn | None


def matter_of(run: RankTable) -> Matter:
    """Compute what the sentences say."""
    ranks = run.ranks[rank_table.ranked_in_pool(run.ranks, run.info)].copy()
    pairs = rank_table.evaluated_pairs(run.ranks, run.info)
    ranks = ranks.sort_values(["query_id", "rank_in_pool"], kind="stable")  # those without a rank come last
    own = ranks["query_language"] == ranks["passage_language"]
    ranks["right_above"] = ranks.groupby("query_id", sort=False).cumcount()
    ranks["own_above"] = own.groupby(ranks["query_id"], sort=False).cumsum() - own
    by_answer = ranks.groupby(["query_id", "passage_language"], sort=False)
    in_language = by_answer["rank_in_language"].min()
    best = by_answer.nth(0).set_index(["query_id", "passage_language"])
    answers = pd.DataFrame(
        {
            "query_language": best["query_language"],
            "language": best.index.get_level_values("passage_language"),
            "in_language": in_language.reindex(best.index),
            "in_pool": best["rank_in_pool"] - best["right_above"],
            "own_language_above": best["outranked_by_query_language"] - best["own_above"],
        }
    )
    asked = answers.groupby(["query_language", "language"])["language"].transform(lambda of_pair: of_pair.name in pairs)
    answers = answers[asked.astype(bool)]
    own = answers["query_language"] == answers["language"]
    sizes = pd.Series(run.info.pool_sizes)
    shares = sizes / sizes.sum()
    return Matter(_answers_in(answers[own], shares), _answers_in(answers[~own], shares))


def _answers_in(answers: pd.DataFrame, shares: pd.Series) -> AnswersIn | None:
    if answers.empty:
        return None
    in_language, in_pool = (_behind_all(answers[name]) for name in ("in_language", "in_pool"))
    found, found_in_pool = in_language <= FOUND, in_pool <= FOUND
    lost = found & ~found_in_pool
    above = answers[lost & np.isfinite(in_pool)]
    of_question_language = above["own_language_above"] / (above["in_pool"] - 1)
    by_language = of_question_language.groupby(above["query_language"]).mean()
    return AnswersIn(
        len(answers),
        float(np.median(in_language)),
        float(np.median(in_pool)),
        float(found.mean()),
        float(found_in_pool.mean()),
        float(lost.sum() / found.sum()) if found.any() else math.nan,
        float(of_question_language.mean()),
        float(above["query_language"].map(shares).astype(float).mean()),
        float((by_language >= 0.5).mean()),
    )


def _behind_all(ranks: pd.Series) -> NDArray[np.float64]:
    """Return ranks with infinity for those that a search did not return."""
    return ranks.fillna(math.inf).to_numpy(dtype=np.float64)


# In words


def sentences(matter: Matter, cut: int | None) -> str:
    """Say in one or two sentences what the matter is, or that nothing is.

    Args:
        matter: What becomes of the answers.
        cut: Results that the search returned for each query; None where every passage was ranked.
    """
    if matter.other is None and matter.own is None:
        return "No question was asked both in the pool of one language and in that of all languages."
    if matter.other is None:
        said = "Nothing is known of answers in other languages: there are none, or their own pools were not evaluated."
    else:
        said = f"Answers in other languages are {_other(matter.other, cut)}."
    return said if matter.own is None else f"{said} {_own(matter.own)}."


def _other(answers: AnswersIn, cut: int | None) -> str:
    """Say what becomes of answers in other languages."""
    in_language, in_pool = (_rank(rank, cut) for rank in (answers.rank_in_language, answers.rank_in_pool))
    if not answers.is_found:
        return (
            f"hardly found even in their own pool: {_share(answers.found_in_language)} are among the first ten there "
            f"(median {in_language}), and {_share(answers.found_in_pool)} in the pool of all languages"
        )
    found = f"found in their own pool (median {in_language})"
    if not answers.loses:
        return f"{found} and not lost in the pool of all languages (median {in_pool})"
    lost = (
        f"{found}, and {_share(answers.lost)} of those found are lost in the pool of all languages (median {in_pool})"
    )
    if math.isnan(answers.to_question_language):
        return lost
    share, chance = _share(answers.to_question_language), _share(answers.question_language_in_pool)
    if answers.loses_to_question_language:
        return (
            f"{lost} to passages in the question's language: these are {share} of the wrong passages above them, and "
            f"{chance} of the pool"
        )
    return f"{lost}: {share} of the wrong passages above them are in the question's language, and {chance} of the pool"


def _own(answers: AnswersIn) -> str:
    """Say what becomes of answers in the question's language."""
    if not answers.is_found:
        shares = f"{_share(answers.found_in_language)} are among the first ten of their own pool"
        return f"Those in the question's language are hardly found: {shares}"
    if answers.loses:
        return f"Of those in the question's language, {_share(answers.lost)} are lost"
    return "Those in the question's language are found and not lost"


def compared(labels: Sequence[str], matters: Sequence[Matter], cuts: Sequence[int | None]) -> str:
    """Say in a sentence what the first of two runs changes; empty where nothing is known of one.

    Args:
        labels: What the two are called; the second is the one before.
        matters: Theirs.
        cuts: Results that their searches returned for each query; None where every passage was ranked.
    """
    said = []
    after, before = (matter.other for matter in matters)
    if after is not None and before is not None:
        ranks = [_rank(answers.rank_in_pool, cut) for answers, cut in zip((after, before), cuts, strict=True)]
        shares = [_share(answers.found_in_pool) for answers in (after, before)]
        said.append(f"{_instead(shares)} of the answers in other languages (median {_instead(ranks)})")
    after, before = (matter.own for matter in matters)
    if after is not None and before is not None:
        shares = [_share(answers.found_in_pool) for answers in (after, before)]
        said.append(f"{_instead(shares)} of those in the question's language")
    if not said:
        return ""
    both = " and ".join(said)
    return f"With {labels[0]} instead of {labels[1]}, {both} are among the first ten of the pool of all languages."


def _instead(texts: Sequence[str]) -> str:
    after, before = texts
    return f"{after}, as before," if after == before else f"{after} instead of {before}"


def _rank(rank: float, cut: int | None) -> str:
    if math.isinf(rank):
        return f"rank beyond{NO_BREAK}{cut:,}" if cut is not None else "rank unknown"
    return f"rank{NO_BREAK}{rank:,.1f}".removesuffix(".0")


def _share(share: float) -> str:
    if 0 < share < 0.005:
        return f"less than 1{NO_BREAK}%"
    if 0.995 <= share < 1:
        return f"more than 99{NO_BREAK}%"
    return f"{100 * share:.0f}{NO_BREAK}%"
