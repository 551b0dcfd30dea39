"""Batches whose rows are of several data sets, each data set's rows in its own order, pass after pass."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers.base.sampler import NoDuplicatesBatchSampler
from torch.utils.data import BatchSampler

Row = tuple[int, frozenset[Hashable]]
"""A row's number, and the values that no other row of its batch may have."""

_BLOCK = 64
"""Rows whose values are read at once."""


class MixedBatches:
    """Draws batches, each row of them from one of several data sets.

    No row comes twice in a step. A row that does not fit into a batch, because it is there already or shares a value
    with another row, is kept for the next one, before the other rows of its data set. Only where all rows left of a
    pass do not fit is the draw of that data set exchanged for another's.

    Args:
        passes: For each data set its rows, pass after pass.
        shares: Probability that a row is of each data set, (D,).
        random: Draws the data sets.
        batch_size: Rows of a batch.
        exact: Number of rows that are drawn in all, where each data set is to get its share of them by largest
            remainder; None to draw each row's data set independently.
        whole: Whether every batch has to be full.
    """

    def __init__(
        self,
        passes: Sequence[Iterator[Iterator[Row]]],
        shares: NDArray[np.float64],
        random: np.random.Generator,
        batch_size: int,
        exact: int | None = None,
        whole: bool = False,
    ) -> None:
        self._rows = [_Rows(own) for own in passes]
        self._draws = _Draws(shares, random, exact)
        self._drawable = shares > 0
        self._batch_size = batch_size
        self._whole = whole

    def step(self, processes: int) -> list[list[int]]:
        """Draw the batches of a step, one for each process; an empty one where no batch can be filled."""
        taken: set[int] = set()
        return [self._batch(taken) for _ in range(processes)]

    def _batch(self, taken: set[int]) -> list[int]:
        """Draw a batch without rows of ``taken``, and add its rows there."""
        batch: list[int] = []
        values: set[Hashable] = set()

        def fits(row: Row) -> bool:
            return row[0] not in taken and values.isdisjoint(row[1])

        open_ = self._drawable.copy()
        begun_anew = False
        drawn = self._draws.draw(self._batch_size)
        while drawn:
            number = drawn.pop()
            row = self._rows[number].take(fits) if open_[number] else None
            if row is not None:
                batch.append(row[0])
                taken.add(row[0])
                values |= row[1]
                continue
            open_[number] = False
            if not open_.any():  # of every data set, what is left of its pass does not fit
                if not self._whole and batch:
                    return batch
                if begun_anew:
                    return []
                begun_anew = True
                open_ = self._drawable.copy()
                for rows in self._rows:
                    rows.leave_out_the_rest()
            drawn.append(self._draws.exchange(number, open_))
        return batch


class _Rows:
    """The rows of a data set, pass after pass; a pass is used up before the next one begins."""

    def __init__(self, passes: Iterator[Iterator[Row]]) -> None:
        self._passes = passes
        self._rest: Iterator[Row] = iter(())
        self._kept: list[Row] = []

    def take(self, fits: Callable[[Row], bool]) -> Row | None:
        """Take the first row of the pass that fits, None if none does."""
        for place, kept in enumerate(self._kept):
            if fits(kept):
                return self._kept.pop(place)
        row = self._next(fits)
        if row is None and not self._kept:
            self._rest = next(self._passes)
            row = self._next(fits)
        return row

    def _next(self, fits: Callable[[Row], bool]) -> Row | None:
        for row in self._rest:
            if fits(row):
                return row
            self._kept.append(row)
        return None

    def leave_out_the_rest(self) -> None:
        """Let the pass end without the rows that were kept for a batch they fit into."""
        self._kept.clear()


class _Draws:
    """Says which data set the next row is of: by chance, or so that the numbers of an epoch come out."""

    def __init__(self, shares: NDArray[np.float64], random: np.random.Generator, exact: int | None) -> None:
        self._shares = shares / shares.sum()
        self._random = random
        self._left = None if exact is None else largest_remainder(shares, exact, random)

    def draw(self, n_rows: int) -> list[int]:
        """Draw the data sets of some rows, in random order."""
        if self._left is None:
            return self._random.choice(len(self._shares), size=n_rows, p=self._shares).tolist()
        counts = self._random.multivariate_hypergeometric(self._left, n_rows, method="marginals")
        self._left -= counts
        return self._random.permutation(np.repeat(np.arange(len(counts)), counts)).tolist()

    def exchange(self, number: int, open_: NDArray[np.bool_]) -> int:
        """Draw one of the open data sets, (D,), instead of one that was drawn; that is drawn another time instead."""
        weights = self._shares * open_
        if self._left is not None:
            self._left[number] += 1
            left = self._left * open_
            if left.any():
                weights = left
        other = int(self._random.choice(len(weights), p=weights / weights.sum()))
        if self._left is not None:
            self._left[other if self._left[other] else number] -= 1
        return other


def largest_remainder(shares: NDArray[np.float64], total: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Apportion ``total`` in proportion to ``shares``, by the method of largest remainders.

    Args:
        shares: Non-negative weights with a positive sum, (D,).
        total: What the counts add up to.
        random: Breaks ties between equal remainders.

    Returns:
        Counts, (D,); each is its quota, rounded down or up.
    """
    quotas = shares / shares.sum() * total
    counts = np.floor(quotas).astype(np.int64)
    shuffled = random.permutation(len(shares))
    by_remainder = shuffled[np.argsort((counts - quotas)[shuffled], kind="stable")]
    counts[by_remainder[: total - counts.sum()]] += 1
    return counts


def rows_with_values(
    passes: Iterator[Iterator[int]], sampler: BatchSampler, dataset: Any, first: int
) -> Iterator[Iterator[Row]]:
    """Yield the rows of each pass with the values that no other row of a batch may have.

    Values are compared where the batch sampler promises no duplicates: the texts of all columns, as it does itself, and
    the label, by which rows of different languages are known to have the same answer.

    Args:
        passes: Numbers of the data set's rows, pass after pass.
        sampler: Its batch sampler.
        dataset: The data set.
        first: Number of the data set's first row among all data sets.
    """
    for rows in passes:
        if isinstance(sampler, NoDuplicatesBatchSampler):
            labels = {"dataset_name", *(sampler.valid_label_columns or ())}
            yield _with_values(rows, dataset, labels, first)
        else:
            yield ((first + row, frozenset()) for row in rows)


def _with_values(rows: Iterator[int], dataset: Any, without: set[str], first: int) -> Iterator[Row]:
    while block := list(islice(rows, _BLOCK)):
        columns = dataset[block]
        labels = [_own_label(label) for label in columns.get("label", [None] * len(block))]
        texts = zip(*(map(str, column) for name, column in columns.items() if name not in without), strict=True)
        for row, own, label in zip(block, texts, labels, strict=True):
            yield first + row, frozenset(own if label is None else chain(own, [label]))


def _own_label(label: Any) -> tuple[str, int] | None:
    """Return the label of a row's answer; the labels of hard negatives may follow it in a list."""
    label = label.tolist() if hasattr(label, "tolist") else label
    own = label[0] if isinstance(label, list) else label
    return ("label", own) if isinstance(own, int) else None
