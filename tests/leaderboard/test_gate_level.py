"""The gate on simulated pairs of models: how often it passes one that is worse by the margin, or one as good."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from beir_hybrid.leaderboard.stats.significance import Comparison, skewed_t_test
from beir_hybrid.leaderboard.stats.verdicts import decision, shows_noninferiority, verdict
from benchmarks.gate import MostlyEqual, Passed, simulate
from benchmarks.null_simulation import MARGIN, XQUAD_R, Design, batch_of, similar

ARTICLES = replace(similar(), articles=XQUAD_R[::2])
QUESTIONS = replace(similar(), articles=(1,) * 100, own_article=0.0)
EQUAL = Comparison(0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, unit="article", units=48, questions=48, exact=False)
ALIKE = MostlyEqual(**{**vars(QUESTIONS), "equal": 0.5})


@pytest.mark.parametrize("design", [ARTICLES, QUESTIONS, ALIKE], ids=["articles", "questions", "half equal"])
def test_a_model_that_is_worse_by_the_margin_passes_in_less_than_five_per_cent(design: Design) -> None:
    passed, effect, _ = simulate(design.with_difference(-MARGIN), 600, seed=3, title="worse")
    assert passed["gate"].mean() <= 0.05
    assert passed["flips"].mean() > 0.005  # what was simulated is at the margin, not far from it
    assert (effect > 1.5) == (design is ARTICLES)


def test_with_questions_for_units_articles_would_be_wrong_too_often() -> None:
    design = ARTICLES.with_difference(-MARGIN)
    rng = np.random.default_rng(5)
    pairs = [design.draw(rng) for _ in range(300)]
    assert Passed.of(batch_of(design, pairs, "question", MARGIN), 0).gate.mean() > 0.05


def test_a_model_that_is_as_good_passes_where_there_is_enough_to_tell() -> None:
    passed, _, error = simulate(replace(similar(), articles=XQUAD_R), 200, seed=4, title="equal")
    assert error == pytest.approx(MARGIN / 3, rel=0.2)
    assert passed["gate"].mean() > 0.7


def test_the_t_test_is_students_where_nothing_is_skewed() -> None:
    values = np.array([-3.0, -1.0, 0.0, 1.0, 3.0]) + 0.5
    assert skewed_t_test(values) == pytest.approx(stats.ttest_1samp(values, 0.0, alternative="greater").pvalue)
    assert (skewed_t_test(np.full(4, 0.2)), skewed_t_test(np.zeros(4))) == (0.0, 1.0)


def test_the_t_test_keeps_its_level_where_student_does_not() -> None:
    rng = np.random.default_rng(0)
    samples = 1 - rng.exponential(size=(3_000, 20))  # a few large losses, and a mean of 0
    students = stats.ttest_1samp(samples, 0.0, axis=1, alternative="greater").pvalue
    skewed = np.array([skewed_t_test(sample) for sample in samples])
    assert (students <= 0.025).mean() > 0.05
    assert (skewed <= 0.025).mean() < 0.045


def test_all_tests_of_a_gate_have_to_agree() -> None:
    agreed = {"low": -0.005, "p": 0.02, "p_t": 0.02, "margin": 0.01, "alpha": 0.05}
    assert shows_noninferiority(**agreed)
    for other in ({"low": -0.01}, {"p": 0.03}, {"p_t": 0.03}, {"alpha": 0.03}, {"margin": 0.005}):
        assert not shows_noninferiority(**{**agreed, **other})


@pytest.mark.parametrize(
    ("facts", "alone", "shown", "not_shown"),
    [
        ({"difference": 0.1, "p_corrected": 0.01}, "better", "better", "better"),
        ({"difference": -0.1, "p_corrected": 0.01}, "worse", "worse", "worse"),
        ({"difference": -0.1, "p_corrected": 0.01, "p_equivalence_corrected": 0.01}, "worse", "worse", "worse"),
        ({"p_equivalence_corrected": 0.01}, "not worse", "not worse", "cannot tell"),
        ({"p_noninferiority_corrected": 0.01}, "not worse", "not worse", "cannot tell"),
        ({"p_corrected": 0.4}, "cannot tell", "not worse", "cannot tell"),
    ],
)
def test_verdicts_for_a_decision(facts: dict[str, float], alone: str, shown: str, not_shown: str) -> None:
    said = verdict(replace(EQUAL, **facts))
    assert (decision(said), decision(said, True), decision(said, False)) == (alone, shown, not_shown)
