"""What tables are made from: rank tables and MTEB's result files, found below folders.

This is the one reader of MTEB's results, for `scores`, `bias` and `leaderboard`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict

from beir_hybrid.errors import BeirHybridError, DataError, RankTableError
from beir_hybrid.files import check_regular, read_json, sha256_of, shown
from beir_hybrid.schemas import Name, Open, TaskName, checked
from beir_hybrid.subsets import is_subset

if TYPE_CHECKING:
    import pyarrow as pa

    from beir_hybrid.ranks.schema import TableInfo

BIAS_SUFFIX = "LanguageBias"
"""What follows the name of a retrieval task in that of its bias task."""

MAIN_SCORE = "main_score"
"""MTEB's key of a task's main score."""

MODEL_META = "model_meta.json"
"""MTEB's file of what is known of a model, beside its results."""

PREDICTIONS_SUFFIX = "_predictions.json"
"""What follows the name of a task in that of its file of predictions."""

LARGEST_SCORE = 1e12
"""No figure is larger: a rank distance is below the number of passages."""

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
        modified: When the file was last written, in seconds.
    """

    file: str
    sha256: str
    info: TableInfo
    read: Callable[[], pa.Table] = field(repr=False, compare=False)
    metric: str | None = None
    modified: float = 0.0

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
        revision: Revision of the model, and of an experiment its name behind a slash.
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


def find_rank_tables(folder: Path, left_out: list[str] | None = None) -> list[RankSource]:
    """Find the rank tables below a folder; other Parquet files are passed over.

    Args:
        folder: For instance ``ranks``; a Parquet file is taken for itself.
        left_out: If given, a table that cannot be read, or of other data than a newer one of its task, is left out,
            and a line that says so is added here.

    Raises:
        RankTableError: A file cannot be read.
        BeirHybridError: There is no such folder.
    """
    from beir_hybrid.ranks.rank_table import rank_tables_below

    check_exists(folder)
    sources = []
    for path in rank_tables_below(folder):
        try:
            sources.append(_rank_source(path, folder))
        except RankTableError as error:
            if left_out is None:
                raise
            left_out.append(f"Left out: {error}.")
    return sources if left_out is None else _of_newest_data(sources, left_out)


def _rank_source(path: Path, folder: Path) -> RankSource:
    from beir_hybrid.ranks import rank_table

    _, info = rank_table.read(path)
    file, digest, modified = relative_to(folder, path), sha256_of(path), path.stat().st_mtime
    return RankSource(file, digest, info, partial(_rows, path), modified=modified)


def _rows(path: Path) -> pa.Table:
    from beir_hybrid.ranks import rank_table

    return rank_table.read(path)[0]


def _of_newest_data(sources: Sequence[RankSource], left_out: list[str]) -> list[RankSource]:
    """Keep the tables made from the data that the newest table of their task was made from."""
    newest: dict[str, RankSource] = {}
    for source in sorted(sources, key=lambda one: one.modified):
        newest[source.task] = source
    kept = []
    for source in sources:
        other = newest[source.task]
        if source.data_revision == other.data_revision:
            kept.append(source)
        else:
            left_out.append(
                f"Left out: {source.file} was made from revision {source.data_revision[:12]} of {source.task}'s data, "
                f"the newer {other.file} from {other.data_revision[:12]}; evaluate the model again."
            )
    return kept


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
    experiment = f"/{folder.name}" if folder.parent.name == _EXPERIMENTS else ""
    revision_folder = folder.parent.parent if experiment else folder
    told = checked(_Identity, {} if facts is None else facts, f"{shown(folder)}, what is known of the model")
    name = told.name or revision_folder.parent.name.replace("__", "/") or "unknown"
    revision = told.revision or revision_folder.name or "unknown"
    identity = checked(_Identity, {"name": name, "revision": f"{revision}{experiment}"}, f"{shown(path)}, its folders")
    return str(identity.name), str(identity.revision)


def short_revision(revision: str) -> str:
    """Return a revision as it is shown: 12 letters, behind a slash the experiment, and what tells states apart."""
    from beir_hybrid.ranks.schema import STATE

    label, state, digest = revision.partition(STATE)
    base, slash, experiment = label.partition("/")
    return f"{base[:12]}{slash}{experiment}{state}{digest}"


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


def exists(path: Path) -> bool:
    """Say whether there is a file or folder; no for names that none can have, and where nobody may look."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def check_exists(folder: Path) -> None:
    """Make sure that there is a file or folder.

    Raises:
        BeirHybridError: There is not.
    """
    if not exists(folder):
        raise BeirHybridError(f"there is no file or folder {shown(folder)}")


def files_below(folder: Path, pattern: str) -> Sequence[Path]:
    """Find files below a folder, in the order of their names on every file system; a file is taken for itself.

    Raises:
        BeirHybridError: There is no such folder, or it is a device or a pipe.
    """
    check_exists(folder)
    if folder.is_dir():
        return sorted((path for path in folder.rglob(pattern) if path.is_file()), key=Path.as_posix)
    check_regular(folder, DataError, largest=None)
    return [folder]


def relative_to(folder: Path, path: Path) -> str:
    """Name a file by its place below the folder that was searched, which is the same on every machine."""
    return shown(path.relative_to(folder).as_posix() if path != folder else path.name)
