"""Reading the figures of a language-bias task from its results, of this version and of older ones."""

from __future__ import annotations

from statistics import fmean

from beir_hybrid.metrics import RANK_DISTANCE, RANK_DISTANCE_QUERY_MEAN
from beir_hybrid.mteb.results import ResultSource
from beir_hybrid.scoring.bias import ALL_QUESTIONS


def language_figure(result: ResultSource, figure: str) -> float | None:
    """Return a figure of language bias: the plain mean over question languages of the means over their queries.

    Args:
        result: Of a bias task, with the subset of all questions.
        figure: One of ``metrics.LANGUAGE_MEANS``.

    Returns:
        The figure; None where the result does not hold it. Older versions wrote the mean over all queries: of theirs
        the mean over the languages is taken here, and there is none where that of a language is missing.
    """
    of_all = result.value(ALL_QUESTIONS, figure)
    if RANK_DISTANCE_QUERY_MEAN in result.scores[ALL_QUESTIONS]:
        return of_all
    if figure == RANK_DISTANCE_QUERY_MEAN:
        return result.value(ALL_QUESTIONS, RANK_DISTANCE.name)
    of_languages = [result.value(subset, figure) for subset in result.scores if subset != ALL_QUESTIONS]
    known = [value for value in of_languages if value is not None]
    if of_all is None or len(known) < len(of_languages):
        return None
    return fmean(known) if known else of_all
