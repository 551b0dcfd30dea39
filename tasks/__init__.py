"""The tasks for MTEB. ``TASKS`` and ``BENCHMARKS`` are entered in its registries by ``beir_hybrid.mteb.registration``.

Whoever imports mteb loads these modules, so they import what needs torch inside the methods that use it.
"""

from __future__ import annotations

from importlib import import_module

from beir_hybrid.corpora import CorpusSpec, specs
from beir_hybrid.tasks.benchmark import benchmark_of
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval

Task = type[AbsTaskParallelRetrieval]


def tasks_of(spec: CorpusSpec) -> tuple[Task, ...]:
    """Return the tasks of a corpus: retrieval, and language bias if it has that."""
    if spec.task is None:
        return ()
    module = import_module(spec.task.module or f"{__name__}.{spec.name.replace('-', '_')}")
    names = (spec.task.name, *([] if spec.judged_in_own_language else [spec.task.bias_name]))
    return tuple(getattr(module, name) for name in names)


TASKS = tuple(task for spec in specs() for task in tasks_of(spec))
BENCHMARKS = (benchmark_of([task for spec in specs() if spec.task and spec.task.benchmark for task in tasks_of(spec)]),)

globals().update({task.__name__: task for task in TASKS})

__all__ = ["BENCHMARKS", "TASKS", "AbsTaskParallelRetrieval", "tasks_of"]
__all__ += [task.__name__ for task in TASKS]


def __getattr__(name: str) -> Task:
    """Tell type checkers what all other names are; those that exist are found before this is asked."""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
