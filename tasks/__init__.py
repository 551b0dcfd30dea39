"""The tasks for MTEB. ``TASKS`` and ``BENCHMARKS`` are entered in its registries by ``beir_hybrid.mteb.registration``.

Whoever imports mteb loads these modules, so they import what needs torch inside the methods that use it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from beir_hybrid.corpora import CorpusSpec, specs
from beir_hybrid.corpora.discovery import warn_of
from beir_hybrid.errors import one_line
from beir_hybrid.tasks.benchmark import benchmark_of
from beir_hybrid.tasks.language_bias import bias_task
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval, retrieval_task

Task = type[AbsTaskParallelRetrieval]


@cache
def tasks_of(spec: CorpusSpec) -> tuple[Task, ...]:
    """Return the tasks of a corpus: retrieval, and language bias if it has that; always the same ones."""
    if spec.task is None:
        return ()
    if spec.task.module:
        module = import_module(spec.task.module)
        names = (spec.task.name, *([] if spec.judged_in_own_language else [spec.task.bias_name]))
        return tuple(getattr(module, name) for name in names)
    retrieval = retrieval_task(spec)
    return (retrieval,) if spec.judged_in_own_language else (retrieval, bias_task(retrieval))


def _tasks_or_warning(spec: CorpusSpec) -> tuple[Task, ...]:
    """Return the tasks of a corpus; one of other people's that MTEB cannot describe is left out."""
    try:
        return tasks_of(spec)
    except Exception as error:
        warn_of(f"{spec.name}: {one_line(error)}")
        return ()


TASKS: tuple[Task, ...] = tuple(task for spec in specs() for task in _tasks_or_warning(spec))
BENCHMARKS = tuple(
    benchmark_of(name, [task for task in TASKS if task.spec.task and task.spec.task.benchmark == name])
    for name in dict.fromkeys(task.spec.task.benchmark for task in TASKS if task.spec.task)
    if name
)

globals().update({task.__name__: task for task in TASKS})

__all__ = ["BENCHMARKS", "TASKS", "AbsTaskParallelRetrieval", "tasks_of"]
__all__ += [task.__name__ for task in TASKS]


def __getattr__(name: str) -> Task:
    """Tell type checkers what all other names are; those that exist are found before this is asked."""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
