"""The counting pass against sorting: the same ranks, whatever blocks the scores come in and however many tie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sentence_transformers.util import dot_score

from beir_hybrid.corpora import ParallelCorpus
from beir_hybrid.errors import DataError, ModelError
from beir_hybrid.ranks import build
from beir_hybrid.ranks.schema import decode_languages
from beir_hybrid.scoring import corpus_scores, counting
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus, rank_rows, scores_by_subset
from beir_hybrid.scoring.counting import CountedRanks, PassageBlock, count_ranks
from beir_hybrid.scoring.retrieval_scores import K_VALUES, NOT_RETRIEVED, query_metrics
from beir_hybrid.scoring.targets import Targets
from beir_hybrid.subsets import MULTI
from tests.support.helpers import (
    ScoreTable,
    blocks_of,
    corpus_of,
    property_test,
    pytrec,
    qrels_of,
    ranking,
    score_tables,
)

Ranks = dict[tuple[str, str], tuple[int, int]]
"""(query id, passage id) -> rank among the passages of its language, rank in the pool."""


def ranks_by_sorting(table: ScoreTable, query_language: str, pool: Sequence[str]) -> Ranks:
    """Rank every relevant passage by sorting."""
    in_language = {language: table.run(query_language, [language]) for language in pool}
    in_pool = table.run(query_language, pool)
    return {
        (query_id, passage_id): (
            ranking(in_language[passage_id.split(":")[0]][query_id])[passage_id],
            ranking(in_pool[query_id])[passage_id],
        )
        for query_id, grades in qrels_of(table.corpus, query_language, pool).items()
        for passage_id in grades
    }


def ranks_by_counting(counted: CountedRanks, corpus: ParallelCorpus) -> Ranks:
    """Give counted ranks in the form of `ranks_by_sorting`."""
    query_ids = corpus.languages[counted.targets.query_language].query_ids
    pairs = [
        (query_ids[query], str(passage_id))
        for query, passage_id in zip(counted.targets.queries, counted.targets.passage_ids, strict=True)
    ]
    ranks = zip(counted.rank_in_language.tolist(), counted.rank_in_pool.tolist(), strict=True)
    return dict(zip(pairs, ranks, strict=True))


def gather(table: ScoreTable, targets: Targets) -> Callable[[NDArray[np.int64]], torch.Tensor]:
    """Make the function that gives count_ranks the embeddings of relevant passages."""
    passages = [table.embeddings.passages[language] for language in targets.passage_languages]
    pairs = list(zip(targets.languages, targets.passages, strict=True))
    return lambda numbers: torch.stack([passages[pairs[n][0]][pairs[n][1]] for n in numbers])


def test_pairs_are_in_order_of_query_language_and_row() -> None:
    corpus = corpus_of(
        {"en": ["3", "2", "1"], "de": ["9", "10"]},
        {"en": ["q1", "q0", "q2"], "de": ["q2"]},
        {"en": {"q2": {2: 1, 0: 3}, "q1": {1: 2}}, "de": {"q2": {1: 1, 0: 1}, "gone": {0: 1}}},
    )
    targets = Targets.of(corpus, "en", ["de", "en"])
    assert (targets.query_language, targets.passage_languages, targets.n_queries) == ("en", ("de", "en"), 3)
    assert targets.queries.tolist() == [0, 2, 2, 2, 2]
    assert targets.languages.tolist() == [1, 0, 0, 1, 1]
    assert targets.passages.tolist() == [1, 0, 1, 0, 2]
    assert targets.grades.tolist() == [2, 1, 1, 3, 1]
    assert targets.slots.tolist() == [0, 0, 1, 2, 3]
    assert targets.passage_ids.tolist() == ["en:2", "de:9", "de:10", "en:3", "en:1"]
    assert targets.width == 4
    assert targets.padded(targets.grades, 0).tolist() == [[2, 0, 0, 0], [0, 0, 0, 0], [1, 1, 3, 1]]
    nothing = Targets.of(corpus, "de", [])
    assert (nothing.n_queries, nothing.width, nothing.padded(nothing.grades, 0).tolist()) == (1, 0, [[0]])


@property_test(100)
@given(st.data(), score_tables())
def test_ranks_equal_sorting_whatever_the_blocks(data: st.DataObject, table: ScoreTable) -> None:
    pool = data.draw(st.permutations(list(table.corpus.languages)))[: data.draw(st.integers(1, 4))]
    rows = data.draw(st.none() | st.integers(1, 5))
    blocks = data.draw(st.permutations(blocks_of(table, pool, rows)))
    held, tile = data.draw(st.booleans()), data.draw(st.sampled_from([1, 5, 1_000_000]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "TILE_ELEMENTS", tile)
        for language in table.corpus.languages:
            targets = Targets.of(table.corpus, language, pool)
            counted = count_ranks(
                targets,
                table.embeddings.questions[language],
                blocks,
                table.similarity,
                relevant_embeddings=None if held else gather(table, targets),
            )
            assert ranks_by_counting(counted, table.corpus) == ranks_by_sorting(table, language, pool)


@property_test(40)
@given(score_tables(), st.sampled_from([1, 4, 16_000_000]), st.booleans(), st.sampled_from([1, 7, 1_000_000]))
def test_metrics_of_a_whole_corpus_equal_pytrec_eval(table: ScoreTable, block: int, held: bool, tile: int) -> None:
    languages = list(table.corpus.languages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BLOCK_ELEMENTS", block)
        patch.setattr(counting, "TILE_ELEMENTS", tile)
        patch.setattr(corpus_scores, "HELD_ELEMENTS", 10**9 if held else -1)
        counted = list(count_corpus(table.corpus, table.embeddings, table.similarity))
    assert [one.targets.query_language for one in counted] == languages
    for one in counted:
        language = one.targets.query_language
        assert ranks_by_counting(one, table.corpus) == ranks_by_sorting(table, language, languages)
        for pool in ([language_of_pool] for language_of_pool in languages):
            check_metrics(table, one, pool, one.rank_in_language)
        check_metrics(table, one, languages, one.rank_in_pool)


def check_metrics(table: ScoreTable, counted: CountedRanks, pool: list[str], ranks: NDArray[np.int64]) -> None:
    """Compare every metric of every query with pytrec_eval on the uncut run."""
    targets, language = counted.targets, counted.targets.query_language
    qrels = qrels_of(table.corpus, language, pool)
    inside = np.isin(targets.languages, [targets.passage_languages.index(code) for code in pool])
    matrix = targets.padded(np.where(inside, ranks, NOT_RETRIEVED), NOT_RETRIEVED)
    grades = targets.padded(np.where(inside, targets.grades, 0), 0)
    judged = grades.any(1)
    assert [table.corpus.languages[language].query_ids[row] for row in np.flatnonzero(judged)] == list(qrels)
    if not qrels:
        return
    found = query_metrics(matrix[judged], grades[judged])
    expected = pytrec(table.run(language, pool), qrels)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=0, atol=1e-12, err_msg=key)
    assert set(found) - set(expected) == {f"mrr_at_{k}" for k in K_VALUES}


@property_test(40)
@given(score_tables())
def test_the_columns_of_the_rank_table(table: ScoreTable) -> None:
    languages = list(table.corpus.languages)
    for counted in count_corpus(table.corpus, table.embeddings, table.similarity):
        language = counted.targets.query_language
        rows = build("task", [rank_rows(counted, table.corpus, whole_pool=True)]).drop_columns("task")
        run = table.run(language, languages)
        part = table.corpus.languages[language]
        for row in rows.to_pylist():
            query_id, passage_id = row["query_id"], row["passage_id"]
            order = ranking(run[query_id])
            before = [other for other in order if order[other] < order[passage_id]]
            question = part.query_ids.index(query_id)
            assert row == {
                "query_id": query_id,
                "question_id": part.question_ids[question],
                "query_language": language,
                "passage_id": passage_id,
                "passage_language": passage_id.split(":")[0],
                "rank_in_language": 1 + sum(other.split(":")[0] == passage_id.split(":")[0] for other in before),
                "rank_in_pool": 1 + len(before),
                "outranked_by_query_language": sum(other.split(":")[0] == language for other in before),
                "cluster_id": part.articles[question],
                "grade": table.corpus.relevant(part.question_ids[question], passage_id[:2])[
                    table.corpus.languages[passage_id[:2]].passage_ids.index(passage_id)
                ],
                "top_languages": "".join(other[:2] for other in list(order)[:100]),
            }


@property_test(40)
@given(score_tables())
def test_sorting_blocks_and_comparing_them_is_the_same(table: ScoreTable) -> None:
    found = []
    for limit in (0, 99):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(counting, "SORT_FROM", limit)
            found.append(list(count_corpus(table.corpus, table.embeddings, table.similarity)))
    for by_sorting, by_comparing in zip(*found, strict=True):
        assert np.array_equal(by_sorting.rank_in_language, by_comparing.rank_in_language)
        assert np.array_equal(by_sorting.rank_in_pool, by_comparing.rank_in_pool)
        assert np.array_equal(by_sorting.outranked_by_query_language, by_comparing.outranked_by_query_language)
        assert np.array_equal(by_sorting.top_languages, by_comparing.top_languages)
        for pool, confidence in by_comparing.confidence.items():
            for kind, values in confidence.by_name().items():
                np.testing.assert_allclose(by_sorting.confidence[pool].by_name()[kind], values, atol=1e-12)


def test_ranks_that_the_pool_does_not_tell_are_null() -> None:
    corpus = corpus_of({"en": ["1", "2"], "de": ["1"]}, {"en": ["q"], "de": []}, {"de": {"q": {0: 1}}})
    table = ScoreTable(corpus, np.array([[1, 2, 3]], dtype=np.float32))
    [counted] = count_corpus(corpus, table.embeddings, table.similarity, ["en"], ["de"])
    rows = rank_rows(counted, corpus, whole_pool=False)
    assert rows["rank_in_language"].tolist() == [1]
    assert rows["rank_in_pool"].to_pylist() == rows["outranked_by_query_language"].to_pylist() == [None]
    [counted] = count_corpus(corpus, table.embeddings, table.similarity, ["en"], ["en", "de"])
    rows = rank_rows(counted, corpus, whole_pool=False)
    assert rows["rank_in_pool"].to_pylist() == [None]
    assert rows["outranked_by_query_language"].tolist() == [0]


def test_two_hundred_languages_of_any_tag() -> None:
    languages = [f"q{a}{b}" for a in "abcdefghijklmnopqrst" for b in "abcdefghij"][:198]
    languages += ["en", "zh-Hant"]
    corpus = corpus_of(
        {language: ["1", "2"] for language in languages},
        {language: ["q"] for language in languages},
        {language: {"q": {0: 1}} for language in languages},
    )
    scores = np.random.default_rng(0).permutation(200 * 400).reshape(200, 400).astype(np.float32)
    table = ScoreTable(corpus, scores)
    asked = ["qaa", languages[150], "zh-Hant"]
    for counted in count_corpus(corpus, table.embeddings, table.similarity, asked):
        language = counted.targets.query_language
        order = ranking(table.run(language, languages)[f"{language}:q"])
        best = [passage_id.partition(":")[0] for passage_id in list(order)[:100]]
        assert {int(number) > 127 for number in counted.top_languages[0]} == {True, False}
        rows = build("Task", [rank_rows(counted, corpus, whole_pool=True)]).to_pylist()
        assert {row["passage_id"]: row["rank_in_pool"] for row in rows} == {
            f"{language}:1": order[f"{language}:1"] for language in languages
        }
        assert all(decode_languages(row["top_languages"]) == best for row in rows)
        own = [passage_id for passage_id in order if passage_id.startswith(f"{language}:")]
        outranked = {row["passage_id"]: row["outranked_by_query_language"] for row in rows}
        assert outranked["en:1"] == sum(order[passage_id] < order["en:1"] for passage_id in own)


def random_embeddings(corpus: ParallelCorpus, dtype: torch.dtype = torch.float32) -> Embeddings:
    """Draw embeddings of small whole numbers, so that dot products are exact and tie often."""
    generator = torch.Generator().manual_seed(1)

    def draw(count: int) -> torch.Tensor:
        return torch.randint(1, 4, (count, 3), generator=generator).to(dtype)

    parts = corpus.languages.items()
    return Embeddings(
        {language: draw(len(part.questions)) for language, part in parts},
        {language: draw(len(part.passages)) for language, part in parts},
    )


def dot(questions: Any, passages: Any) -> torch.Tensor:
    return torch.as_tensor(questions).float() @ torch.as_tensor(passages).float().T


CORPUS = corpus_of(
    {"en": [str(n) for n in range(30)], "de": [str(n) for n in range(7)]},
    {"en": [f"q{n}" for n in range(600)], "de": ["q1", "q599"]},
    {
        "en": {f"q{n}": {n % 30: 1, (n * 7 + 1) % 30: 2} for n in range(0, 600, 2)},
        "de": {f"q{n}": {n % 7: 1} for n in range(400)},
    },
)


def rank_lists(
    embeddings: Embeddings, similarity: Callable[[Any, Any], Any], corpus: ParallelCorpus = CORPUS
) -> list[list[int]]:
    return [one.rank_in_pool.tolist() for one in count_corpus(corpus, embeddings, similarity)]


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every pool too large to be held, and cut into blocks of a few passages."""
    monkeypatch.setattr(counting, "BLOCK_ELEMENTS", 1800)
    monkeypatch.setattr(corpus_scores, "HELD_ELEMENTS", -1)


EMBEDDINGS = random_embeddings(CORPUS)
EXPECTED = rank_lists(EMBEDDINGS, dot)
KINDS: dict[str, tuple[Callable[[torch.Tensor], Any], Callable[[Any, Any], Any]]] = {
    "torch": (torch.clone, dot),
    "numpy": (torch.Tensor.numpy, lambda a, b: a @ b.T),
    "float64": (torch.Tensor.double, lambda a, b: a @ b.T),
    "float16": (torch.Tensor.half, lambda a, b: a @ b.T),
    "int8": (lambda matrix: matrix.to(torch.int8).numpy(), lambda a, b: a.astype(np.int32) @ b.astype(np.int32).T),
    "sparse": (torch.Tensor.to_sparse, dot_score),
    "sparse scores": (torch.Tensor.to_sparse, lambda a, b: torch.sparse.mm(a, b.t())),
    "with gradients": (lambda matrix: matrix.clone().requires_grad_(), dot),
    "inference": (torch.clone, torch.inference_mode()(dot)),
    "a list": (torch.clone, lambda a, b: dot(a, b).tolist()),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_and_scores_of_every_kind(kind: str, pieces: bool, request: pytest.FixtureRequest) -> None:
    if pieces:
        request.getfixturevalue("in_pieces")
    convert, similarity = KINDS[kind]
    embeddings = Embeddings(
        {language: convert(matrix) for language, matrix in EMBEDDINGS.questions.items()},
        {language: convert(matrix) for language, matrix in EMBEDDINGS.passages.items()},
    )
    assert rank_lists(embeddings, similarity) == EXPECTED


def test_no_passage_outranks_itself_by_a_rounding_error(in_pieces: None) -> None:
    def rounding(questions: torch.Tensor, passages: torch.Tensor) -> torch.Tensor:
        """Give the same pair of texts another last digit in a product of another shape."""
        return dot(questions, passages) * (1 + len(passages) % 7 * 2e-7)

    corpus = corpus_of({"en": ["1", "2", "3"]}, {"en": ["q"]}, {"en": {"q": {0: 1}}})
    embeddings = Embeddings({"en": torch.tensor([[1.0, 0.0]])}, {"en": torch.tensor([[3.0, 1.0], [2, 1], [1, 1]])})
    assert rank_lists(embeddings, rounding, corpus) == [[1]]


@pytest.mark.parametrize("pieces", [False, True])
def test_queries_without_judgments(pieces: bool, request: pytest.FixtureRequest) -> None:
    if pieces:
        request.getfixturevalue("in_pieces")
    corpus = corpus_of({"en": ["1", "2"], "de": ["1"]}, {"en": ["q", "r"], "de": []}, {})
    for counted in count_corpus(corpus, random_embeddings(corpus), dot):
        assert counted.rank_in_language.tolist() == counted.rank_in_pool.tolist() == []
        assert scores_by_subset(counted, ["en", "de", MULTI]) == {}
        assert all(len(values) == 0 for values in rank_rows(counted, corpus, whole_pool=True).values())


@pytest.mark.parametrize("pieces", [False, True])
def test_a_language_without_passages(pieces: bool, request: pytest.FixtureRequest) -> None:
    if pieces:
        request.getfixturevalue("in_pieces")
    corpus = corpus_of({"en": ["1", "2"], "de": []}, {"en": ["q"], "de": ["q"]}, {"en": {"q": {0: 1}}})
    embeddings = random_embeddings(corpus)
    for counted in count_corpus(corpus, embeddings, dot):
        alone = count_corpus(corpus.restricted(["en"]), Embeddings(embeddings.questions, embeddings.passages), dot)
        assert counted.rank_in_pool.tolist() == counted.rank_in_language.tolist()
        assert set(scores_by_subset(counted, ["en", "de", MULTI])) == {
            f"{counted.targets.query_language}-en",
            f"{counted.targets.query_language}-{MULTI}",
        }
        if counted.targets.query_language == "en":
            assert counted.rank_in_pool.tolist() == next(alone).rank_in_pool.tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_similarity_that_is_not_finite_is_refused(value: float) -> None:
    table = ScoreTable(CORPUS, np.zeros((602, 37), dtype=np.float32))
    table.scores[5, 3] = value
    with pytest.raises(ModelError, match="similarity of two embeddings is not finite") as caught:
        list(count_corpus(CORPUS, table.embeddings, table.similarity))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "similarity", [lambda a, b: dot(a, b).T, lambda a, b: dot(a, b)[0], lambda a, b: torch.tensor(1.0)]
)
def test_a_similarity_of_another_shape_is_refused(similarity: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(ModelError, match="600 x 30") as caught:
        list(count_corpus(CORPUS, EMBEDDINGS, similarity))
    assert "\n" not in str(caught.value)


def test_blocks_are_cut_to_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "BLOCK_ELEMENTS", 20)
    block = PassageBlock(1, 10, tuple("abcdefg"), torch.arange(7.0)[:, None])
    pieces = list(counting.split_blocks(block, 7))
    assert [(piece.language, piece.first, "".join(piece.ids)) for piece in pieces] == [
        (1, 10, "ab"), (1, 12, "cd"), (1, 14, "ef"), (1, 16, "g"),
    ]  # fmt: skip
    assert [piece.embeddings[:, 0].tolist() for piece in pieces] == [[0, 1], [2, 3], [4, 5], [6]]
    assert [len(piece.ids) for piece in counting.split_blocks(block, 1000)] == [1] * 7
    assert list(counting.split_blocks(block, 2)) == [block]
    assert list(counting.split_blocks(block, 0)) == [block]


def test_scores_near_the_largest_float32_can_be_ranked() -> None:
    """Each is finite; their sum is not."""
    largest = float(np.finfo(np.float32).max)
    scores = counting.scores_of(lambda *_: torch.full((3, 5), largest), torch.ones(3, 1), torch.ones(5, 1))
    assert scores.tolist() == [[largest] * 5] * 3
    scores = counting.scores_of(lambda *_: torch.full((3, 5), -largest), torch.ones(3, 1), torch.ones(5, 1))
    assert scores.tolist() == [[-largest] * 5] * 3
    with pytest.raises(ModelError, match="not finite"):  # of float64: 1e39 is none of float32
        counting.scores_of(lambda *_: torch.full((3, 5), 1e39, dtype=torch.float64), torch.ones(3, 1), torch.ones(5, 1))


@property_test(100)
@given(
    st.sampled_from([np.int8, np.uint8, np.int16, np.float16, np.bool_]),
    st.sampled_from([np.asarray, torch.from_numpy]),
    st.integers(0, 2**32 - 1),
)
def test_small_numbers_are_multiplied_in_single_precision(kind: Any, form: Callable[..., Any], seed: int) -> None:
    """The product of two 8-bit integers does not fit into 8 bits."""
    draw = np.random.default_rng(seed).integers(-100, 100, (9, 30)).astype(kind)
    embeddings = form(draw)
    exact = draw[:4].astype(np.float64) @ draw[4:].astype(np.float64).T
    product = counting.scores_of(lambda a, b: a @ b.T, embeddings[:4], embeddings[4:])
    assert product.dtype == torch.float32
    assert product.tolist() == exact.astype(np.float32).tolist()


def test_a_similarity_that_divides_by_the_length_of_nothing_gives_0() -> None:
    def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b.T / (a.norm(dim=1)[:, None] * b.norm(dim=1)[None, :])

    questions, passages = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[6.0, 8.0], [0.0, 0.0], [-8.0, 6.0]])
    expected = [[1, 0, 0], [0, 0, 0]]
    assert counting.scores_of(cosine, questions, passages).tolist() == expected
    sparse = counting.scores_of(
        lambda a, b: cosine(a.to_dense(), b.to_dense()), *(questions.to_sparse(), passages.to_sparse())
    )
    assert sparse.tolist() == expected
    with pytest.raises(ModelError, match="not finite"):  # a NaN of embeddings that say something
        counting.scores_of(lambda *_: torch.full((2, 3), torch.nan), questions, passages)


def test_an_empty_pool_is_one_line() -> None:
    corpus = corpus_of({"en": [], "de": ["1"]}, {"en": ["q"], "de": []}, {"de": {"q": {0: 1}}})
    embeddings = Embeddings({"en": torch.ones(1, 2)}, {"en": torch.ones(0, 2), "de": torch.ones(1, 2)})
    for pool in (["en"], []):
        with pytest.raises(DataError, match="the pool holds no passage"):
            list(count_corpus(corpus, embeddings, dot_score, ["en"], pool))
    (counted,) = count_corpus(corpus, embeddings, dot_score, ["en"], ["en", "de"])
    assert counted.rank_in_pool.tolist() == [1]
