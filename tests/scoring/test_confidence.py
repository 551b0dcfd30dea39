"""The running top scores against full sorts, and the abstention metrics against MTEB's, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mteb._evaluators.retrieval_metrics import confidence_scores, nauc
from numpy.typing import NDArray

from beir_hybrid.scoring.confidence import TopScores, abstention_areas
from tests.support.helpers import property_test

TIED = st.sampled_from([-2.0, -0.0, 0.0, 0.5, 1.0])
FREE = st.floats(-1e6, 1e6, width=32)


@st.composite
def score_blocks(draw: st.DrawFn) -> list[NDArray[np.float32]]:
    """Draw the scores of some queries in blocks of passages, many of them equal or all different."""
    n_queries = draw(st.integers(1, 4))
    values = draw(st.sampled_from([TIED, FREE]))
    return [
        np.array(draw(st.lists(values, min_size=n_queries * n, max_size=n_queries * n)), np.float32).reshape(
            n_queries, n
        )
        for n in draw(st.lists(st.integers(1, 6), min_size=1, max_size=8))
    ]


@property_test(200)
@given(score_blocks(), st.integers(1, 12))
def test_top_scores_equal_a_full_sort(blocks: list[NDArray[np.float32]], top_k: int) -> None:
    top = TopScores(top_k)
    for block in blocks:
        scores = torch.from_numpy(block.copy())
        top.add(scores)
        assert np.array_equal(scores.numpy(), block), "the block was changed"
        scores.fill_(torch.nan)  # its memory may be used again
    assert top.values is not None
    everything = -np.sort(-np.concatenate(blocks, axis=1), axis=1)[:, :top_k]
    found = -np.sort(-top.values.numpy(), axis=1)
    assert np.array_equal(found, everything)
    confidence = top.confidence().by_name()
    for row, scores in enumerate(everything.astype(float).tolist()):
        expected = confidence_scores(scores)
        assert confidence["max"][row] == expected["max"]
        assert confidence["diff1"][row] == expected["diff1"]
        assert confidence["std"][row] == pytest.approx(expected["std"], rel=1e-9, abs=1e-9)


def test_top_scores_of_some_queries() -> None:
    top = TopScores(2)
    top.add(torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 1.0], [0.0, 7.0, 1.0]]))
    some = top.confidence().of(np.array([2, 0]))
    assert some.maximum.tolist() == [7, 3]
    assert some.margin.tolist() == [6, 1]
    assert some.std.tolist() == [3, 0.5]


def test_no_queries() -> None:
    top = TopScores(2)
    for _ in range(3):
        top.add(torch.empty(0, 5))
    assert top.confidence().maximum.shape == top.confidence().std.shape == top.confidence().margin.shape == (0,)


METRIC = st.one_of(
    st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60),
    st.lists(st.sampled_from([0.0, 0.001, 1 / 3, 0.1, 1.0]), min_size=1, max_size=60),
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.tuples(st.floats(0, 1), st.integers(1, 200)).map(lambda drawn: [drawn[0]] * drawn[1]),
)


# numpy 1.26 adds the rows of a matrix and a vector in different orders, which moves the last bit.
NUMPY_ADDS_IN_ONE_ORDER = int(np.__version__.split(".")[0]) > 1


@property_test(100)
@given(st.data(), METRIC)
def test_abstention_areas_equal_mteb_to_the_last_bit(data: st.DataObject, metric: list[float]) -> None:
    n = len(metric)
    seed = data.draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    confidences = {
        "ties": rng.integers(0, 4, n).astype(float),
        "all equal": np.full(n, 0.3),
        "all different": rng.normal(size=n),
        "the metric": np.array(metric),
    }
    metrics = np.array([metric, metric[::-1], rng.permutation(metric).tolist(), [1 / 3] * n, [0.001] * n, [1.0] * n])
    areas = abstention_areas(list(confidences.values()), metrics)
    for values, found in zip(confidences.values(), areas, strict=True):
        expected = [nauc(values, one) for one in metrics]
        if NUMPY_ADDS_IN_ONE_ORDER:
            assert np.array_equal(found, expected, equal_nan=True)
        else:
            assert np.allclose(found, expected, rtol=1e-9, atol=1e-9, equal_nan=True)
