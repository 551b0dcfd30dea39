"""Texts of a large data set: read from its files when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray

_AT_ONCE = 10_000
"""Rows read at once by a pass over all of them."""


class TextColumn(Sequence[str]):
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

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return self._texts(self._dataset[place])
        return self._texts(self._dataset[place : place + 1 or None])[0]

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _AT_ONCE):
            yield from self[first : first + _AT_ONCE]

    def take(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the texts of some rows."""
        if not len(rows):
            return []
        first, last = int(rows.min()), int(rows.max())
        if last - first < 2 * len(rows):  # nearly all of what lies between: read as one piece, that is much faster
            texts = self[first : last + 1]
            return [texts[row] for row in (rows - first).tolist()]
        return self._texts(self._dataset[rows.tolist()])

    def _texts(self, columns: dict[str, list[object]]) -> list[str]:
        return [f"{self._prefix}{'' if text is None else text}" for text in columns[self._name]]


def take(texts: Sequence[str], rows: NDArray[np.int64]) -> list[str]:
    """Return the texts of some rows of any sequence."""
    return texts.take(rows) if isinstance(texts, TextColumn) else [texts[row] for row in rows]
