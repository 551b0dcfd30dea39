"""Pass after pass of a batch sampler of Sentence Transformers, or of any other, over its data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from sentence_transformers.base.sampler import DefaultBatchSampler, NoDuplicatesBatchSampler
from torch.utils.data import BatchSampler, RandomSampler

SEEDS = 2**31
"""Seeds of passes are below this: with the sampler's own seed added, any generator takes them."""
_STRIDE = 0x9E3779B1
"""From a pass's seed to that of the next. Odd, so that all passes of an epoch differ."""


class BatchPasses:
    """The passes of a batch sampler over its data, each in an order that follows from its own seed alone.

    Args:
        sampler: The batch sampler. It gets a generator that it shares with no other, where it has an attribute for one,
            and its ``set_epoch`` a number of its own for each pass.
    """

    def __init__(self, sampler: BatchSampler) -> None:
        self.sampler = sampler
        self._generator = _own_generator(sampler)

    def batches(self, seed: int) -> Iterator[Iterator[list[int]]]:
        """Yield the batches of each pass, without end; ``seed`` is that of the first pass, below SEEDS."""
        for _ in self._passes(seed):
            yield one_pass(self.sampler)

    def rows(self, seed: int) -> Iterator[Iterator[int]]:
        """Yield the rows of each pass, without end, for batches that are put together elsewhere."""
        self.sampler.drop_last = False  # no row is left out for want of others
        for _ in self._passes(seed):
            if isinstance(self.sampler, NoDuplicatesBatchSampler):  # shuffles, and then looks for its own batches
                yield iter(torch.randperm(len(self.sampler.dataset), generator=self._generator).tolist())
            else:
                yield itertools.chain.from_iterable(one_pass(self.sampler))

    def _passes(self, seed: int) -> Iterator[int]:
        """Give the batch sampler the seed of pass after pass.

        Sentence Transformers' samplers seed their generator with seed + epoch when a pass begins, so that a second pass
        of an epoch would be equal to the first: here each pass counts as an epoch of its own.
        """
        for number in itertools.count():
            own = (seed + number * _STRIDE) % SEEDS
            self._generator.manual_seed(own)
            if hasattr(self.sampler, "set_epoch"):
                self.sampler.set_epoch(own)
            yield number


def one_pass(sampler: BatchSampler) -> Iterator[list[int]]:
    """Return the batches of one pass of a batch sampler over its data."""
    rows = getattr(sampler, "sampler", None)
    if type(sampler) is DefaultBatchSampler and type(rows) is RandomSampler:
        if not rows.replacement and len(rows) == len(rows.data_source):
            return _slices_of_shuffled(rows, sampler.batch_size, sampler.drop_last)
    elif isinstance(sampler, NoDuplicatesBatchSampler) and sampler.drop_last:
        # Where it has to drop batches because of duplicates, it shuffles again and goes on within one iteration.
        return _until_repeated(sampler)
    return iter(sampler)


def _own_generator(sampler: BatchSampler) -> torch.Generator:
    """Give a batch sampler, and the sampler inside it, a generator that no other shares, and return it."""
    generator = torch.Generator()
    parts: list[Any] = [sampler, getattr(sampler, "sampler", None)]
    for part in parts:
        if hasattr(part, "generator"):
            part.generator = generator
    return generator


def _slices_of_shuffled(rows: RandomSampler, batch_size: int, drop_last: bool) -> Iterator[list[int]]:
    """Yield the batches that torch makes of a RandomSampler, without its generator's step for each row."""
    order = torch.randperm(len(rows), generator=rows.generator).numpy().tolist()
    end = len(order) - len(order) % batch_size if drop_last else len(order)
    for start in range(0, end, batch_size):
        yield order[start : start + batch_size]


def _until_repeated(batches: BatchSampler) -> Iterator[list[int]]:
    """Yield batches up to the first that holds a row of an earlier one."""
    seen: set[int] = set()
    for batch in batches:
        if not seen.isdisjoint(batch):
            return
        seen.update(batch)
        yield batch
