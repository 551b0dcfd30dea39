"""Language bias: how far the rank of a passage depends on its language, computed from a rank table.

All figures look at the pool of all languages. Sources: LAReQA (arXiv 2004.05484) for strong alignment and the
one-target matrix, PEER (arXiv 2405.00978), arXiv 2408.10536 for the rank distance, MLAIRE (arXiv 2605.07249) for the
preference of the question's language, arXiv 2604.05684 for the last answer, arXiv 2507.07543 for the round robin.

The figure of several question languages is the plain mean over them of the means over their queries.

What was not found is not a figure: `query_bias` says which queries have one (NaN: none), and a mean is given where at
least `MIN_COVERAGE` of the queries do. A model that finds next to nothing would else be fair on the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2

from beir_hybrid.errors import RankTableError
from beir_hybrid.metrics import (
    COMPLETE_K,
    LANGUAGE_FIGURES,
    LANGUAGE_MEANS,
    PEER_K,
    RANK_DISTANCE,
    RANK_DISTANCE_QUERY_MEAN,
    SAME_LANGUAGE_K,
)
from beir_hybrid.ranks.rank_table import ranked_in_pool
from beir_hybrid.ranks.schema import decode_languages
from beir_hybrid.scoring.interleaving import round_robin_gain

if TYPE_CHECKING:
    from numpy.typing import NDArray

PEER_WEIGHTS: Mapping[int, float] = {0: 0.5, 1: 0.5}
"""Weight of the passages of each grade in PEER: half for the right answers, half for all others."""

MIN_COVERAGE = 0.9
"""Share of the queries that must have a figure for there to be a mean."""

ALL_QUESTIONS = "all"
"""Subset of a bias task that holds the questions of all languages."""


def query_bias(
    table: pd.DataFrame, pool_sizes: Mapping[str, int], peer_weights: Mapping[int, float] = PEER_WEIGHTS
) -> pd.DataFrame:
    """Compute the language-bias figures of each query.

    Args:
        table: A rank table whose ranks in the pool are known; a relevant passage without a rank was not returned.
        pool_sizes: Language -> passages of the pool.
        peer_weights: Grade -> weight, adding up to 1.

    Returns:
        One row a query, indexed by query_id, with its ``query_language`` and ``question_id`` and the columns

        - ``rank_distance``: largest less smallest of the best ranks that right answers of each language have;
          ``normalized_rank_distance``: divided by pool size - 1; ``language_fairness``: 1 less that.
        - ``strong_alignment``: mean, over the right answers in other languages than the query's, of the share of
          wrong passages in the query's language that rank below. NaN without such passages.
        - ``language_preference``: 1 if the best-ranked right answer is in the query's language, else 0;
          ``language_preference_chance``: 1 / number of languages with a right answer. NaN without one in the query's.
        - ``first_passage_in_language``: 1 if the first passage, right or wrong, is in the query's language, else 0.
        - ``last_answer_rank``: largest of the best ranks that right answers of each language have (Max@R);
          ``complete_at_k``: 1 if it is at most k, else 0.
        - ``round_robin_gain``: average precision of the single-language rankings interleaved less that of the pool.
        - ``same_language_share_at_k``, ``same_language_preference_at_k``: share of the top k in the query's language;
          the same, divided by that language's share of the pool (1: no preference).
        - ``peer_at_k``: probability of equal expected rank of the languages, as the package peer-measure gives it.

        The figures that compare right answers are NaN for a query that has them in fewer than two languages: all but
        the same-language ones, that of the first passage, and the round robin's. Those of ranks are NaN, too, where one
        of the answers was not returned, and the round robin's where a rank in its language is not known; those of the
        top k, PEER among them, where fewer than k passages of a larger pool were, or the table does not keep their
        languages.

    Raises:
        RankTableError: The table lacks ranks in the pool of all languages.
    """
    ranks = _with_known_ranks(table, pool_sizes)
    n_passages = sum(pool_sizes.values())
    by_query = ranks.groupby("query_id", sort=False)
    figures = by_query[["query_language", "question_id"]].first()
    comparable = by_query["passage_language"].nunique() > 1
    best = (
        ranks.groupby(["query_id", "passage_language"], sort=False)["rank_in_pool"]
        .min()
        .groupby("query_id", sort=False)
    )
    figures["rank_distance"] = (best.max() - best.min()).astype(float)
    figures["last_answer_rank"] = best.max().astype(float)
    for k in COMPLETE_K:
        figures[f"complete_at_{k}"] = (best.max() <= k).astype(float)
    figures = figures.join(_preference(ranks))
    figures["normalized_rank_distance"] = figures["rank_distance"] / max(n_passages - 1, 1)
    figures["language_fairness"] = 1 - figures["normalized_rank_distance"]
    figures["strong_alignment"] = _strong_alignment(ranks, pool_sizes)
    figures[_RANK_FIGURES] = figures[_RANK_FIGURES].where(comparable & by_query["was_ranked"].all())
    figures["round_robin_gain"] = round_robin_gain(table, pool_sizes)
    top_figures = _top_figures(ranks, figures["query_language"], pool_sizes, peer_weights)
    top_figures[_PEER_FIGURES] = top_figures[_PEER_FIGURES].where(comparable)
    return figures.join(top_figures)


def _top_figures(
    ranks: pd.DataFrame, query_languages: pd.Series, pool_sizes: Mapping[str, int], peer_weights: Mapping[int, float]
) -> pd.DataFrame:
    """Compute the figures that follow from the languages of the best passages; NaN where these are not known."""
    n_passages = sum(pool_sizes.values())
    figures = pd.DataFrame(index=query_languages.index, columns=_TOP_FIGURES, dtype=float)
    kept = ranks[ranks["top_languages"].notna()]
    tops = kept.groupby("query_id", sort=False)["top_languages"].first().map(decode_languages)
    for k in sorted({1, *SAME_LANGUAGE_K, *PEER_K}):
        whole = tops[tops.map(len) >= min(k, n_passages)]
        if whole.empty:
            continue
        languages = query_languages.loc[whole.index]
        if k == 1:
            figures.loc[whole.index, "first_passage_in_language"] = _same_language_share(whole, languages, k)
        if k in SAME_LANGUAGE_K:
            share = _same_language_share(whole, languages, k)
            in_pool = languages.map(lambda language: pool_sizes.get(language, 0) / n_passages)
            figures.loc[whole.index, f"same_language_share_at_{k}"] = share
            figures.loc[whole.index, f"same_language_preference_at_{k}"] = share / in_pool
        if k in PEER_K:
            answers = ranks[ranks["query_id"].isin(whole.index)]
            figures.loc[whole.index, f"peer_at_{k}"] = _peer(answers, whole, k, peer_weights, n_passages)
    return figures


def same_language_scores(tops: Sequence[str], query_language: str, pool_sizes: Mapping[str, int]) -> dict[str, float]:
    """Average the same-language figures of the queries in one language.

    Args:
        tops: Languages of each query's best passages in the pool of all languages, as in ``top_languages``.
        query_language: Language of the queries.
        pool_sizes: Language -> passages of the pool.

    Returns:
        ``same_language_share_at_k`` and ``same_language_preference_at_k`` as in ``query_bias``.
    """
    decoded = pd.Series([decode_languages(top) for top in tops])
    languages = pd.Series(query_language, index=decoded.index)
    in_pool = pool_sizes[query_language] / sum(pool_sizes.values())
    scores = {}
    for k in SAME_LANGUAGE_K:
        share = float(_same_language_share(decoded, languages, k).mean())
        scores[f"same_language_share_at_{k}"] = share
        scores[f"same_language_preference_at_{k}"] = share / in_pool
    return scores


_RANK_FIGURES = [name for name, metric in LANGUAGE_FIGURES.items() if metric.needs == "answers"]
_TOP_FIGURES = [name for name, metric in LANGUAGE_FIGURES.items() if metric.needs == "top languages"]
_PEER_FIGURES = [f"peer_at_{k}" for k in PEER_K]
BIAS_FIGURES = tuple(LANGUAGE_FIGURES)


def bias_coverage(figures: pd.DataFrame) -> dict[str, float]:
    """Return figure -> share of the queries of ``query_bias`` that have it; 0 where there are no queries."""
    return {name: float(figures[name].notna().sum() / max(len(figures), 1)) for name in BIAS_FIGURES}


def mean_bias(figures: pd.DataFrame) -> dict[str, float]:
    """Average the figures of some queries: the plain mean over question languages of the means over their queries.

    Args:
        figures: Rows of ``query_bias``; a query without a figure is left out of its mean.

    Returns:
        Figure -> mean, and ``rank_distance_query_mean``, the mean over all queries; NaN where less than
        ``MIN_COVERAGE`` of the queries have it.
    """
    of_languages = figures.groupby("query_language")[[*BIAS_FIGURES]].mean().mean()
    means = {**of_languages, RANK_DISTANCE_QUERY_MEAN: figures[RANK_DISTANCE.name].mean()}
    coverage = bias_coverage(figures)
    coverage[RANK_DISTANCE_QUERY_MEAN] = coverage[RANK_DISTANCE.name]
    return {name: float(means[name]) if is_covered(coverage[name]) else math.nan for name in LANGUAGE_MEANS}


def is_covered(coverage: float | None) -> bool:
    """Whether enough of the queries have a figure; where it is not known how many, as in older results, it counts."""
    return coverage is None or coverage >= MIN_COVERAGE


def coverage_text(coverage: float) -> str:
    """Say how many queries have a figure, and how many have to where they are too few.

    Args:
        coverage: Share of the queries, less than 1; it is not rounded up to what would be enough, nor to all.
    """
    enough = is_covered(coverage)
    share = f"{min(100 * coverage, 99.9 if enough else 100 * MIN_COVERAGE - 0.1):.1f} % of the queries"
    return share if enough else f"{share} have one, {100 * MIN_COVERAGE:g} % are needed"


def one_target_map(table: pd.DataFrame, pool_sizes: Mapping[str, int]) -> pd.DataFrame:
    """Compute LAReQA's heat map: mAP when the answer in one language is the only one in the pool.

    Args:
        table: A rank table whose ranks in the pool are known.
        pool_sizes: Language -> passages of the pool.

    Returns:
        Question language (rows) x answer language (columns). A query counts in a cell if all its answers in that
        language were returned; NaN where less than ``MIN_COVERAGE`` of the queries with such answers do, or none has.

    Raises:
        RankTableError: The table lacks ranks in the pool of all languages.
    """
    precisions = one_target_precisions(table, pool_sizes)
    of_cell = precisions.groupby(["query_language", "passage_language"], sort=False)["precision"]
    matrix = of_cell.mean().where(of_cell.count() / of_cell.size() >= MIN_COVERAGE).unstack("passage_language")
    languages = [language for language in pool_sizes if language in matrix.columns or language in matrix.index]
    return matrix.reindex(index=[x for x in languages if x in matrix.index], columns=languages)


def one_target_precisions(table: pd.DataFrame, pool_sizes: Mapping[str, int]) -> pd.DataFrame:
    """Compute the average precision of each query when its answers in one language are the only ones in the pool.

    Of a single answer that is 1 / (its rank in the pool less the right answers above it).

    Args:
        table: A rank table whose ranks in the pool are known.
        pool_sizes: Language -> passages of the pool.

    Returns:
        One row a query and language of answers, with the columns ``query_id``, ``question_id``, ``query_language``,
        ``passage_language`` and ``precision``; NaN where one of these answers was not returned.

    Raises:
        RankTableError: The table lacks ranks in the pool of all languages.
    """
    ranks = _with_known_ranks(table, pool_sizes).sort_values(["query_id", "rank_in_pool"], kind="stable")
    # Answers in other languages are taken out of the pool: those that rank better no longer count.
    place = ranks.groupby("query_id", sort=False).cumcount()
    place_in_language = ranks.groupby(["query_id", "passage_language"], sort=False).cumcount()
    alone = ranks["rank_in_pool"] - (place - place_in_language)
    ids = ["query_language", "passage_language", "query_id", "question_id"]
    answers = ranks[ids].assign(
        precision=((place_in_language + 1) / alone).where(ranks["was_ranked"]), was_ranked=ranks["was_ranked"]
    )
    by_target = answers.groupby(ids, sort=False)
    return by_target["precision"].mean().where(by_target["was_ranked"].all()).reset_index()


def _with_known_ranks(table: pd.DataFrame, pool_sizes: Mapping[str, int]) -> pd.DataFrame:
    """Keep what the figures need, with a number in every row: the rank behind the whole pool if not ``was_ranked``."""
    ranked = ranked_in_pool(table)
    if not ranked.all():
        languages = sorted(set(table.loc[~ranked, "query_language"]))
        raise RankTableError(
            f"language bias needs ranks in the pool of all languages, which the {', '.join(languages)} questions lack; "
            "evaluate the multilingual subsets too"
        )
    columns = ["query_id", "question_id", "query_language", "passage_language", "grade", "top_languages"]
    ranks = table[columns].copy()
    behind = sum(pool_sizes.values())
    ranks["was_ranked"] = table["rank_in_pool"].notna()
    ranks["rank_in_pool"] = table["rank_in_pool"].fillna(behind).astype("int64")
    ranks["outranked_by_query_language"] = table["outranked_by_query_language"].fillna(0).astype("int64")
    return ranks


def _preference(ranks: pd.DataFrame) -> pd.DataFrame:
    """Compare the best right answer in a query's language with those in others; NaN for a query without one in its."""
    own = ranks["passage_language"] == ranks["query_language"]
    best = ranks.groupby("query_id", sort=False)["rank_in_pool"].min()
    best_own = ranks[own].groupby("query_id", sort=False)["rank_in_pool"].min().reindex(best.index)
    n_languages = ranks.groupby("query_id", sort=False)["passage_language"].nunique()
    preferred = pd.DataFrame(
        {"language_preference": (best_own == best).astype(float), "language_preference_chance": 1 / n_languages}
    )
    return preferred.where(best_own.notna())


def _strong_alignment(ranks: pd.DataFrame, pool_sizes: Mapping[str, int]) -> pd.Series:
    own = ranks["passage_language"] == ranks["query_language"]
    ordered = ranks.assign(own=own.astype("int64")).sort_values(["query_id", "rank_in_pool"], kind="stable")
    right_before = ordered.groupby("query_id", sort=False)["own"].cumsum() - ordered["own"]
    n_right = ordered.groupby("query_id", sort=False)["own"].transform("sum")
    wrong = ordered["query_language"].map(pool_sizes).fillna(0) - n_right
    outranking = ordered["outranked_by_query_language"] - right_before
    share = (1 - outranking / wrong.where(wrong > 0)).where(ordered["own"] == 0)
    return share.groupby(ordered["query_id"], sort=False).mean()


def _matrix(tops: pd.Series, k: int) -> NDArray[np.str_]:
    """The languages of the top k of each query, shape (Q, k); fewer columns in a smaller pool."""
    width = min(k, int(tops.map(len).min()))
    return np.array([languages[:width] for languages in tops], dtype=np.str_)


def _same_language_share(tops: pd.Series, query_languages: pd.Series, k: int) -> NDArray[np.float64]:
    same = _matrix(tops, k) == query_languages.loc[tops.index].to_numpy(dtype=np.str_)[:, None]
    return same.mean(axis=1)


class _Samples(NamedTuple):
    """Passages to be compared between languages: row of the query, number of the language, rank, whether known."""

    queries: NDArray[np.int64]
    languages: NDArray[np.int64]
    ranks: NDArray[np.floating]
    ranked: NDArray[np.bool_]


def _peer(
    ranks: pd.DataFrame, tops: pd.Series, k: int, weights: Mapping[int, float], n_passages: int
) -> NDArray[np.float64]:
    """PEER at k of each query: over the grades, the weighted p value of a test that the languages rank alike."""
    best = _matrix(tops, k)
    languages = sorted({*np.unique(best), *ranks["passage_language"]})
    row = pd.Series(np.arange(len(tops)), index=tops.index)[ranks["query_id"]].to_numpy()
    place, grade = ranks["rank_in_pool"].to_numpy(), ranks["grade"].to_numpy()
    inside = ranks["was_ranked"].to_numpy() & (place <= best.shape[1])
    right = _Samples(row, np.searchsorted(languages, ranks["passage_language"]), place.astype(np.float64), inside)
    wrong = np.ones(best.shape, dtype=bool)
    wrong[row[inside], place[inside] - 1] = False
    queries, columns = np.nonzero(wrong)
    numbers = np.searchsorted(languages, best[queries, columns])
    others = _Samples(queries, numbers, columns + 1.0, np.ones(len(queries), dtype=bool))
    has_others = np.bincount(row, minlength=len(tops)) < n_passages
    equal = _equal_rank_probability(others, len(tops), len(languages))
    total = weights.get(0, 0.0) * np.where(has_others, equal, 0.0)
    for level in np.unique(grade):
        chosen = _Samples(*(values[grade == level] for values in right))
        judged = np.bincount(chosen.queries, minlength=len(tops)) > 0
        equal = _equal_rank_probability(chosen, len(tops), len(languages))
        total += weights.get(int(level), 0.0) * np.where(judged, equal, 0.0)
    return total


def _equal_rank_probability(samples: _Samples, n_queries: int, n_languages: int) -> NDArray[np.float64]:
    """P value of a Kruskal-Wallis test that the languages of a query have the same mean rank, shape (n_queries,).

    Samples that are not ranked share the average of the ranks behind the query's samples, as peer-measure gives them.
    """
    queries, languages, ranks, ranked = samples
    total = np.bincount(queries, minlength=n_queries)
    unranked = np.bincount(queries[~ranked], minlength=n_queries)
    ranks = np.where(ranked, ranks, ((2 * total + unranked + 1) / 2)[queries])
    cell = queries * n_languages + languages
    count = np.bincount(cell, minlength=n_queries * n_languages).reshape(n_queries, n_languages)
    sums = np.bincount(cell, weights=ranks, minlength=n_queries * n_languages).reshape(n_queries, n_languages)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(1) / total
        between = np.where(count > 0, count * (sums / count - mean[:, None]) ** 2, 0.0).sum(1)
        within = np.bincount(queries, weights=(ranks - mean[queries]) ** 2, minlength=n_queries)
        statistic = (total - 1) * between / within
    n_present = (count > 0).sum(1)
    # Fewer than two languages, or nothing ranked at all: there is nothing that could be unequal.
    trivial = (n_present < 2) | (unranked == total)
    return np.where(trivial, 1.0, chi2.sf(np.where(trivial, 0.0, statistic), np.maximum(n_present - 1, 1)))


def mean_bias_by_language(figures: pd.DataFrame, languages: Sequence[str]) -> dict[str, dict[str, float]]:
    """Average the figures of the queries of each language, and under ``all`` of all languages, as ``mean_bias`` does.

    Beside each figure stands its coverage, e.g. ``rank_distance_coverage``: the share of the queries that have it.
    """
    queries = {language: figures[figures["query_language"] == language] for language in languages} | {
        ALL_QUESTIONS: figures
    }
    return {
        name: {**mean_bias(some), **{f"{figure}_coverage": share for figure, share in bias_coverage(some).items()}}
        for name, some in queries.items()
    }
