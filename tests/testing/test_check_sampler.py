"""The check that authors of samplers run: it passes those of Sentence Transformers and ours, and names faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sentence_transformers.base.sampler import ProportionalBatchSampler, RoundRobinBatchSampler

from beir_hybrid.testing import NotConforming, check_sampler
from beir_hybrid.training.sampler import HybridBatchSampler


@pytest.mark.parametrize(
    "sampler",
    [
        HybridBatchSampler,
        HybridBatchSampler.options(alpha=0.25, tau=0.0),
        HybridBatchSampler.options(alpha=None),
        HybridBatchSampler.options(cross_lingual="pair"),
        ProportionalBatchSampler,
        RoundRobinBatchSampler,
    ],
)
def test_samplers_that_are_right_pass(sampler: Callable[..., Any]) -> None:
    check_sampler(sampler)


class Longer(ProportionalBatchSampler):
    def __len__(self) -> int:
        return super().__len__() + 1


class Doubling(ProportionalBatchSampler):
    def __iter__(self) -> Iterator[list[int]]:
        return ([*batch[:-1], batch[0]] for batch in super().__iter__())


class Short(ProportionalBatchSampler):
    def __iter__(self) -> Iterator[list[int]]:
        return (batch[:-1] for batch in super().__iter__())


class Outside(ProportionalBatchSampler):
    def __iter__(self) -> Iterator[list[int]]:
        return ([row + 10_000 for row in batch] for batch in super().__iter__())


class Forgetful(ProportionalBatchSampler):
    """Shuffles by a generator that nobody sets back."""

    def __iter__(self) -> Iterator[list[int]]:
        batches = list(super().__iter__())
        return iter(sorted(batches, key=lambda _: __import__("random").random()))


class Still(ProportionalBatchSampler):
    """Knows no epochs."""

    def __iter__(self) -> Iterator[list[int]]:
        self.epoch = 0
        return super().__iter__()


class Broken(ProportionalBatchSampler):
    def __iter__(self) -> Iterator[list[int]]:
        raise IndexError("nothing left")


@pytest.mark.parametrize(
    ("sampler", "fault"),
    [
        (Longer, "batches, and len"),
        (Doubling, "holds a row twice"),
        (Short, "has 7 rows, not 8"),
        (Outside, "a row that is not in the data sets"),
        (Forgetful, "the same seed and epoch give other batches"),
        (Still, "another epoch gives the same batches"),
        (Broken, "IndexError: nothing left"),
    ],
)
def test_each_fault_is_named(sampler: Callable[..., Any], fault: str) -> None:
    with pytest.raises(NotConforming, match=fault):
        check_sampler(sampler)
