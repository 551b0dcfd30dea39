"""Benchmarks: the tasks that a model can be expected to run through, as far as their data can be had."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from mteb.benchmarks.benchmark import Benchmark

from beir_hybrid.corpora.lareqa import CITATION
from beir_hybrid.errors import DataError

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

logger = logging.getLogger("mteb.beir_hybrid")


class AvailableTasks(Sequence["AbsTask"]):
    """The tasks of the benchmark whose data can be had, looked up when the benchmark is run.

    Some data are on the Hugging Face hub and several gigabytes large: without a network the other tasks go on without
    them. As in mteb's own benchmarks a task is the same object each time, unless its data have become others since.
    """

    def __init__(self, tasks: Sequence[type[AbsTask]]) -> None:
        self._classes = tuple(tasks)
        self._instances: dict[type[AbsTask], AbsTask] = {}
        self._said: set[str] = set()  # mteb goes over the tasks of a benchmark several times

    def __len__(self) -> int:
        return len(self._available())

    @overload
    def __getitem__(self, place: int) -> AbsTask: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[AbsTask]: ...

    def __getitem__(self, place: int | slice) -> AbsTask | Sequence[AbsTask]:
        if isinstance(place, slice):
            return tuple(map(self._instance, self._available()[place]))
        return self._instance(self._available()[place])

    def __iter__(self) -> Iterator[AbsTask]:
        return map(self._instance, self._available())

    def _available(self) -> tuple[type[AbsTask], ...]:
        return tuple(task for task in self._classes if self._has_data(task))

    def _instance(self, task: type[AbsTask]) -> AbsTask:
        new = task()  # reads which revision of the data is there now
        if task not in self._instances or self._instances[task].metadata != new.metadata:
            self._instances[task] = new
        return self._instances[task]

    def _has_data(self, task: type[AbsTask]) -> bool:
        source = getattr(task, "source", None)
        if source is None:
            return True
        try:
            source.check_available()
        except DataError as error:
            line = f"{task.metadata.name} is skipped: {error}"
            if line not in self._said:
                logger.warning(line)
                self._said.add(line)
            return False
        return True


def benchmark_of(name: str, tasks: Sequence[type[AbsTask]]) -> Benchmark:
    """Make the benchmark of some tasks."""
    return Benchmark(
        name=name,
        tasks=AvailableTasks(tasks),
        description=(
            "Retrieval in the monolingual, cross-lingual and multilingual setting, and language bias: how good is a "
            "model when questions and passages come in many languages, and does it prefer those in the question's own?"
        ),
        reference="https://arxiv.org/abs/2408.10536",
        citation=CITATION,
    )
