"""Benchmarks: the tasks that a model can be expected to run through, as far as their data can be had."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from mteb.benchmarks.benchmark import Benchmark

from beir_hybrid.corpora.hub.repository import Repository
from beir_hybrid.corpora.lareqa import CITATION
from beir_hybrid.errors import DataError

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

    from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval

logger = logging.getLogger("mteb.beir_hybrid")


class AvailableTasks(Sequence["AbsTask"]):
    """The tasks of the benchmark whose data can be had, looked up when the benchmark is run.

    Some data are on the Hugging Face hub and several gigabytes large: without a network the other tasks go on without
    them. As in mteb's own benchmarks a task is the same object each time, unless its data have become others since.
    """

    def __init__(self, tasks: Sequence[type[AbsTaskParallelRetrieval]]) -> None:
        self._classes = tuple(tasks)
        self._instances: dict[type[AbsTaskParallelRetrieval], AbsTask] = {}
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

    def _available(self) -> tuple[type[AbsTaskParallelRetrieval], ...]:
        return tuple(task for task in self._classes if self._has_data(task))

    def _instance(self, task: type[AbsTaskParallelRetrieval]) -> AbsTask:
        new = task()  # reads which revision of the data is there now
        if task not in self._instances or self._instances[task].metadata != new.metadata:
            self._instances[task] = new
        return self._instances[task]

    def _has_data(self, task: type[AbsTaskParallelRetrieval]) -> bool:
        source = _source_of(task)
        if source is None:
            return True
        try:
            source.check_available()
        except DataError as error:
            if str(error) not in self._said:  # of a retrieval task and of its bias task it is the same
                logger.warning(f"{task.metadata.name} is skipped: {error}")
                self._said.add(str(error))
            return False
        return True


def _source_of(task: type[AbsTaskParallelRetrieval]) -> Repository | None:
    """Return the repository that a task has its data from, None for data that are not on the hub."""
    if task.spec.origin is not None:
        dataset = task.metadata.dataset
        return Repository(dataset["path"], dataset["revision"])
    return getattr(task, "source", None)


def benchmark_of(name: str, tasks: Sequence[type[AbsTaskParallelRetrieval]]) -> Benchmark:
    """Make the benchmark of some tasks; a name with parentheses, which shells want quoted, has an alias without."""
    citations = dict.fromkeys(task.spec.citation for task in tasks if task.spec.group)
    return Benchmark(
        name=name,
        aliases=(name.replace("(", "-").replace(")", ""),) if "(" in name else (),
        tasks=AvailableTasks(tasks),
        description=(
            "Retrieval in the monolingual, cross-lingual and multilingual setting, and language bias: how good is a "
            "model when questions and passages come in many languages, and does it prefer those in the question's own?"
        ),
        reference="https://arxiv.org/abs/2408.10536",
        citation="".join((CITATION, *citations)),
    )
