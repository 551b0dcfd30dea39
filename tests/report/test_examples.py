"""Examples against full sorts: which there are, which are chosen, and what each says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus
from beir_hybrid.errors import RankTableError
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.ranks import TableInfo, build, tops
from beir_hybrid.ranks.rows import search_rows
from beir_hybrid.ranks.search import ranks_in_results, tops_in_results
from beir_hybrid.report import examples
from beir_hybrid.report.content import Example
from beir_hybrid.report.examples import KINDS, examples_of
from beir_hybrid.scoring.corpus_scores import count_corpus, rank_rows, top_rows
from beir_hybrid.subsets import MULTI, Subset
from tests.support.helpers import ScoreTable, corpus_of, property_test, ranking, score_tables

LANGUAGES = ("en", "de", "zh")


def counted_run(table: ScoreTable, k: int | None = 3, model: str = "tests/model") -> RankTable:
    """Count the ranks of a model whose scores are given."""
    counted = list(count_corpus(table.corpus, table.embeddings, table.similarity, keep_top=k))
    kept = [top_rows(one, table.corpus, whole_pool=True) for one in counted]
    rows = [rank_rows(one, table.corpus, whole_pool=True) for one in counted]
    parts = [part for part in kept if part is not None]
    return RankTable(build("Task", rows), info_of(table.corpus, model), kept_tops=tops.merge(parts) if parts else None)


def info_of(corpus: ParallelCorpus, model: str = "tests/model", cut: int | None = None) -> TableInfo:
    sizes = {language: len(part.passages) for language, part in corpus.languages.items()}
    evaluated = {language: [*sizes, MULTI] for language in sizes}
    return TableInfo("Task", "1", model, "1", sizes, cut, evaluated=evaluated)


def best(ranks: Sequence[int | None]) -> float:
    return min((rank for rank in ranks if rank is not None), default=math.inf)


@property_test(60)
@given(st.data(), score_tables(max_passages=9), st.integers(1, 5), st.booleans())
def test_examples_say_what_full_sorts_say(data: st.DataObject, table: ScoreTable, k: int, two: bool) -> None:
    corpus, languages, first = table.corpus, list(table.corpus.languages), 2
    shuffled = np.random.default_rng(data.draw(st.integers(0, 99))).permuted(table.scores, axis=1)
    tables = [table, ScoreTable(corpus, shuffled)][: 1 + two]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "FOUND", first)
        found = examples_of([counted_run(one, k) for one in tables], corpus, 10_000)
    expected = {}
    for asked in languages:
        in_pool = [one.run(asked, languages) for one in tables]
        for query_id, grades in corpus.judgments(asked, languages).items():
            orders = [ranking(run[query_id]) for run in in_pool]
            for language in languages:
                answers = [passage_id for passage_id in grades if passage_id.startswith(language)]
                if not answers:
                    continue
                own = ranking(tables[0].run(asked, [language])[query_id])
                own_rank = min(own[passage_id] for passage_id in answers)
                pool = [min(order[passage_id] for passage_id in answers) for order in orders]
                factors = {}
                if pool[0] > first:
                    kind = "lost-in-pool" if own_rank <= first else "lost-in-both"
                    factors[kind] = pool[0] / min(own_rank, first)
                if two and (pool[0] <= first) != (pool[1] <= first):
                    factors["won" if pool[0] <= first else "lost"] = max(pool) / min(pool)
                if factors:
                    expected[query_id, language] = (set(factors), math.log2(max(factors.values())))
    assert {(one.query_id, one.answer_language): set(one.kinds) for one in found} == {
        key: kinds for key, (kinds, _) in expected.items()
    }
    assert [one.lost for one in found] == sorted((one.lost for one in found), reverse=True)
    for one in found:
        assert one.lost == pytest.approx(expected[one.query_id, one.answer_language][1])
        check_example(one, tables, k)


def check_example(one: Example, tables: Sequence[ScoreTable], k: int) -> None:
    """Compare what an example says with full sorts and with the corpus."""
    corpus, languages = tables[0].corpus, list(tables[0].corpus.languages)
    part = corpus.languages[one.question_language]
    assert one.question == part.questions[part.query_ids.index(one.query_id)]
    grades = corpus.judgments(one.question_language, languages)[one.query_id]
    shown = [*one.answers, *one.others]
    assert sorted(answer.passage.passage_id for answer in shown) == sorted(grades)
    assert {answer.passage.language for answer in one.answers} == {one.answer_language}
    assert one.answer_language not in {answer.passage.language for answer in one.others}
    assert [answer.ranks_in_pool[0] for answer in one.answers] == sorted(a.ranks_in_pool[0] or 0 for a in one.answers)
    for answer in shown:
        passage = answer.passage
        assert passage.is_right
        assert passage.text == text_of(corpus, passage.passage_id)
        for number, table in enumerate(tables):
            own = ranking(table.run(one.question_language, [passage.language])[one.query_id])
            pool = ranking(table.run(one.question_language, languages)[one.query_id])
            assert answer.ranks_in_language[number] == own[passage.passage_id]
            assert answer.ranks_in_pool[number] == pool[passage.passage_id]
            if len(tables) > 1:
                assert passage.score is None
            elif own[passage.passage_id] <= k:
                scores = table.run(one.question_language, languages)[one.query_id]
                assert passage.score == scores[passage.passage_id]
    for number, table in enumerate(tables):
        scores = table.run(one.question_language, languages)[one.query_id]
        rank = best([answer.ranks_in_pool[number] for answer in one.answers])
        before = [name for name, place in ranking(scores).items() if place < rank]
        above = one.above[number]
        assert [passage.passage_id for passage in above] == before[:k]
        assert [passage.score for passage in above] == [scores[name] for name in before[:k]]
        assert [passage.is_right for passage in above] == [name in grades for name in before[:k]]
        assert [passage.text for passage in above] == [text_of(corpus, name) for name in before[:k]]
        assert one.are_all[number] == (len(before) <= k)


def text_of(corpus: ParallelCorpus, passage_id: str) -> str:
    part = corpus.languages[passage_id.partition(":")[0]]
    return part.passages[part.passage_ids.index(passage_id)]


def large(seed: int, n_questions: int = 40, n_passages: int = 60) -> ScoreTable:
    """A model that prefers the language of the question: every kind and every pair of languages has examples."""
    corpus = corpus_of(
        {language: [str(n) for n in range(n_passages)] for language in LANGUAGES},
        {language: [f"q{n}" for n in range(n_questions)] for language in LANGUAGES},
        {language: {f"q{n}": {n: 1} for n in range(n_questions)} for language in LANGUAGES},
    )
    random = np.random.default_rng(seed)
    scores = random.normal(size=(3 * n_questions, 3 * n_passages)).astype(np.float32)
    for question in range(3):
        rows = slice(question * n_questions, (question + 1) * n_questions)
        scores[rows, question * n_passages : (question + 1) * n_passages] += 1
        for passage in range(3):
            answers = scores[np.arange(n_questions) + rows.start, np.arange(n_questions) + passage * n_passages]
            scores[np.arange(n_questions) + rows.start, np.arange(n_questions) + passage * n_passages] = answers + 1
    return ScoreTable(corpus, scores)


@pytest.mark.parametrize("two", [False, True])
def test_every_filter_leaves_something_and_the_worst_come_first(two: bool) -> None:
    runs = [counted_run(large(seed), 10) for seed in range(1 + two)]
    corpus = large(0).corpus
    everything = examples_of(runs, corpus, 10_000)
    chosen = examples_of(runs, corpus, 24)
    assert len(chosen) == 24
    assert len({(one.query_id, one.answer_language) for one in chosen}) == 24
    assert chosen == [one for one in everything if one in chosen], "sorted alike"
    for kind in KINDS:
        of_kind = [one for one in everything if kind in one.kinds]
        shown = [one for one in chosen if kind in one.kinds]
        assert bool(of_kind) == (kind in KINDS[: 2 + 2 * two])
        for language_of in (lambda one: one.question_language, lambda one: one.answer_language):
            assert set(map(language_of, shown)) == set(map(language_of, of_kind)), kind
    counts = Counter(kind for one in chosen for kind in one.kinds)
    assert min(counts[kind] for kind in counts) >= 24 // len(counts) - 2
    # The worst of a kind and a pair of languages is there, or none of them, or another example of its question.
    for kind in counts:
        for one in chosen:
            if one.kinds == [kind]:
                worse = [
                    other
                    for other in everything
                    if kind in other.kinds
                    and (other.question_language, other.answer_language) == (one.question_language, one.answer_language)
                    and other.lost > one.lost
                    and other not in chosen
                ]
                questions = {example.query_id.partition(":")[2] for example in chosen}
                assert {other.query_id.partition(":")[2] for other in worse} <= questions
    assert examples_of(runs, corpus, 0) == []
    assert [one.query_id for one in examples_of(runs, corpus, 24)] == [one.query_id for one in chosen]


def search_run(table: ScoreTable, cut: int, k: int) -> RankTable:
    """Ranks and top passages of a search that returns so many passages of a pool."""
    corpus, languages = table.corpus, list(table.corpus.languages)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    parts = []
    for asked in languages:
        for pool in (*languages, MULTI):
            pair = Subset(asked, pool)
            among = languages if pool == MULTI else [pool]
            run = {
                query_id: dict(sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:cut])
                for query_id, scores in table.run(asked, among).items()
            }
            relevant = corpus.judgments(asked, among)
            parts.append(tops_in_results(run, relevant, pair, languages, k))
            columns = build("Task", [search_rows(ranks_in_results(run, relevant), corpus, str(pair))])
            for row in columns.to_pylist():
                known = {name: value for name, value in row.items() if value is not None}
                rows[row["query_id"], row["passage_id"]] = {
                    **rows.get((row["query_id"], row["passage_id"]), row),
                    **known,
                }
    names = [name for name in next(iter(rows.values())) if name != "task"]
    whole = build("Task", [{name: [row[name] for row in rows.values()] for name in names}])
    return RankTable(whole, info_of(corpus, cut=cut), kept_tops=tops.merge(parts))


def test_nothing_is_invented_where_a_search_returned_nothing() -> None:
    table = large(3)
    found = examples_of([search_run(table, 15, 10)], table.corpus, 10_000)
    unknown = 0
    for one in found:
        for answer in (*one.answers, *one.others):
            name = answer.passage.passage_id
            orders = [
                ranking(table.run(one.question_language, pool)[one.query_id])
                for pool in ([answer.passage.language], list(LANGUAGES))
            ]
            expected = [order[name] if order[name] <= 15 else None for order in orders]
            assert [answer.ranks_in_language[0], answer.ranks_in_pool[0]] == expected
        rank = best([answer.ranks_in_pool[0] for answer in one.answers])
        own = best([answer.ranks_in_language[0] for answer in one.answers])
        assert one.kinds == ["lost-in-pool" if own <= 10 else "lost-in-both"]
        assert one.lost == pytest.approx(math.log2(min(rank, 16) / min(own, 10)))
        assert one.are_all == [rank <= 11]
        assert len(one.above[0]) == min(rank - 1, 10)
        unknown += math.isinf(rank)
    assert unknown > 10
    # Rank 8 of a search that returned 5 passages may have been found by another; it is not among those returned.
    of_five = examples_of([search_run(table, 5, 10)], table.corpus, 10_000)
    assert {one.are_all[0] for one in of_five} == {False}
    assert all(answer.ranks_in_pool == [None] for one in of_five for answer in one.answers)


def test_what_was_not_evaluated_or_kept_is_no_example() -> None:
    table = large(0)
    run = counted_run(table, 10)
    assert run.kept_tops is not None
    own_only = {language: [language, MULTI] for language in LANGUAGES}
    some = examples_of([replace(run, info=replace(run.info, evaluated=own_only))], table.corpus, 10_000)
    assert {one.question_language == one.answer_language for one in some} == {True}
    no_pool = {language: list(LANGUAGES) for language in LANGUAGES}
    assert examples_of([replace(run, info=replace(run.info, evaluated=no_pool))], table.corpus) == []
    of_english = tops.Tops(
        run.kept_tops.rows(query_ids=table.corpus.languages["en"].query_ids), 10, run.kept_tops.outranking
    )
    assert {one.question_language for one in examples_of([replace(run, kept_tops=of_english)], table.corpus)} == {"en"}


def test_titles_stand_before_texts() -> None:
    table = large(0)
    parts = {
        language: replace(part, titles=tuple(f"Title {n}" if n % 2 else "" for n in range(len(part.passages))))
        for language, part in table.corpus.languages.items()
    }
    corpus = ParallelCorpus("titled", "1", parts)
    texts = {
        passage.passage_id: passage.text
        for one in examples_of([counted_run(table, 10)], corpus, 10_000)
        for passage in (*one.above[0], *(answer.passage for answer in (*one.answers, *one.others)))
    }
    assert texts["en:2"] == "en passage 2"
    assert texts["en:3"] == "Title 3 en passage 3"
    assert len(texts) > 150


def test_bad_input_is_one_line() -> None:
    table = large(0)
    with pytest.raises(RankTableError) as caught:
        examples_of([counted_run(table, 10), counted_run(table, None, "tests/\nother")], table.corpus)
    assert str(caught.value) == "tests/\\nother on Task has no top passages; evaluate it with --keep-top 10"
    fewer = {language: shortened(part, 20) for language, part in table.corpus.languages.items()}
    with pytest.raises(
        RankTableError, match=r"shorter has no passage 'de:2\d', of which there are ranks; name the data"
    ):
        examples_of([counted_run(table, 10)], ParallelCorpus("shorter", "1", fewer))
    with pytest.raises(RankTableError, match="random has no question 'de:q"):
        examples_of([counted_run(table, 10)], table.corpus.restricted(["en"]))


def shortened(part: LanguageCorpus, n: int) -> LanguageCorpus:
    return replace(part, passage_ids=part.passage_ids[:n], passages=part.passages[:n], relevance={})
