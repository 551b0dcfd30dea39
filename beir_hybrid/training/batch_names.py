"""The name of a batch whose rows are of several data sets, for Sentence Transformers' collator and trainer.

The collator takes the data set's name from the first row, and prompts, router mappings and losses are looked up by it.
For the other rows of such a batch that would be wrong, and nobody would notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch.utils.data import ConcatDataset

from beir_hybrid.errors import DataError

_COLUMN = "dataset_name"
"""The column that Sentence Transformers adds to rows of several data sets."""


class NameOfSeveral(str):
    """Name of a row's data set, in a batch that has rows of others: what is looked up by it ends in a DataError.

    Attributes:
        names: The names of all data sets that the batch has rows of.
    """

    names: frozenset[str]

    def __new__(cls, name: str, names: Iterable[str]) -> NameOfSeveral:
        """Make the name of a row among those of its batch."""
        made = super().__new__(cls, name)
        made.names = frozenset(names)
        return made

    def __eq__(self, other: object) -> bool:
        if super().__eq__(other) is not True:
            return False
        if not isinstance(other, NameOfSeveral):  # the key of a dict
            raise by_dataset("prompts, router_mapping or loss", self.names)
        return True

    __hash__ = str.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return NameOfSeveral, (str(self), self.names)


class FetchBatch:
    """Stands as ``__getitems__`` on concatenated data sets: torch's data loader reads a batch through it."""

    def __init__(self, dataset: ConcatDataset) -> None:
        self.dataset = dataset

    def __call__(self, numbers: Sequence[int]) -> list[Any]:
        """Read the rows of a batch; where the trainer names data sets, and there are several, the names say so."""
        rows = [self.dataset[number] for number in numbers]
        names = {row[_COLUMN] for row in rows if isinstance(row, dict) and _COLUMN in row}
        if len(names) <= 1:
            return rows
        return [{**row, _COLUMN: NameOfSeveral(row[_COLUMN], names)} for row in rows]


def names_of(name: str) -> frozenset[str]:
    """Return the names of all data sets that a batch of this name has rows of."""
    return name.names if isinstance(name, NameOfSeveral) else frozenset([name])


def by_dataset(what: str, names: Iterable[str]) -> DataError:
    """Make the error of a setting that is given by data set, where batches have rows of several."""
    some = ", ".join(sorted(names)[:3]) + ", ..." * (len(set(names)) > 3)
    return DataError(
        f"batches have rows of several data sets ({some}), and {what} cannot differ by data set then: give what "
        "holds for all of them, or make batches of one pair each, cross_lingual='pair'"
    )
