"""Rank tables from the predictions that ``mteb run --prediction-folder`` keeps, for any retrieval task of MTEB.

Such a task knows no parallel questions: every query is a unit of its own, and a subset stands for a language.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.corpora.formats.trec import Qrels, read_predictions
from beir_hybrid.errors import BeirHybridError, DataError, first_line
from beir_hybrid.files import exists, files_below, read_text, sha256_of, shown
from beir_hybrid.leaderboard.board.columns import board_columns
from beir_hybrid.leaderboard.inputs.evaluations import RankSource
from beir_hybrid.mteb.results import PREDICTIONS_SUFFIX
from beir_hybrid.schemas import Language, Name, Open, TaskName, checked

if TYPE_CHECKING:
    pass

DEFAULT_METRIC = "ndcg_at_10"
"""Metric of a task that mteb does not know; MTEB's main score of most retrieval tasks."""


_NO_SCORES = "is not query id -> passage id -> score; run the evaluation again"
_GRADE = re.compile(r"[+-]?[0-9]{1,5}")


class _File(Open):
    """What the name of a file of predictions says."""

    task: TaskName


class _Meta(Open):
    """The model that a file of predictions begins with."""

    model_name: Name
    revision: Name | None


class _Subset(Open):
    """The name of a subset, which stands for a language."""

    subset: Language


@dataclass(frozen=True)
class Judgments:
    """The judgments of a task, and what it says of them.

    Attributes:
        revision: Revision of the data.
        split: The split whose predictions are judged; None for the only one there is.
        by_subset: Subset -> query id -> passage id -> grade.
        of_all: The judgments of every other subset, if there are any.
        metric: The task's main score.
        ignore_identical_ids: Whether a passage whose id is the query's does not count, as the task says.
    """

    revision: str
    split: str | None
    by_subset: Mapping[str, Qrels]
    of_all: Qrels | None = None
    metric: str = DEFAULT_METRIC
    ignore_identical_ids: bool = False

    def of(self, subset: str) -> Qrels | None:
        """Return the judgments of a subset, None if there are none."""
        return self.by_subset.get(subset, self.of_all)


def find_predictions(folder: Path, qrels: Sequence[str] = ()) -> list[RankSource]:
    """Find predictions below a folder and rank the relevant passages in them.

    Those of our own tasks are left out: they have rank tables.

    Args:
        folder: A prediction folder of ``mteb run``, or one that holds several.
        qrels: ``PATH`` or ``TASK=PATH``: judgments in TREC's format, a folder of ``<subset>.qrels``, or a BEIR
            folder. A task without any is loaded through mteb.

    Raises:
        DataError: Predictions or judgments are missing or malformed.
        BeirHybridError: There is no such folder.
    """
    own = {column.task for column in board_columns()}
    found = files_below(folder, f"*{PREDICTIONS_SUFFIX}")
    paths = [path for path in found if _task_of(path) not in own]
    if found and not paths:
        raise DataError(
            f"{found[0]}: {_task_of(found[0])} keeps a rank table, which holds more than predictions; "
            "name its folder with --ranks"
        )
    tasks = list(dict.fromkeys(map(_task_of, paths)))
    for path in paths:
        checked(_File, {"task": _task_of(path)}, shown(path))
    files = _files_of_judgments(tasks, qrels)
    judgments = {task: read_judgments(files[task]) if task in files else _judgments_of_task(task) for task in tasks}
    return [_source(path, folder, judgments[_task_of(path)]) for path in paths]


def _task_of(path: Path) -> str:
    return path.name.removesuffix(PREDICTIONS_SUFFIX)


def _files_of_judgments(tasks: Sequence[str], qrels: Sequence[str]) -> dict[str, Path]:
    """Assign ``PATH`` and ``TASK=PATH`` to the tasks."""
    files = {}
    for argument in qrels:
        name, separator, path = argument.partition("=")
        if not separator:
            if len(tasks) != 1:
                raise BeirHybridError(
                    f"--qrels {argument}: there are predictions of {len(tasks)} tasks; write TASK=PATH"
                )
            name, path = tasks[0], argument
        if name not in tasks:
            raise BeirHybridError(f"--qrels {argument}: there are predictions of {', '.join(tasks)}, not of {name}")
        files[name] = Path(path)
    return files


def read_judgments(path: Path) -> Judgments:
    """Read judgments from a TREC file, a folder of ``<subset>.qrels``, or a BEIR folder.

    Raises:
        DataError: There are none, or a line is malformed.
    """
    if not exists(path):
        raise DataError(f"there is no file or folder of judgments {shown(path)}")
    if not path.is_dir():
        return Judgments(f"qrels-{sha256_of(path)[:12]}", None, {}, _read_qrels(path))
    by_split = sorted((path / "qrels").glob("*.tsv"))
    if by_split:
        test = next((file for file in by_split if file.stem == "test"), by_split[0])
        return Judgments(f"qrels-{sha256_of(test)[:12]}", test.stem, {}, _read_qrels(test))
    by_subset = sorted(path.glob("*.qrels"))
    if not by_subset:
        raise DataError(f"{shown(path)} holds no judgments: neither qrels/<split>.tsv nor <subset>.qrels")
    revision = "-".join(["qrels", *(sha256_of(file)[:12] for file in by_subset)])
    return Judgments(revision, None, {file.stem: _read_qrels(file) for file in by_subset})


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read ``query 0 passage grade`` (TREC) or ``query passage grade`` below a heading (BEIR)."""
    qrels: dict[str, dict[str, int]] = {}
    for number, line in enumerate(read_text(path, DataError).splitlines(), 1):
        words = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or (number == 1 and words[-1] == "score"):
            continue
        where = f"{shown(path)}, line {number}: {shown(repr(line[:60]))}"
        if len(words) not in (3, 4) or not _GRADE.fullmatch(words[-1]) or abs(int(words[-1])) >= 1 << 15:
            raise DataError(f"{where} is not a judgment (query 0 passage grade)")
        query_id, passage_id, grade = words[0], words[-2], int(words[-1])
        if qrels.setdefault(query_id, {}).setdefault(passage_id, grade) != grade:
            raise DataError(f"{where} judges a passage that has another grade above")
    return qrels


def _judgments_of_task(name: str) -> Judgments:
    """Load the judgments of a task through mteb."""
    import mteb
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    try:
        task = mteb.get_task(name)
    except KeyError as error:
        raise DataError(f"mteb knows no task {name}; name its judgments: --qrels {name}=PATH") from error
    if not isinstance(task, AbsTaskRetrieval):
        raise DataError(f"{name} is not a retrieval task: its predictions are no rankings")
    try:
        task.load_data()
        task.convert_v1_dataset_format_to_v2(num_proc=None)
    except Exception as error:  # whatever the network, the hub or the task's own code raises
        raise DataError(
            f"cannot load the judgments of {name} ({first_line(error)}); name them: --qrels {name}=PATH"
        ) from error
    split = task.metadata.eval_splits[0]
    by_subset = {subset: splits[split]["relevant_docs"] for subset, splits in task.dataset.items() if split in splits}
    metric, ignore = task.metadata.main_score, task.ignore_identical_ids
    return Judgments(task.metadata.revision, split, by_subset, metric=metric, ignore_identical_ids=ignore)


def _source(path: Path, folder: Path, judgments: Judgments) -> RankSource:
    from beir_hybrid.ranks.rows import build
    from beir_hybrid.ranks.schema import TableInfo

    entries = read_predictions(path)
    key, facts = next(entries, ("", None))
    if key != "mteb_model_meta" or not isinstance(facts, dict):
        raise DataError(f"{shown(path)} does not begin with its model; it is not a predictions file of MTEB")
    meta = checked(_Meta, facts, f"{shown(path)}, the model")
    chunks: list[dict[str, Any]] = []
    depth = 0
    for subset, results in _subsets(path, entries, judgments):
        qrels = judgments.of(subset)
        if qrels is None:
            raise DataError(f"{shown(path)}: there are no judgments for the subset {subset}")
        chunks.append(_rows(path, subset, results, qrels, judgments.ignore_identical_ids))
        depth = max([depth, *(len(scores) for scores in results.values() if isinstance(scores, dict))])
    table = build(_task_of(path), chunks)
    subsets = sorted(set(table["query_language"].to_pylist()))
    info = TableInfo(
        task=_task_of(path),
        dataset_revision=judgments.revision,
        model=meta.model_name,
        model_revision=str(meta.revision),
        pool_sizes=dict.fromkeys(subsets, 0),  # nobody counted them
        cut=depth,
        evaluated={subset: [subset] for subset in subsets},
    )
    return RankSource.of(path, folder, info, lambda: table, judgments.metric)


def _subsets(
    path: Path, entries: Iterator[tuple[str, Any]], judgments: Judgments
) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """Yield each subset with the results of the judged split."""
    for subset, splits in entries:
        checked(_Subset, {"subset": subset}, f"{shown(path)}")
        split = judgments.split
        if split is None:
            if len(splits) != 1:
                raise DataError(f"{shown(path)}: {subset} has predictions of {len(splits)} splits; name a BEIR folder")
            split = next(iter(splits))
        if split not in splits:
            raise DataError(f"{shown(path)}: {subset} has no predictions of the split {split!r}")
        if not isinstance(splits[split], dict):
            raise DataError(f"{shown(path)}: {subset} {_NO_SCORES}")
        yield subset, splits[split]


def _check_scores(scores: Any, where: str, query_id: str) -> None:
    if not isinstance(scores, dict) or not all(type(score) in (int, float) for score in scores.values()):
        raise DataError(f"{where} {_NO_SCORES}")
    try:
        nowhere = any(math.isnan(score) for score in scores.values())
    except OverflowError:  # a whole number of 400 digits
        nowhere = True
    if nowhere:
        raise DataError(f"{where}: a score of query {shown(query_id)} is not a number, so it has no rank")


def _rows(path: Path, subset: str, results: Any, qrels: Qrels, ignore_identical_ids: bool) -> dict[str, Any]:
    """Rank the relevant passages of the queries that were answered, as columns of the rank table."""
    from beir_hybrid.ranks.rows import prediction_rows
    from beir_hybrid.ranks.search import ranks_in_results, returned

    judged = {query_id: qrels[query_id] for query_id in results if query_id in qrels}
    if not any(grade > 0 for grades in judged.values() for grade in grades.values()):
        what = "judged as relevant" if judged else "judged; are they of another data set?"
        raise DataError(f"{shown(path)}: no query of the subset {subset} has a passage that was {what}")
    for query_id in judged:
        _check_scores(results[query_id], f"{shown(path)}: {subset}", query_id)
    if ignore_identical_ids:
        results = {
            query_id: {passage_id: score for passage_id, score in results[query_id].items() if passage_id != query_id}
            for query_id in judged
        }
    return prediction_rows(ranks_in_results(returned(results), judged), subset)
