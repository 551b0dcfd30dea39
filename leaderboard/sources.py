"""What a leaderboard is made from: rank tables and MTEB's result files, found below folders."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from beir_hybrid.errors import BeirHybridError, DataError, RankTableError
from beir_hybrid.scoring import rank_table
from beir_hybrid.scoring.rank_table import TableInfo

BIAS_SUFFIX = "LanguageBias"
"""What follows the name of a retrieval task in that of its bias task."""

_PAIR = re.compile(r"[a-z]{2}-([a-z]{2}|multi)")
MODEL_META = "model_meta.json"
"""MTEB's file of what is known of a model, beside its results."""

_EXPERIMENTS = "experiments"


@dataclass(frozen=True)
class RankSource:
    """A rank table: of the file, all but the rows, which are read when they are used.

    Attributes:
        file: Where it was found, relative to the folder that was searched.
        sha256: Of the file's bytes.
        info: What the file says of itself.
        read: Reads the rows.
        metric: The metric that the task is scored by, where the source says so (predictions of other MTEB tasks).
    """

    file: str
    sha256: str
    info: TableInfo
    read: Callable[[], pa.Table] = field(repr=False, compare=False)
    metric: str | None = None

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.info.task

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.info.model

    @property
    def revision(self) -> str:
        """Revision of the model."""
        return self.info.model_revision

    @property
    def data_revision(self) -> str:
        """Commit or content hash of the data."""
        return self.info.dataset_revision


@dataclass(frozen=True)
class ResultSource:
    """One split of an MTEB result file.

    Attributes:
        file: Where it was found, relative to the folder that was searched.
        sha256: Of the file's bytes.
        task: Name of the task; the split follows in brackets where it is not ``test``.
        model: Name of the model.
        revision: Revision of the model.
        data_revision: Revision of the data.
        scores: Subset -> name of a score -> its value.
    """

    file: str
    sha256: str
    task: str
    model: str
    revision: str
    data_revision: str
    scores: Mapping[str, Mapping[str, Any]]

    @property
    def by_setting(self) -> bool:
        """Whether every subset is a question language and a pool, such as ``en-de`` or ``en-multi``."""
        return all(map(_PAIR.fullmatch, self.scores))

    def value(self, subset: str, metric: str) -> float:
        """Return one score.

        Raises:
            DataError: It is missing or not a number.
        """
        value = self.scores[subset].get(metric)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise DataError(f"{self.file}: {metric} of the subset {subset} is {value}, not a number; evaluate it again")
        return float(value)


def find_rank_tables(folder: Path) -> list[RankSource]:
    """Find the rank tables below a folder.

    Args:
        folder: For instance ``ranks``; a Parquet file is taken for itself.

    Raises:
        RankTableError: A file cannot be read, or two hold the same model, revision and task.
        BeirHybridError: There is no such folder.
    """
    sources: dict[tuple[str, str, str], RankSource] = {}
    for path in files_below(folder, "*.parquet"):
        _, info = rank_table.read(path)
        source = RankSource(relative_to(folder, path), sha256_of(path), info, partial(_rows, path))
        first = sources.setdefault((info.model, info.model_revision, info.task), source)
        if first is not source:
            raise RankTableError(
                f"{first.file} and {source.file} both hold {info.task} of {info.model}, revision "
                f"{info.model_revision}; remove one"
            )
    return list(sources.values())


def _rows(path: Path) -> pa.Table:
    return rank_table.read(path)[0]


def find_results(folder: Path) -> list[ResultSource]:
    """Find MTEB's results below a folder: ``<model>/<revision>/<task>.json``, with ``model_meta.json`` beside them.

    Args:
        folder: For instance ``results``, or a clone of MTEB's results repository.

    Raises:
        DataError: A file is truncated or malformed.
        BeirHybridError: There is no such folder.
    """
    results: list[ResultSource] = []
    for path in files_below(folder, "*.json"):
        if path.name != MODEL_META and not path.name.endswith("_predictions.json"):
            results.extend(_results(path, folder))
    return results


def _results(path: Path, folder: Path) -> Iterator[ResultSource]:
    content = read_json(path)
    if not isinstance(content, dict) or "task_name" not in content or "scores" not in content:
        return
    model, revision = identity_of(path)
    file, digest = relative_to(folder, path), sha256_of(path)
    try:
        for split, entries in content["scores"].items():
            scores = {entry["hf_subset"]: entry for entry in entries}
            task = content["task_name"] + ("" if split == "test" else f" ({split})")
            if scores:
                data_revision = str(content.get("dataset_revision"))
                yield ResultSource(file, digest, task, model, revision, data_revision, scores)
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not an MTEB result ({type(error).__name__}: {error})") from error


def identity_of(path: Path) -> tuple[str, str]:
    """Name the model of a result file and its revision: by its metadata, else by its folders, as MTEB does."""
    folder = path.resolve().parent
    experiment = f"+{folder.name}" if folder.parent.name == _EXPERIMENTS else ""
    revision_folder = folder.parent.parent if experiment else folder
    name, revision = revision_folder.parent.name.replace("__", "/"), revision_folder.name
    meta = read_json(folder / MODEL_META) if (folder / MODEL_META).exists() else {}
    if isinstance(meta, dict):
        name, revision = meta.get("name") or name, meta.get("revision") or revision
    return str(name), f"{revision}{experiment}"


def check_same_data(sources: Iterable[RankSource | ResultSource]) -> None:
    """Make sure that all sources of a task were made from the same data.

    Raises:
        RankTableError: Two revisions of the data were found.
    """
    first: dict[str, RankSource | ResultSource] = {}
    for source in sources:
        other = first.setdefault(source.task, source)
        if other.data_revision != source.data_revision:
            raise RankTableError(
                f"{source.file} was made from revision {source.data_revision} of {source.task}'s data, {other.file} "
                f"from {other.data_revision}; evaluate both on the same data, or leave one out"
            )


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: It cannot be read or is not whole.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is not a whole JSON file ({error})") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_below(folder: Path, pattern: str) -> Sequence[Path]:
    """Find files below a folder, in the order of their names on every file system; a file is taken for itself.

    Raises:
        BeirHybridError: There is no such folder.
    """
    if not folder.exists():
        raise BeirHybridError(f"there is no folder {folder}")
    return sorted(folder.rglob(pattern), key=Path.as_posix) if folder.is_dir() else [folder]


def relative_to(folder: Path, path: Path) -> str:
    """Name a file by its place below the folder that was searched, which is the same on every machine."""
    return path.relative_to(folder).as_posix() if path != folder else path.name
