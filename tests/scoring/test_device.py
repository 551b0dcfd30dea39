"""Counting on a device other than the CPU, by a stand-in for it: the same ranks, and nothing large leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from beir_hybrid.ranks.model_state import QUERY
from beir_hybrid.scoring import corpus_scores, counting
from beir_hybrid.scoring.chunk_plan import ChunkPlan
from beir_hybrid.scoring.chunked import ChunkedRun
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus
from beir_hybrid.scoring.counting import CountedRanks
from beir_hybrid.scoring.matrices import on_device
from beir_hybrid.scoring.partial_counts import PartialCounts
from beir_hybrid.scoring.pass_folder import PassFolder
from beir_hybrid.scoring.shards import WHOLE, Shard
from tests.support.random_corpus import random_corpus
from tests.support.stand_in_device import Copied, largest_copy, resident, stand_in_devices

GPU, OTHER_GPU = torch.device("xpu", 0), torch.device("xpu", 1)
CORPUS = random_corpus({"en": 900, "de": 700}, 40, ignore=True)


@pytest.fixture
def copied() -> Iterator[list[Copied]]:
    with stand_in_devices() as copied:
        yield copied


def embeddings(exact: bool) -> Embeddings:
    draw = np.random.default_rng(1)

    def matrix(n: int) -> torch.Tensor:
        rows = draw.integers(-2, 3, (n, 8)) if exact else draw.standard_normal((n, 8))
        return torch.from_numpy(rows.astype(np.float32))

    parts = CORPUS.languages
    return Embeddings(
        {language: matrix(len(part.questions)) for language, part in parts.items()},
        {language: matrix(len(part.passages)) for language, part in parts.items()},
    )


def on(device: torch.device, matrices: Embeddings) -> Embeddings:
    return Embeddings(
        {language: on_device(matrix, device) for language, matrix in matrices.questions.items()},
        {language: on_device(matrix, device) for language, matrix in matrices.passages.items()},
    )


def dot(questions: torch.Tensor, passages: torch.Tensor) -> torch.Tensor:
    return questions @ passages.T


def integers(counted: CountedRanks) -> list[list[int]]:
    tops = counted.tops or {}
    arrays = [counted.rank_in_language, counted.rank_in_pool, counted.top_languages, counted.outranked_by_language]
    arrays += [rows for best in tops.values() for rows in (best.languages, best.rows)]
    return [array.ravel().tolist() for array in arrays]


@pytest.mark.parametrize("held", [True, False], ids=["scores held", "in pieces"])
@pytest.mark.parametrize("sort_from", [1, 6])
@pytest.mark.parametrize("exact", [True, False], ids=["ties", "few ties"])
def test_ranks_are_those_of_the_cpu_and_no_matrix_leaves_the_device(
    exact: bool, sort_from: int, held: bool, copied: list[Copied], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SORT_FROM", sort_from)
    if not held:
        monkeypatch.setattr(corpus_scores, "HELD_ELEMENTS", 0)
        monkeypatch.setattr(counting, "BLOCK_ELEMENTS", 40 * 600)
    matrices = embeddings(exact)
    here = [integers(counted) for counted in count_corpus(CORPUS, matrices, dot, keep_top=5)]
    there = on(GPU, matrices)
    assert [integers(counted) for counted in count_corpus(CORPUS, there, dot, keep_top=5)] == here
    copied.clear()
    assert len(list(count_corpus(CORPUS, there, dot, confidence=False, keep_top=5))) == 2
    # Of scores, those of right answers, the limits of the best 100 passages and what may be among them; no block.
    best = 2 * (100 + 5)
    assert 0 < largest_copy(copied, floating=True) <= 40 * best < 40 * 600
    assert 0 < largest_copy(copied, floating=False) <= 40 * best


def test_an_embedding_stays_on_the_device_it_is_on_and_is_of_single_precision(copied: list[Copied]) -> None:
    there = resident(torch.ones(2, 3).half(), OTHER_GPU)
    kept = on_device(there, GPU)
    assert (kept.device, kept.dtype) == (OTHER_GPU, torch.float32)
    for matrix in (np.ones((2, 3)), torch.ones(2, 3, dtype=torch.float64), np.ones((2, 3), dtype=np.int32)):
        moved = on_device(matrix, GPU)
        assert (moved.device, moved.dtype) == (GPU, torch.float32)
    assert not copied


def test_embeddings_of_a_model_on_the_cpu_stay_there_though_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    matrix = np.ones((2, 3))
    assert on_device(matrix, torch.device("cpu")) is matrix
    sparse = torch.ones(2, 3).to_sparse()
    assert on_device(sparse) is sparse


def run_on(device: torch.device, shard: Shard, folder: Path, chunk_size: int = 150) -> ChunkedRun:
    """Return a shard whose model computes on a device."""
    matrices = embeddings(exact=True)

    def embed(kind: str, language: str, rows: NDArray[np.int64]) -> torch.Tensor:
        matrix = (matrices.questions if kind == QUERY else matrices.passages)[language]
        return on_device(matrix[torch.from_numpy(rows)], device)

    return ChunkedRun(
        name="made-up",
        embed=embed,
        similarity=dot,
        plan=ChunkPlan(CORPUS, ["en", "de"], ["en", "de"], chunk_size),
        folder=PassFolder.of({"model": "m", "model_revision": "1", "task": "t"}, folder),
        shard=shard,
        keep_top=5,
        device=device,
        checkpoint_seconds=0,
    )


def all_integers(counts: PartialCounts) -> list[list[list[int]]]:
    return [integers(of_language) for of_language in counts.result().values()]


def test_shards_on_different_devices_merge(tmp_path: Path) -> None:
    with stand_in_devices() as copied:
        first = run_on(GPU, Shard(1, 3), tmp_path / "shards").count()
        # Questions and right answers come out of the files of the first one.
        second = run_on(OTHER_GPU, Shard(2, 3), tmp_path / "shards").count()
        third = run_on(torch.device("cpu"), Shard(3, 3), tmp_path / "shards").count()
    assert largest_copy(copied, floating=True) <= 40 * 1000  # the 1000 best scores of each question, with the counts
    whole = run_on(torch.device("cpu"), WHOLE, tmp_path / "whole").count()
    assert all_integers(third.merge(first.merge(second))) == all_integers(whole)
    assert first.chunks | second.chunks | third.chunks == whole.chunks


def test_a_run_that_began_on_one_device_goes_on_on_another(tmp_path: Path) -> None:
    with stand_in_devices():
        begun = run_on(GPU, WHOLE, tmp_path)
        begun.prepare()
        counts, rest = begun.empty(), begun.plan.share(WHOLE)
        for chunk in rest[: len(rest) // 2]:
            begun.add(counts, chunk)
        begun.save(counts)
        done = run_on(OTHER_GPU, WHOLE, tmp_path).count()
    assert all_integers(done) == all_integers(run_on(torch.device("cpu"), WHOLE, tmp_path / "whole").count())


def test_the_stand_in_refuses_what_a_gpu_refuses(copied: list[Copied]) -> None:
    matrix = resident(torch.ones(2, 3), GPU)
    with pytest.raises(RuntimeError, match="same device"):
        matrix @ torch.ones(3, 2)
    with pytest.raises(RuntimeError, match="same device"):
        matrix @ resident(torch.ones(3, 2), OTHER_GPU)
    with pytest.raises(TypeError, match="numpy"):
        matrix.numpy()
    with pytest.raises(TypeError, match="float64"):
        matrix.double()
    assert matrix.cpu().numpy().sum() == 6
    assert copied == [Copied(torch.float32, (2, 3))]
