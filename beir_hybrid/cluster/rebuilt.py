"""The task of a run, made again on another machine from what names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from beir_hybrid.errors import DataError
from beir_hybrid.files import shown
from beir_hybrid.schemas import Known, TaskName, checked

if TYPE_CHECKING:
    from beir_hybrid.tasks import AbsTaskParallelRetrieval


class _OfTask(Known):
    """A task that is registered with MTEB, and its subsets."""

    task: TaskName
    subsets: list[str]


class _OfData(Known):
    """A corpus as `beir-hybrid evaluate --data` names it, and its languages; all for None."""

    data: str
    languages: list[str] | None


def task_of(source: Mapping[str, Any], where: str = "the source of the run") -> AbsTaskParallelRetrieval:
    """Return the task of a run.

    Args:
        source: ``{"task": name, "subsets": [...]}``, or ``{"data": what --data takes, "languages": [...] or None}``.
        where: What says so, for messages.

    Raises:
        DataError: It is neither, no such task is registered here, or the corpus cannot be read.
    """
    if "data" in source:
        asked = checked(_OfData, dict(source), where)
        from beir_hybrid.interface.evaluate_model import read_corpus
        from beir_hybrid.interface.task_run import task_of_corpus

        return task_of_corpus(read_corpus(asked.data, asked.languages, progress=False))
    of_task = checked(_OfTask, dict(source), where)
    return _registered(of_task.task, of_task.subsets, where)


def _registered(name: str, subsets: Sequence[str], where: str) -> AbsTaskParallelRetrieval:
    from beir_hybrid.tasks import TASKS

    kind = next((task for task in TASKS if task.metadata.name == name), None)
    if kind is None:
        raise DataError(f"{where}: there is no task {shown(name)} here; set BEIR_HYBRID_CORPORA as where the run was")
    task = kind()
    unknown = [subset for subset in subsets if subset not in task.hf_subsets]
    if unknown or not subsets:
        what = f"no subset {shown(unknown[0])}" if unknown else "none of the run's subsets"
        raise DataError(f"{where}: {name} has {what} here; give this process the data that the run has")
    return task.filter_languages(None, hf_subsets=subsets)
