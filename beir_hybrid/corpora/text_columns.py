"""Texts of a large data set: read from its files when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray

_AT_ONCE = 10_000
"""Rows read at once by a pass over all of them."""


class StoredTexts(Sequence[str]):
    """Texts that are read from files each time they are asked for: ask for many at once."""

    @abstractmethod
    def take(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the texts of some rows."""

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return self.take(np.arange(*place.indices(len(self))))
        row = range(len(self))[place]
        return self.take(np.array([row]))[0]

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _AT_ONCE):
            yield from self[first : first + _AT_ONCE]


class TextColumn(StoredTexts):
    """One column of a data set of the hub, as a sequence of texts; a missing text is empty.

    Args:
        dataset: The data set, which maps its files into memory instead of reading them.
        name: Name of the column.
        prefix: Put before each text.
    """

    def __init__(self, dataset: Dataset, name: str, prefix: str = "") -> None:
        self._dataset = dataset.select_columns([name])
        self._name = name
        self._prefix = prefix

    def __len__(self) -> int:
        return len(self._dataset)

    def take(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the texts of some rows."""
        if not len(rows):
            return []
        first, last = int(rows.min()), int(rows.max())
        dense = last - first < 2 * len(rows)  # read as one piece, that is much faster
        texts = self._dataset[slice(first, last + 1) if dense else rows.tolist()][self._name]
        texts = [f"{self._prefix}{'' if text is None else text}" for text in texts]
        return [texts[row] for row in (rows - first).tolist()] if dense else texts


def take(texts: Sequence[str], rows: NDArray[np.int64]) -> list[str]:
    """Return the texts of some rows of any sequence."""
    return texts.take(rows) if isinstance(texts, StoredTexts) else [texts[row] for row in rows]
