"""Language bias against brute force, against peer-measure, and in cases whose value follows by hand.

Searches that return a part of the pool are drawn, too: a query has a figure only if what the figure needs was returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peer_measure import PEER, PEEREvaluator
from sklearn.feature_extraction.text import HashingVectorizer

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus, load
from beir_hybrid.errors import RankTableError
from beir_hybrid.metrics import LANGUAGE_FIGURES, LANGUAGE_MEANS
from beir_hybrid.ranks import build
from beir_hybrid.ranks.rows import search_rows
from beir_hybrid.ranks.schema import decode_languages, encode_languages
from beir_hybrid.ranks.search import ranks_in_results
from beir_hybrid.scoring.bias import (
    BIAS_FIGURES,
    bias_coverage,
    coverage_text,
    mean_bias,
    mean_bias_by_language,
    one_target_map,
    query_bias,
)
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus, rank_rows

Scores = Mapping[str, Mapping[str, float]]
"""Query id -> passage id -> score, of all queries and passages."""


def corpus_of(relevance: Mapping[str, Mapping[str, list[int]]], n_passages: Mapping[str, int]) -> ParallelCorpus:
    """Make a corpus without texts: language -> question id -> rows of its right answers."""
    return ParallelCorpus(
        "made-up",
        "1",
        {
            language: LanguageCorpus(
                language=language,
                question_ids=tuple(answers),
                questions=("",) * len(answers),
                articles=("0",) * len(answers),
                passage_ids=tuple(f"{language}:{n}" for n in range(n_passages[language])),
                passages=("",) * n_passages[language],
                relevance={question: dict.fromkeys(rows, 1) for question, rows in answers.items()},
            )
            for language, answers in relevance.items()
        },
    )


def bias_table(corpus: ParallelCorpus, questions: Mapping[str, np.ndarray], passages: Mapping[str, np.ndarray]):
    """Count ranks by the dot product of embeddings and return the rank table with the sizes of its pools."""
    counted = count_corpus(corpus, Embeddings(questions, passages), lambda a, b: a @ b.T)
    rows = [rank_rows(one, corpus, whole_pool=True) for one in counted]
    return build("made-up", rows).to_pandas(), sizes_of(corpus)


def sizes_of(corpus: ParallelCorpus) -> dict[str, int]:
    return {language: len(part.passages) for language, part in corpus.languages.items()}


def test_figures_do_not_depend_on_what_languages_are_called() -> None:
    random = np.random.default_rng(0)
    answers = {language: {"a": [0, 3], "b": [1]} for language in ("de", "en", "zh")}
    corpus = corpus_of(answers, {"de": 30, "en": 40, "zh": 50})
    sizes = sizes_of(corpus)
    table, _ = bias_table(
        corpus,
        {language: random.normal(size=(2, 4)) for language in sizes},
        {language: random.normal(size=(n, 4)) for language, n in sizes.items()},
    )
    names = {"de": "ceb", "en": "pt-BR", "zh": "zh-Hant"}  # in the same order, in which a round robin takes turns
    tops = [encode_languages([names[language] for language in decode_languages(top)]) for top in table["top_languages"]]
    renamed = table.assign(
        query_language=table["query_language"].map(names),
        passage_language=table["passage_language"].map(names),
        top_languages=tops,
    )
    expected, found = query_bias(table, sizes), query_bias(renamed, {names[code]: n for code, n in sizes.items()})
    assert found["query_language"].tolist() == expected["query_language"].map(names).tolist()
    pd.testing.assert_frame_equal(found.drop(columns="query_language"), expected.drop(columns="query_language"))


def searched_table(corpus: ParallelCorpus, scores: Scores) -> pd.DataFrame:
    """Make the rank table of a search that returned these passages."""
    rows = []
    for language, part in corpus.languages.items():
        qrels = {query: dict.fromkeys(right, 1) for query in part.query_ids if (right := right_answers(corpus, query))}
        rows.append(search_rows(ranks_in_results(scores, qrels), corpus, f"{language}-multi"))
    return build("made-up", rows).to_pandas()


def all_scores(
    corpus: ParallelCorpus, questions: Mapping[str, np.ndarray], passages: Mapping[str, np.ndarray]
) -> Scores:
    scores: dict[str, dict[str, float]] = {}
    for language, part in corpus.languages.items():
        for query_id, vector in zip(part.query_ids, questions[language], strict=True):
            scores[query_id] = {
                passage_id: float(value)
                for other, pool in corpus.languages.items()
                for passage_id, value in zip(pool.passage_ids, passages[other] @ vector, strict=True)
            }
    return scores


def ranking(scores: Mapping[str, float]) -> list[str]:
    return sorted(scores, key=lambda passage_id: (scores[passage_id], passage_id), reverse=True)


def right_answers(corpus: ParallelCorpus, query_id: str) -> set[str]:
    question_id = query_id.split(":", 1)[1]
    return {part.passage_ids[row] for part in corpus.languages.values() for row in part.relevance.get(question_id, {})}


def average_precision(order: Sequence[str], right: set[str]) -> float:
    places = [rank for rank, passage_id in enumerate(order, 1) if passage_id in right]
    return sum(number / rank for number, rank in enumerate(places, 1)) / len(right)


def interleaved(order: Sequence[str], own: str) -> list[str]:
    """Take passages of each language in turn, the own one first, in the order in which they are ranked."""
    languages = sorted({p.split(":")[0] for p in order}, key=lambda language: (language != own, language))
    rankings = [[p for p in order if p.startswith(f"{language}:")] for language in languages]
    return [p for taken in zip_longest(*rankings) for p in taken if p is not None]


def brute_force(corpus: ParallelCorpus, scores: Scores, all_pools: bool = True) -> pd.DataFrame:
    """Compute the figures of each query as the definitions say, from a sort of what was returned.

    Args:
        corpus: Questions and passages.
        scores: Those of what was returned.
        all_pools: Whether the pools of single languages were searched, too.
    """
    rows = {}
    n_passages = sum(sizes_of(corpus).values())
    for query_id, values in scores.items():
        order, right = ranking(values), right_answers(corpus, query_id)
        if not right:
            continue
        row = dict.fromkeys(BIAS_FIGURES, np.nan)
        own = query_id.split(":")[0]
        languages = {passage_id.split(":")[0] for passage_id in right}
        if len(languages) > 1 and right <= set(order):
            place = {passage_id: rank for rank, passage_id in enumerate(order, 1)}
            best = [min(place[p] for p in right if p.startswith(f"{language}:")) for language in languages]
            wrong = {p for p in corpus.languages[own].passage_ids if p not in right}
            ahead = [sum(order.index(w) < order.index(p) for w in wrong & set(order)) for p in right if own != p[:2]]
            row["rank_distance"] = max(best) - min(best)
            row["normalized_rank_distance"] = row["rank_distance"] / max(n_passages - 1, 1)
            row["language_fairness"] = 1 - row["normalized_rank_distance"]
            row["last_answer_rank"] = max(best)
            for k in (10, 20, 100):
                first = {p.split(":")[0] for p in order[:k] if p in right}
                row[f"complete_at_{k}"] = float(first == languages)
            if own in languages:
                row["language_preference"] = float(next(p for p in order if p in right).startswith(f"{own}:"))
                row["language_preference_chance"] = 1 / len(languages)
            row["strong_alignment"] = 1 - np.mean(ahead) / len(wrong) if wrong else np.nan
        pool = len(corpus.languages[own].passages) / n_passages
        for k in (10, 100):
            if len(order) >= min(k, n_passages):
                share = np.mean([p.split(":")[0] == own for p in order[:k]])
                row[f"same_language_share_at_{k}"] = share
                row[f"same_language_preference_at_{k}"] = share / pool if pool else np.nan
        if order:
            row["first_passage_in_language"] = float(order[0].startswith(f"{own}:"))
        if all_pools and right <= set(order):
            row["round_robin_gain"] = average_precision(interleaved(order, own), right) - average_precision(
                order, right
            )
        for k in (20, 100):
            if len(order) >= min(k, n_passages) and len(languages) > 1:
                row[f"peer_at_{k}"] = peer(query_id, order, right, k, corpus)
        rows[query_id] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def peer(query_id: str, order: list[str], right: set[str], k: int, corpus: ParallelCorpus) -> float:
    """Ask the package peer-measure about one query, on the run that our ranking is."""
    mapping = {
        passage_id: passage_id.split(":")[0] for part in corpus.languages.values() for passage_id in part.passage_ids
    }
    measure = PEER(weights={0: 0.5, 1: 0.5}, lang_mapping=mapping) @ k
    # peer-measure breaks ties the other way round, so it gets scores without any.
    run = {query_id: {passage_id: float(-rank) for rank, passage_id in enumerate(order)}}
    judged = {query_id: {**dict.fromkeys(mapping, 0), **dict.fromkeys(right, 1)}}
    # Its provider calls a function that ir_measures 0.4 no longer has; the evaluator behind it does the computing.
    evaluator = PEEREvaluator([measure], judged, {0: [(k, measure)]}, {0: mapping})
    [metric] = evaluator.iter_calc(run)
    return metric.value


@st.composite
def made_up(draw: st.DrawFn):
    """Draw a corpus of two to four languages and integer embeddings, so that many scores are equal."""
    languages = draw(st.sampled_from([["de", "en"], ["ar", "de", "en"], ["ar", "de", "en", "zh"]]))
    n_passages = {language: draw(st.integers(1, 14)) for language in languages}
    question_ids = [f"q{n}" for n in range(draw(st.integers(1, 4)))]
    relevance: dict[str, dict[str, list[int]]] = {}
    for language in languages:
        known = draw(st.lists(st.sampled_from(question_ids), unique=True))
        rows = st.lists(st.integers(0, n_passages[language] - 1), min_size=1, max_size=2, unique=True)
        relevance[language] = {question_id: draw(rows) for question_id in known}
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)

    def vectors(count: int) -> np.ndarray:
        return generator.integers(-2, 3, size=(count, 3)).astype(np.float32)

    corpus = corpus_of(relevance, n_passages)
    questions = {language: vectors(len(relevance[language])) for language in languages}
    return corpus, questions, {language: vectors(n_passages[language]) for language in languages}


@st.composite
def some_scores(draw: st.DrawFn):
    """Draw a corpus as above, and what a search returned of it: all, all but a few, or the first few of each query."""
    corpus, questions, passages = draw(made_up())
    scores = all_scores(corpus, questions, passages)
    kept = draw(st.sampled_from([1.0, 0.97, 0.8, 0.3]))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = {}
    for query_id, values in scores.items():
        order = ranking(values)
        first = len(order) if draw(st.booleans()) else draw(st.integers(0, len(order)))
        found[query_id] = {p: values[p] for p in order[:first] if generator.random() < kept}
    return corpus, found


@settings(max_examples=60, deadline=None)
@given(made_up())
def test_every_figure_equals_brute_force_and_peer_measure(drawn) -> None:
    corpus, questions, passages = drawn
    table, sizes = bias_table(corpus, questions, passages)
    if not len(table):
        return
    expected = brute_force(corpus, all_scores(corpus, questions, passages))
    figures = query_bias(table, sizes)
    assert set(figures.index) == set(expected.index)
    for name in BIAS_FIGURES:
        np.testing.assert_allclose(figures[name], expected[name].loc[figures.index], atol=1e-9, err_msg=name)


@settings(max_examples=100, deadline=None)
@given(some_scores())
def test_what_a_search_did_not_return_is_no_figure(drawn) -> None:
    corpus, scores = drawn
    table = searched_table(corpus, scores)
    if not len(table):
        return
    expected = brute_force(corpus, scores, all_pools=False)
    figures = query_bias(table, sizes_of(corpus)).loc[expected.index]
    for name in BIAS_FIGURES:
        np.testing.assert_allclose(figures[name], expected[name], atol=1e-9, err_msg=name)
    shares, means = bias_coverage(figures), mean_bias(figures)
    for name in BIAS_FIGURES:
        known = expected[name].dropna()
        assert shares[name] == len(known) / len(expected)
        enough = 10 * len(known) >= 9 * len(expected)
        languages = {query_id.split(":")[0] for query_id in known.index}
        of_languages = [known[known.index.str.startswith(f"{language}:")].mean() for language in languages]
        wanted = np.mean(of_languages) if enough else np.nan
        np.testing.assert_allclose(means[name], wanted, atol=1e-9, err_msg=name)
        if name == "rank_distance":
            np.testing.assert_allclose(means["rank_distance_query_mean"], known.mean() if enough else np.nan)
    assert list(means) == list(LANGUAGE_MEANS)


@settings(max_examples=60, deadline=None)
@given(some_scores())
def test_the_one_target_map_equals_brute_force(drawn) -> None:
    corpus, found = drawn
    table = searched_table(corpus, found)
    if not len(table):
        return
    matrix = one_target_map(table, sizes_of(corpus))
    for query_language in matrix.index:
        for answer_language in matrix.columns:
            values: list[float] = []
            n_queries = 0
            for query_id, scores in found.items():
                right = right_answers(corpus, query_id)
                wanted = {p for p in right if p.startswith(f"{answer_language}:")}
                if query_id.startswith(f"{query_language}:") and wanted:
                    n_queries += 1
                    order = ranking({p: s for p, s in scores.items() if p not in right - wanted})
                    if wanted <= set(order):
                        ranks = sorted(order.index(p) + 1 for p in wanted)
                        values.append(np.mean([place / rank for place, rank in enumerate(ranks, 1)]))
            expected = np.mean(values) if values and 10 * len(values) >= 9 * n_queries else np.nan
            np.testing.assert_allclose(matrix.loc[query_language, answer_language], expected, atol=1e-9)


def answers(query_id: str, ranks: Mapping[str, int | None], top: str = "") -> pd.DataFrame:
    """Make the rows of one query whose one answer in each language has this rank in the pool."""
    return pd.DataFrame(
        {
            "query_id": query_id,
            "question_id": query_id.split(":")[1],
            "query_language": query_id.split(":")[0],
            "passage_language": list(ranks),
            "rank_in_language": list(ranks.values()),
            "rank_in_pool": list(ranks.values()),
            "outranked_by_query_language": [None if rank is None else 0 for rank in ranks.values()],
            "grade": 1,
            "top_languages": top,
        }
    )


@pytest.mark.parametrize(
    "ranks",
    [{"en": None, "de": None}, {"en": 1, "de": None}, {"en": None, "de": 1}, {"en": 1}, {"de": 1}],
    ids=["no answer returned", "own returned", "other returned", "own language only", "other language only"],
)
def test_a_failed_search_is_not_fair(ranks: Mapping[str, int | None]) -> None:
    figures = query_bias(answers("en:q", ranks, "ende" * 10), {"en": 60, "de": 40})
    compared = [name for name, metric in LANGUAGE_FIGURES.items() if metric.needs == "answers"]
    assert {"rank_distance", "language_preference", "last_answer_rank", "complete_at_10"} <= {*compared}
    assert figures[compared].isna().all(axis=None)
    assert figures["round_robin_gain"].isna().tolist() == [None in ranks.values()]
    assert figures["first_passage_in_language"].tolist() == [1]
    assert figures["same_language_share_at_10"].tolist() == [0.5]
    assert figures["peer_at_20"].isna().tolist() == [len(ranks) < 2]
    # Twenty passages are not the best hundred.
    assert figures["same_language_share_at_100"].isna().all() and figures["peer_at_100"].isna().all()


@pytest.mark.parametrize(("returned", "mean"), [(18, 2.0), (17, np.nan)])
def test_nine_queries_in_ten_make_a_figure(returned: int, mean: float) -> None:
    queries = [answers(f"en:q{n}", {"en": 1, "de": 3 if n < returned else None}) for n in range(20)]
    figures = query_bias(pd.concat(queries, ignore_index=True), {"en": 60, "de": 40})
    assert bias_coverage(figures)["rank_distance"] == returned / 20
    np.testing.assert_equal(mean_bias(figures)["rank_distance"], mean)


def test_the_figure_is_the_mean_over_question_languages() -> None:
    distances = {"en": [1, 1, 1, 5], "de": [10]}
    queries = [
        answers(f"{language}:q{n}", {"en": 1, "de": 1 + distance})
        for language, of_language in distances.items()
        for n, distance in enumerate(of_language)
    ]
    figures = query_bias(pd.concat(queries, ignore_index=True), {"en": 60, "de": 40})
    means = mean_bias(figures)
    assert (means["rank_distance"], means["rank_distance_query_mean"]) == (6, 3.6)
    assert (means["language_preference"], means["language_preference_chance"]) == (0.5, 0.5)
    assert (means["last_answer_rank"], means["complete_at_10"]) == (7, 0.5)
    by_language = mean_bias_by_language(figures, ["en", "de"])
    assert by_language["en"]["rank_distance"] == by_language["en"]["rank_distance_query_mean"] == 2
    assert by_language["all"]["rank_distance"] == 6


def test_nothing_in_the_language_of_the_question_can_be_preferred() -> None:
    figures = query_bias(answers("zh:q", {"en": 1, "de": 4}, "ende" * 30), {"en": 60, "de": 40, "zh": 20})
    assert figures[["language_preference", "language_preference_chance"]].isna().all(axis=None)
    assert figures["first_passage_in_language"].tolist() == [0]
    assert figures["last_answer_rank"].tolist() == [4]


def test_coverage_is_not_rounded_up_to_enough_or_all() -> None:
    assert coverage_text(0.0169) == "1.7 % of the queries have one, 90 % are needed"
    assert coverage_text(0.89999) == "89.9 % of the queries have one, 90 % are needed"
    assert coverage_text(0.99999) == "99.9 % of the queries"
    assert coverage_text(0.9) == "90.0 % of the queries"


LANGUAGES = ("ar", "de", "en", "zh")
N_QUESTIONS, N_PASSAGES = 30, 60


@pytest.fixture
def parallel() -> ParallelCorpus:
    """Question n is answered by passage n of each of four languages."""
    answers = {f"q{n}": [n] for n in range(N_QUESTIONS)}
    return corpus_of(dict.fromkeys(LANGUAGES, answers), dict.fromkeys(LANGUAGES, N_PASSAGES))


def test_an_encoder_that_knows_no_language_is_fair(parallel: ParallelCorpus) -> None:
    generator = np.random.default_rng(0)
    questions, passages = generator.normal(size=(N_QUESTIONS, 8)), generator.normal(size=(N_PASSAGES, 8))
    table, sizes = bias_table(parallel, dict.fromkeys(LANGUAGES, questions), dict.fromkeys(LANGUAGES, passages))
    figures = query_bias(table, sizes)
    # Each passage ties with its three translations, and ties are in a row.
    assert (figures["rank_distance"] == len(LANGUAGES) - 1).all()
    # Cut-offs that are whole groups of translations hold each language equally often.
    assert (figures["same_language_preference_at_100"] == 1).all()
    assert mean_bias(figures)["same_language_preference_at_10"] == pytest.approx(1)


def test_an_encoder_that_knows_only_the_language_is_seen_through(parallel: ParallelCorpus) -> None:
    generator = np.random.default_rng(0)
    axes = dict(zip(LANGUAGES, np.eye(4) * 1000, strict=True))
    questions = {
        x: np.c_[generator.normal(size=(N_QUESTIONS, 8)), np.tile(axes[x], (N_QUESTIONS, 1))] for x in LANGUAGES
    }
    passages = {x: np.c_[generator.normal(size=(N_PASSAGES, 8)), np.tile(axes[x], (N_PASSAGES, 1))] for x in LANGUAGES}
    table, sizes = bias_table(parallel, questions, passages)
    figures = mean_bias(query_bias(table, sizes))
    assert figures["same_language_share_at_10"] == 1
    assert figures["same_language_preference_at_10"] == pytest.approx(len(LANGUAGES))
    assert figures["strong_alignment"] == 0
    assert figures["rank_distance"] >= N_PASSAGES - N_QUESTIONS


def test_a_random_encoder_has_no_preference(parallel: ParallelCorpus) -> None:
    generator = np.random.default_rng(0)
    questions = {x: generator.normal(size=(N_QUESTIONS, 8)) for x in LANGUAGES}
    table, sizes = bias_table(parallel, questions, {x: generator.normal(size=(N_PASSAGES, 8)) for x in LANGUAGES})
    figures = mean_bias(query_bias(table, sizes))
    assert figures["same_language_preference_at_10"] == pytest.approx(1, abs=0.1)
    assert figures["same_language_preference_at_100"] == pytest.approx(1, abs=0.05)
    assert figures["strong_alignment"] == pytest.approx(0.5, abs=0.1)


def test_a_table_without_ranks_in_the_whole_pool_is_refused(parallel: ParallelCorpus) -> None:
    generator = np.random.default_rng(0)
    vectors = {x: generator.normal(size=(N_QUESTIONS, 8)) for x in LANGUAGES}
    table, sizes = bias_table(parallel, vectors, {x: generator.normal(size=(N_PASSAGES, 8)) for x in LANGUAGES})
    table.loc[table["query_language"] == "de", ["top_languages", "rank_in_pool"]] = None
    with pytest.raises(RankTableError, match="the de questions lack"):
        query_bias(table, sizes)


def test_a_table_without_the_best_passages_has_the_figures_of_ranks(parallel: ParallelCorpus) -> None:
    generator = np.random.default_rng(0)
    questions = {x: generator.normal(size=(N_QUESTIONS, 8)) for x in LANGUAGES}
    table, sizes = bias_table(parallel, questions, {x: generator.normal(size=(N_PASSAGES, 8)) for x in LANGUAGES})
    whole, figures = query_bias(table, sizes), query_bias(table.assign(top_languages=None), sizes)
    of_ranks = [name for name, metric in LANGUAGE_FIGURES.items() if metric.needs != "top languages"]
    pd.testing.assert_frame_equal(figures[of_ranks], whole[of_ranks])
    assert {*figures.columns} == {*whole.columns}
    assert figures.drop(columns=[*of_ranks, "query_language", "question_id"]).isna().all(axis=None)
    some = table["query_language"] == "de"
    partly = query_bias(table.assign(top_languages=table["top_languages"].where(some)), sizes)
    expected = whole.where(whole["query_language"] == "de", np.nan)["peer_at_100"]
    pd.testing.assert_series_equal(partly["peer_at_100"], expected)


@pytest.mark.real_data
def test_every_figure_equals_brute_force_on_two_real_languages(data_folder: Path) -> None:
    whole = load("xquad-r", ["en", "th"])
    some = set(whole.languages["en"].question_ids[::12])
    corpus = ParallelCorpus(
        "xquad-r",
        "1",
        {
            language: replace(
                part,
                question_ids=tuple(question for question in part.question_ids if question in some),
                questions=("",) * len(some),
                articles=("0",) * len(some),
            )
            for language, part in whole.languages.items()
        },
    )
    hashing = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 3), n_features=256, norm=None)

    def embed(texts: Sequence[str]) -> np.ndarray:
        return hashing.transform(texts).toarray()  # whole numbers: scores are exact, and many are equal

    texts = {
        language: [text for name, text in zip(part.question_ids, part.questions, strict=True) if name in some]
        for language, part in whole.languages.items()
    }
    questions = {language: embed(some_texts) for language, some_texts in texts.items()}
    passages = {language: embed(part.passages) for language, part in corpus.languages.items()}
    table, sizes = bias_table(corpus, questions, passages)
    figures = query_bias(table, sizes)
    expected = brute_force(corpus, all_scores(corpus, questions, passages))
    for name in BIAS_FIGURES:
        np.testing.assert_allclose(figures[name], expected[name].loc[figures.index], atol=1e-9, err_msg=name)
