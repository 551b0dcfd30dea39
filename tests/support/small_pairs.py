"""Data sets of language pairs for the tests of the batch sampler; a row's label says which one it is."""

from __future__ import annotations

from collections.abc import Mapping

from datasets import Dataset, DatasetDict

LABELS_PER_PAIR = 1000
"""The label of row i of pair p is p * LABELS_PER_PAIR + i, so that a batch of labels says which rows it holds."""


def dataset_of(name: str, rows: int, first_label: int = 0, answers: int | None = None) -> Dataset:
    """Make the data set of one pair, with as many distinct answers as rows by default."""
    columns = {
        "question": [f"{name} question {row}" for row in range(rows)],
        "answer": [f"{name} answer {row % (answers or rows)}" for row in range(rows)],
        "label": [first_label + row for row in range(rows)],
    }
    dataset = Dataset.from_dict(columns)
    dataset.info.config_name = name
    return dataset


def pairs_of(rows: Mapping[str, int]) -> DatasetDict:
    """Make a data set for each pair: name -> number of rows."""
    return DatasetDict(
        {name: dataset_of(name, count, number * LABELS_PER_PAIR) for number, (name, count) in enumerate(rows.items())}
    )
