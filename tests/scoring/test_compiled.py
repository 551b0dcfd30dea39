"""Compiled counting against torch's: the same integers and figures, to the last bit, ties, zeros and gaps included."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from beir_hybrid.scoring import corpus_scores, counting, fast
from beir_hybrid.scoring.confidence import TopScores, best_two_and_deviation
from beir_hybrid.scoring.corpus_scores import count_corpus
from tests.scoring.test_device import CORPUS, dot, embeddings, integers
from tests.scoring.test_partial_counts import Drawn, narrow, outcome_of, same_arrays
from tests.support.helpers import ScoreTable, property_test, score_tables
from tests.support.stand_in_device import stand_in_devices

pytest.importorskip("numba", exc_type=ImportError)


def both_ways(result: Callable[[], Any]) -> list[Any]:
    """Return what is counted by torch and by compiled code."""
    results = []
    for way in ("0", "1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(fast.VARIABLE, way)
            results.append(result())
    return results


VALUES = st.sampled_from([-np.inf, -2.0, -0.0, 0.0, 1e-45, 0.5, np.float32(1 / 3), 1.0, 3e38]) | st.floats(
    -1, 1, width=32
)


@st.composite
def matrices(draw: st.DrawFn, values: st.SearchStrategy[Any] = VALUES) -> NDArray[np.float32]:
    n_rows, n_columns = draw(st.integers(0, 3)), draw(st.integers(1, 150))
    some = draw(st.lists(values, min_size=1, max_size=20))  # of which each occurs many times
    chosen = np.random.default_rng(draw(st.integers(0, 99))).integers(0, len(some), (n_rows, n_columns))
    return np.array(some, dtype=np.float32)[chosen]


@property_test(200)
@given(st.data(), st.lists(matrices(), min_size=1, max_size=4), st.integers(1, 160))
def test_the_highest_scores_are_the_same(data: st.DataObject, blocks: list[NDArray[np.float32]], k: int) -> None:
    n_rows = min(map(len, blocks))

    def kept() -> list[list[float]]:
        top = TopScores(k)
        for block in blocks:
            top.add(torch.from_numpy(block[:n_rows].copy()))
        assert top.values is not None
        return np.sort(top.values.numpy(), axis=1).tolist()

    expected, found = both_ways(kept)
    assert found == expected


@property_test(200)
@given(matrices(VALUES.filter(lambda value: abs(value) < 1e38)))
def test_the_deviation_is_the_same_to_the_last_bit(values: NDArray[np.float32]) -> None:
    shuffled = np.random.default_rng(0).permuted(values, axis=1)
    expected, found = both_ways(lambda: best_two_and_deviation(torch.from_numpy(values)))
    assert found.tolist() == expected.tolist()
    assert all(
        way.tolist() == found.tolist() for way in both_ways(lambda: best_two_and_deviation(torch.from_numpy(shuffled)))
    )
    exact = values.astype(np.longdouble).std(axis=1).astype(float)
    np.testing.assert_allclose(found[2], exact, rtol=1e-12, atol=1e-12 * float(np.abs(values).max(initial=0)))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("pieces", [False, True], ids=["scores held", "in pieces"])
@pytest.mark.parametrize("exact", [True, False], ids=["ties", "few ties"])
def test_a_corpus_is_counted_to_the_same(
    exact: bool, pieces: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr("beir_hybrid.scoring.compiled._ROWS_OF_A_THREAD", 7)
    if pieces:
        monkeypatch.setattr(corpus_scores, "HELD_ELEMENTS", 0)
        monkeypatch.setattr(counting, "BLOCK_ELEMENTS", 40 * 330)
    drawn = embeddings(exact)

    def counted() -> list[Any]:
        return [
            (
                integers(one),
                {pool: [values.tolist() for values in of.by_name().values()] for pool, of in one.confidence.items()},
            )
            for one in count_corpus(CORPUS, drawn, dot, keep_top=5)
        ]

    expected, found = both_ways(counted)
    assert found == expected


@property_test(40)
@given(st.data(), score_tables(max_passages=9))
def test_chunks_are_counted_to_the_same_bytes(data: st.DataObject, table: ScoreTable) -> None:
    """Nearly all scores tie, both zeros among them; grades differ, and some passages are no candidates."""
    if not any(part.question_ids for part in table.corpus.languages.values()):
        return
    widths = [data.draw(st.sampled_from(values)) for values in ([3, 1000], [2, 100], [1, 4, 32], [0, 99])]
    with tempfile.TemporaryDirectory() as root, narrow(*widths):
        drawn = Drawn(data, table, root)
        expected, found = both_ways(lambda: drawn.counts(drawn.chunks))
        assert same_arrays(found, expected)
        assert len({str(outcome_of(counts, table.corpus)) for counts in both_ways(lambda: found)}) == 1
        results = both_ways(lambda: outcome_of(expected, table.corpus))
        assert results[0] == results[1] == outcome_of(found, table.corpus)


def test_a_device_other_than_the_cpu_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fast.VARIABLE, "1")
    with stand_in_devices():
        assert fast.compiled_for(torch.ones(2, 3).to(torch.device("xpu", 0))) is None
    assert fast.compiled_for(torch.ones(2, 3)) is not None


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the choice be made anew."""
    monkeypatch.setattr(fast, "_seen", [0])
    fast._compiled.cache_clear()
    yield
    fast._compiled.cache_clear()


def test_few_scores_load_nothing(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(fast.VARIABLE, raising=False)
    monkeypatch.setattr(fast, "WORTH_LOADING", 10)
    scores = torch.ones(2, 3)
    assert [fast.compiled_for(scores) is None for _ in range(3)] == [True, False, False]
    monkeypatch.setenv(fast.VARIABLE, "0")
    assert fast.compiled_for(scores) is None


@pytest.mark.parametrize("error", [ImportError("no numba"), RuntimeError("cannot cache function"), SystemError()])
def test_a_numba_that_is_missing_or_broken_leaves_torch(
    error: Exception, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise error

    monkeypatch.setenv(fast.VARIABLE, "1")
    monkeypatch.setattr(fast, "import_module", refuse)
    assert fast.compiled_for(torch.ones(2, 3)) is None
    assert [integers(one) for one in count_corpus(CORPUS, embeddings(True), dot)]


def test_importing_the_package_does_not_import_numba() -> None:
    script = "import sys, beir_hybrid.scoring.corpus_scores; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
