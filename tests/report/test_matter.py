"""The sentence of a report: its numbers against whole rankings, and that it says what is and no more."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beir_hybrid.report.examples import FOUND
from beir_hybrid.report.matter import NO_BREAK, AnswersIn, Matter, compared, matter_of, sentences
from tests.support.ranked_runs import LANGUAGES, corpus_of, random_scores, ranking, run_of

QUESTIONS = 5
CORPUS = corpus_of(questions=QUESTIONS, passages=25)


def said_of(score, cut=None) -> str:
    return sentences(matter_of(run_of(CORPUS, score, cut=cut)), cut).replace(NO_BREAK, " ")


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([None, 15, 40]))
def test_numbers_are_those_of_whole_rankings(seed: int, own: float, cut: int | None) -> None:
    score = random_scores(seed, own, right=0.5)
    matter = matter_of(run_of(CORPUS, score, cut=cut))
    for is_own, got in ((True, matter.own), (False, matter.other)):
        in_language, in_pool, shares, by_language = [], [], [], {}
        for questions in LANGUAGES:
            for number in range(QUESTIONS):
                right = {f"{language}:{number}" for language in LANGUAGES}
                order = ranking(CORPUS, questions, number, LANGUAGES, score).order[:cut]
                for answers in LANGUAGES:
                    if (questions == answers) != is_own:
                        continue
                    answer = f"{answers}:{number}"
                    rank = ranking(CORPUS, questions, number, [answers], score).ranks[answer]
                    in_language.append(rank if cut is None or rank <= cut else math.inf)
                    wrong = [passage for passage in order if passage not in right or passage == answer]
                    above = wrong[: wrong.index(answer)] if answer in wrong else []
                    in_pool.append(len(above) + 1 if answer in wrong else math.inf)
                    if in_language[-1] <= FOUND < in_pool[-1] < math.inf:
                        shares.append(np.mean([passage.startswith(f"{questions}:") for passage in above]))
                        by_language.setdefault(questions, []).append(shares[-1])
        found, found_in_pool = (np.array(ranks) <= FOUND for ranks in (in_language, in_pool))
        wanted = AnswersIn(
            len(in_language),
            float(np.median(in_language)),
            float(np.median(in_pool)),
            found.mean(),
            found_in_pool.mean(),
            (found & ~found_in_pool).sum() / found.sum() if found.any() else math.nan,
            float(np.mean(shares)) if shares else math.nan,
            1 / 3 if shares else math.nan,
            np.mean([np.mean(some) >= 0.5 for some in by_language.values()]) if shares else math.nan,
        )
        assert list(vars(got).values()) == pytest.approx(list(vars(wanted).values()), nan_ok=True)


def test_an_unbiased_model_is_told_of_no_loss() -> None:
    assert said_of(random_scores(1, right=2.0)) == (
        "Answers in other languages are found in their own pool (median rank 1) and not lost in the pool of all "
        "languages (median rank 1). Those in the question's language are found and not lost."
    )


def test_a_biased_model_loses_answers_to_the_language_of_the_question() -> None:
    assert said_of(random_scores(1, own=3.0, right=2.0)) == (
        "Answers in other languages are found in their own pool (median rank 1), and 100 % of those found are lost in "
        "the pool of all languages (median rank 25) to passages in the question's language: these are 100 % of the "
        "wrong passages above them, and 33 % of the pool. Those in the question's language are found and not lost."
    )


def test_a_model_that_pushes_its_own_language_down_loses_answers_in_it_to_others() -> None:
    said = said_of(random_scores(1, own=-3.0, right=2.0))
    assert "Answers in other languages are found in their own pool (median rank 1) and not lost in" in said
    assert said.endswith("Of those in the question's language, 100 % are lost.")


def test_where_one_language_stands_above_all_that_of_the_question_is_not_blamed() -> None:
    noise = random_scores(1, right=2.0)

    def score(questions: str, number: int, language: str, row: int) -> float:
        return noise(questions, number, language, row) + 3.0 * (language == "en")

    said = said_of(score)
    assert "67 % of those found are lost in the pool of all languages" in said
    assert "): 50 % of the wrong passages above them are in the question's language, and 33 % of the pool." in said


def test_a_model_that_finds_nothing_is_not_said_to_lose_it_in_the_pool() -> None:
    assert said_of(random_scores(1, right=-5.0)) == (
        "Answers in other languages are hardly found even in their own pool: 0 % are among the first ten there (median "
        "rank 25), and 0 % in the pool of all languages. Those in the question's language are hardly found: 0 % are "
        "among the first ten of their own pool."
    )


def test_ranks_that_a_search_did_not_return_are_beyond_what_it_returned() -> None:
    said = said_of(random_scores(1, own=3.0, right=2.0), cut=20)
    assert "are lost in the pool of all languages (median rank beyond 20)." in said  # what is above them is not known


def test_nothing_is_said_of_pools_that_were_not_evaluated() -> None:
    run = run_of(CORPUS, random_scores(1))
    own_only = replace(run.info, evaluated={language: [language, "multi"] for language in LANGUAGES})
    own = sentences(matter_of(replace(run, info=own_only)), None)
    assert own.startswith("Nothing is known of answers in other languages") and "Those in the question's" in own
    pool_only = replace(run.info, evaluated={language: ["multi"] for language in LANGUAGES})
    assert matter_of(replace(run, info=pool_only)) == Matter(None, None)
    assert sentences(Matter(None, None), None).startswith("No question was asked both")


def test_two_runs_are_told_before_and_after() -> None:
    runs = [run_of(CORPUS, random_scores(1, own=own, right=2.0)) for own in (0.0, 3.0)]
    said = compared(["new", "old"], [matter_of(run) for run in runs], [None, None])
    assert said.replace(NO_BREAK, " ") == (
        "With new instead of old, 100 % instead of 0 % of the answers in other languages (median rank 1 instead of "
        "rank 25) and 100 %, as before, of those in the question's language are among the first ten of the pool of all "
        "languages."
    )
    nothing = Matter(None, None)
    assert compared(["new", "old"], [nothing, nothing], [None, None]) == ""


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0 %"), (0.001, "less than 1 %"), (0.5, "50 %"), (0.998, "more than 99 %"), (1.0, "100 %")],
)
def test_a_share_is_not_rounded_to_none_or_all(share: float, shown: str) -> None:
    answers = AnswersIn(10, 1.0, 1.0, 0.0, share, 0.0, math.nan, math.nan, math.nan)
    said = sentences(Matter(None, answers), None).replace(NO_BREAK, " ")
    assert said.endswith(f" and {shown} in the pool of all languages.")
