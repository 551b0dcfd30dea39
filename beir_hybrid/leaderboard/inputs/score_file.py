"""Scores by question of many models in one Parquet file: what tests need of the training seeds of a study.

It is a small part of the rank tables that they were computed from. Beside the ids of strata and questions each model in
each revision is a column of whole numbers: scores rounded to the decimals that their figure is shown with, so that the
figure itself, a mean over a thousand questions, is known to two more. A model is kept as the difference to the one
before, since the seeds of a system differ little. Rows without a question hold the means of single subsets, with three
more decimals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from beir_hybrid.errors import RankTableError, first_line
from beir_hybrid.files import atomic_path, check_exists, relative_to, sha256_of, shown
from beir_hybrid.leaderboard.board.strata import in_strata
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.metrics import MAP, find_metric
from beir_hybrid.mteb.results import Source
from beir_hybrid.schemas import Name, Open, TaskName, checked

SUFFIX = ".scores.parquet"
"""What the name of such a file ends with."""

_METADATA = b"beir_hybrid_scores"
_VERSION = 2
_MORE_OF_MEANS = 3
"""Decimals that the mean of a subset is kept with beyond those that its figure is shown with."""

_IDS = ["task", "column", "subset", "question_id", "cluster_id"]


class RunScores(NamedTuple):
    """The scores of one model in one revision on one task.

    Attributes:
        model: Name of the model.
        revision: Its revision.
        task: Name of the task.
        data_revision: Revision of the data.
        columns: Key of a column -> its scores.
    """

    model: str
    revision: str
    task: str
    data_revision: str
    columns: Mapping[str, ColumnScores]

    @property
    def run(self) -> str:
        """Name and revision."""
        return f"{self.model}@{self.revision}"


class _Evaluation(Open):
    """A run and a task that a file holds the scores of."""

    model: Name
    revision: Name
    task: TaskName
    data_revision: Name


class _Facts(Open):
    """What a file says of itself."""

    version: int
    evaluations: list[_Evaluation]


def write_scores(path: Path, runs: Iterable[RunScores]) -> None:
    """Write the scores of some runs into one file, rounded as figures are shown.

    Args:
        path: The file.
        runs: No model, revision and task twice; all of one task were evaluated on the same questions.

    Raises:
        RankTableError: Two runs were not.
        BeirHybridError: The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    of_task: dict[str, list[pd.Series]] = {}
    evaluations = []
    for run in runs:
        of_task.setdefault(run.task, []).append(_rows(run))
        evaluations.append({name: getattr(run, name) for name in _Evaluation.model_fields})
    whole = pd.concat([_side_by_side(of_task[task]) for task in sorted(of_task)])
    rows = _differences(whole[sorted(whole.columns)]).reset_index()
    table = pa.Table.from_pandas(rows, preserve_index=False)
    facts = {_METADATA: json.dumps({"version": _VERSION, "evaluations": evaluations}, sort_keys=True)}
    with atomic_path(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata(facts),
            temporary,
            compression="zstd",
            compression_level=19,
            use_dictionary=_IDS,
            data_page_size=1 << 28,
        )


def _rows(run: RunScores) -> pd.Series:
    """Return the scores of a run by what ``_IDS`` names."""
    parts = [part.assign(task=run.task, column=key) for key, scores in run.columns.items() for part in _parts(scores)]
    rows = pd.concat(parts, ignore_index=True)
    index = pd.MultiIndex.from_frame(rows[_IDS])
    return (rows["score"] * _scale(rows)).round().astype("Int64").set_axis(index).rename(run.run)


def _scale(rows: pd.DataFrame) -> pd.Series:
    """Return what the scores of rows are multiplied by before they are rounded: a power of ten."""
    metrics = {key: find_metric(str(key).split("/")[2]) for key in rows["column"].unique()}
    decimals = rows["column"].map({key: (metric or MAP).decimals for key, metric in metrics.items()})
    return 10.0 ** (decimals + _MORE_OF_MEANS * rows["question_id"].isna())


def _parts(scores: ColumnScores) -> Iterator[pd.DataFrame]:
    """Yield the scores by stratum and question, and the means of subsets."""
    yield in_strata(scores).queries.drop(columns="query_id")
    means = pd.DataFrame(sorted(scores.by_subset.items()), columns=["subset", "score"])
    yield means.assign(question_id=None, cluster_id=None)


def _side_by_side(runs: list[pd.Series]) -> pd.DataFrame:
    for run in runs[1:]:
        if not run.index.equals(runs[0].index):
            raise RankTableError(f"{runs[0].name} and {run.name} were not evaluated on the same questions")
    return pd.concat(runs, axis=1)


def _differences(scores: pd.DataFrame) -> pd.DataFrame:
    """Return each column less the one before it, where that has a number."""
    before, differences = pd.Series(0, scores.index), {}
    for name, column in scores.items():
        differences[name], before = column - before, column.fillna(0)
    return pd.DataFrame(differences)


def _sums(differences: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that differences were made of."""
    before, scores = pd.Series(0, differences.index), {}
    for name, column in differences.items():
        scores[name] = column + before
        before = scores[name].fillna(0)
    return pd.DataFrame(scores)


def read_scores(path: Path) -> list[RunScores]:
    """Read the scores of all runs in a file.

    Raises:
        RankTableError: The file is missing, truncated or not one of scores.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.ParquetFile(file).read()
        facts = json.loads((table.schema.metadata or {}).get(_METADATA, b"null"))
    except FileNotFoundError as error:
        raise RankTableError(f"there is no file of scores {shown(path)}") from error
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        raise RankTableError(f"{shown(path)} is truncated or not a Parquet file: {first_line(error)}") from error
    if not isinstance(facts, dict):
        raise RankTableError(f"{shown(path)} is not a file of scores by question")
    known = checked(_Facts, facts, shown(path), RankTableError)
    if known.version != _VERSION:
        raise RankTableError(f"{shown(path)} has format {known.version}; this version reads {_VERSION}")
    missing = [name for name in (*_IDS, *(_run(one) for one in known.evaluations)) if name not in table.column_names]
    if missing:
        raise RankTableError(f"{shown(path)} is not a whole file of scores: it lacks the column {shown(missing[0])}")
    rows = table.to_pandas()
    whole = pd.concat([rows[_IDS], _sums(rows.drop(columns=_IDS))], axis=1)
    frames = dict(iter(whole.groupby("task", sort=False)))
    empty = pd.DataFrame(columns=table.column_names)
    return [_run_scores(one, frames.get(one.task, empty)) for one in known.evaluations]


def _run(evaluation: _Evaluation) -> str:
    return f"{evaluation.model}@{evaluation.revision}"


def _run_scores(evaluation: _Evaluation, rows: pd.DataFrame) -> RunScores:
    run = RunScores(**evaluation.model_dump(), columns={})
    scores = rows[_IDS].assign(score=rows[run.run].astype(np.float64) / _scale(rows))
    columns = {str(key): _column_scores(run, str(key), part) for key, part in scores.groupby("column", sort=False)}
    return run._replace(columns=columns)


def _column_scores(run: RunScores, key: str, rows: pd.DataFrame) -> ColumnScores:
    means, queries = rows[rows["question_id"].isna()], rows[rows["question_id"].notna()]
    return ColumnScores(
        name=f"{run.model} ({run.revision}), {key}",
        data_revision=run.data_revision,
        queries=queries[["question_id", "cluster_id", "subset", "score"]].assign(query_id=queries["question_id"]),
        means=dict(zip(means["subset"], means["score"], strict=True)),
    )


@dataclass(frozen=True)
class ScoreSource(Source):
    """The scores of one model on one task in a file of many.

    Attributes:
        columns: Key of a column -> its scores.
    """

    columns: Mapping[str, ColumnScores] = field(repr=False, compare=False)


def find_scores(folder: Path) -> list[ScoreSource]:
    """Find the scores by question in the files below a folder whose names end with `SUFFIX`.

    Raises:
        RankTableError: A file cannot be read.
        BeirHybridError: There is no such folder.
    """
    check_exists(folder)
    sources = []
    for path in sorted(folder.rglob(f"*{SUFFIX}"), key=Path.as_posix):
        file, digest = relative_to(folder, path), sha256_of(path)
        for run in read_scores(path):
            sources.append(ScoreSource(file, digest, run.task, run.model, run.revision, run.data_revision, run.columns))
    return sources
