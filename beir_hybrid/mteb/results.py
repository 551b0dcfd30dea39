"""The one reader of MTEB's results, and the one rule of which model a file is of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from beir_hybrid.errors import DataError
from beir_hybrid.files import files_below, read_json, relative_to, sha256_of, shown
from beir_hybrid.schemas import Name, Open, TaskName, checked
from beir_hybrid.subsets import is_subset

MAIN_SCORE = "main_score"
"""MTEB's key of a task's main score."""

MODEL_META = "model_meta.json"
"""MTEB's file of what is known of a model, beside its results."""

PREDICTIONS_SUFFIX = "_predictions.json"
"""What follows the name of a task in that of its file of predictions."""

LARGEST_SCORE = 1e12
"""No figure is larger: a rank distance is below the number of passages."""

EXPERIMENTS = "experiments"
"""MTEB's folder, in that of a revision, of results with other settings."""


@dataclass(frozen=True)
class Source:
    """A file of what one model did on one task.

    Attributes:
        file: Where it was found, relative to the folder that was searched.
        sha256: Of the file's bytes.
        task: Name of the task; of a result, the split follows in brackets where it is not ``test``.
        model: Name of the model.
        revision: Revision of the model, and of an experiment its name behind a slash.
        data_revision: Commit or content hash of the data.
    """

    file: str
    sha256: str
    task: str
    model: str
    revision: str
    data_revision: str


@dataclass(frozen=True)
class ResultSource(Source):
    """One split of an MTEB result file.

    Attributes:
        scores: Subset -> name of a score -> its value.
    """

    scores: Mapping[str, Mapping[str, Any]]

    @property
    def by_setting(self) -> bool:
        """Whether every subset is a question language and a pool, such as ``en-de`` or ``en-multi``."""
        return all(map(is_subset, self.scores))

    def value(self, subset: str, metric: str) -> float | None:
        """Return one score; None if it is missing, not a number, or too large for any score."""
        value = self.scores[subset].get(metric)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            number = float(value)
        except OverflowError:  # a whole number of 400 digits
            return None
        return number if abs(number) <= LARGEST_SCORE else None

    def values(self, metric: str) -> dict[str, float]:
        """Return subset -> score of those that have one."""
        found = {subset: self.value(subset, metric) for subset in self.scores}
        return {subset: value for subset, value in found.items() if value is not None}


class _Entry(Open):
    """The scores of one subset; all of them are kept."""

    model_config = ConfigDict(extra="allow")

    hf_subset: Name


class _Result(Open):
    """A result file of MTEB."""

    task_name: TaskName
    dataset_revision: Name | None = None
    scores: dict[Name, list[_Entry]]


class _Identity(Open):
    """What a file says of a model."""

    name: Name | None = None
    revision: Name | None = None


def find_results(folder: Path, pattern: str = "*.json") -> list[ResultSource]:
    """Find MTEB's results below a folder: ``<model>/<revision>/<task>.json``, with ``model_meta.json`` beside them.

    Other JSON files are passed over.

    Args:
        folder: For instance ``results``, or a clone of MTEB's results repository; a file is taken for itself.
        pattern: Of the names of the files.

    Raises:
        DataError: A file is truncated or malformed.
        BeirHybridError: There is no such folder.
    """
    results: list[ResultSource] = []
    for path in files_below(folder, pattern):
        if path.name != MODEL_META and not path.name.endswith(PREDICTIONS_SUFFIX):
            results.extend(_results(path, folder))
    return results


def _results(path: Path, folder: Path) -> Iterator[ResultSource]:
    content = read_json(path, DataError)
    if not isinstance(content, dict) or "task_name" not in content or "scores" not in content:
        return
    result = checked(_Result, content, f"{shown(path)} is not a result of MTEB")
    meta = path.resolve().with_name(MODEL_META)
    model, revision = identity_of(path, read_json(meta, DataError) if meta.exists() else None)
    file, digest = relative_to(folder, path), sha256_of(path)
    for split, entries in result.scores.items():
        scores = {entry.hf_subset: entry.model_extra or {} for entry in entries}
        if len(scores) < len(entries):
            names = [entry.hf_subset for entry in entries]
            twice = next(name for place, name in enumerate(names) if name in names[:place])
            raise DataError(f"{shown(path)}: {split} holds the subset {twice} twice; evaluate it again")
        task = result.task_name + ("" if split == "test" else f" ({split})")
        if scores:
            yield ResultSource(file, digest, task, model, revision, str(result.dataset_revision), scores)


def identity_of(path: Path, facts: Any = None) -> tuple[str, str]:
    """Name the model of a file and its revision; an experiment's name follows the revision behind a slash.

    Args:
        path: The file, at ``<model>/<revision>/`` or ``<model>/<revision>/experiments/<name>/``, as MTEB lays them.
        facts: What is known of the model: an object with ``name`` and ``revision``, which come before the folders.

    Raises:
        DataError: A name cannot be one.
    """
    folder = path.resolve().parent
    experiment = f"/{folder.name}" if folder.parent.name == EXPERIMENTS else ""
    revision_folder = folder.parent.parent if experiment else folder
    told = checked(_Identity, {} if facts is None else facts, f"{shown(folder)}, what is known of the model")
    name = told.name or revision_folder.parent.name.replace("__", "/") or "unknown"
    revision = told.revision or revision_folder.name or "unknown"
    identity = checked(_Identity, {"name": name, "revision": f"{revision}{experiment}"}, f"{shown(path)}, its folders")
    return str(identity.name), str(identity.revision)
