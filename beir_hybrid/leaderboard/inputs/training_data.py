"""What models were trained on: a model that has seen a data set is not zero-shot on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from beir_hybrid.errors import DataError
from beir_hybrid.files import files_below, read_json, shown
from beir_hybrid.models.manifest import Origin, Origins
from beir_hybrid.mteb.results import identity_of
from beir_hybrid.schemas import checked


@dataclass(frozen=True)
class TrainingData:
    """What a file says a model was trained on.

    Attributes:
        model: Name of the model.
        revision: Its revision.
        datasets: Names of MTEB tasks.
        complete: Whether these are all; not so for a model trained from a base whose data nobody knows.
    """

    model: str
    revision: str
    datasets: frozenset[str]
    complete: bool = True


def find_training_data(folder: Path, pattern: str = "*.json") -> list[TrainingData]:
    """Read what models were trained on: ``model_meta.json`` of MTEB and ``training_manifest.json`` of our training.

    The model is what the file says under ``name`` and ``revision``, else what its folders say:
    ``<org>__<model>/<revision>/``, as results and rank tables lie. Any JSON file with ``training_datasets``, a list of
    MTEB tasks, will do.

    Raises:
        DataError: A file is truncated or malformed.
        BeirHybridError: There is no such folder.
    """
    found = []
    for path in files_below(folder, pattern):
        content = read_json(path, DataError)
        if not isinstance(content, dict) or not ("training_datasets" in content or "base" in content):
            continue
        datasets, complete = _datasets(content, shown(path))
        if datasets or complete:
            model, revision = identity_of(path, content)
            found.append(TrainingData(model, revision, datasets, complete))
    return found


def _datasets(content: Mapping[str, Any], where: str) -> tuple[frozenset[str], bool]:
    """Return the tasks that a file names, and whether these are all."""
    if "training_datasets" in content:
        parts = [checked(Origin, content, where).training_datasets]
    else:
        manifest = checked(Origins, content, where)
        parts = [part.training_datasets for part in (manifest.base, *manifest.data)]
    return frozenset(name for part in parts if part is not None for name in part), None not in parts


class TrainingFacts:
    """Says whether a model saw the data of a task in training.

    Args:
        found: What files say.
        ask_mteb: Whether mteb's own registry is asked about models that no file knows.
    """

    def __init__(self, found: Iterable[TrainingData], ask_mteb: bool) -> None:
        self._found = {(data.model, data.revision): data for data in found}
        self._ask_mteb = ask_mteb

    def seen(self, model: str, revision: str, task: str) -> bool | None:
        """Return whether a model saw a task's data, or data that the task is adapted from; None if nobody knows."""
        data = self._found.get((model, revision))
        if data is None and self._ask_mteb:
            data = _registered(model, revision)
        if data is None:
            return None
        # Only a name that is not there needs mteb, which takes seconds to load.
        if task in data.datasets or not data.datasets.isdisjoint(_sources_of(task)):
            return True
        return False if data.complete else None


@cache
def _registered(model: str, revision: str) -> TrainingData | None:
    """Return what mteb says a model was trained on; None if it does not know the model or its data."""
    import mteb

    try:
        datasets = mteb.get_model_meta(model, fetch_from_hf=False).get_training_datasets()
    except (KeyError, ValueError):
        return None
    return None if datasets is None else TrainingData(model, revision, frozenset(datasets))


@cache
def _sources_of(task: str) -> frozenset[str]:
    """Return the tasks whose data a task is made from, as mteb's metadata say."""
    import mteb

    names: set[str] = set()
    waiting = [task]
    while waiting:
        try:
            parents = mteb.get_task(waiting.pop()).metadata.adapted_from or ()
        except KeyError:
            continue
        waiting.extend(name for name in parents if name not in names)
        names.update(parents)
    return frozenset(names)
