"""The tasks of MTEB's own that corpora are pools of: what they are, and their data as their own loaders give them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from beir_hybrid.corpora.hub.repository import Repository
from beir_hybrid.corpora.text_columns import TextColumn
from beir_hybrid.errors import DataError, one_line
from beir_hybrid.files import shown

if TYPE_CHECKING:
    from mteb.abstasks.retrieval import AbsTaskRetrieval

logger = logging.getLogger("mteb.beir_hybrid")


@dataclass(frozen=True)
class SubsetTexts:
    """The data of one subset of a task of MTEB's own.

    Attributes:
        query_ids: Ids of the questions that are judged, in its order.
        queries: Their texts.
        passage_ids: Ids of the passages.
        passages: Their texts.
        titles: Their titles; None where it has none.
        judgments: Question id -> {row of the passages: grade, from 1}.
    """

    query_ids: tuple[str, ...]
    queries: tuple[str, ...]
    passage_ids: tuple[str, ...]
    passages: Sequence[str]
    titles: Sequence[str] | None
    judgments: Mapping[str, Mapping[int, int]]


def origin_task(name: str) -> AbsTaskRetrieval:
    """Return a retrieval task of MTEB's own over texts.

    Raises:
        DataError: MTEB has no such task, or it is another kind of task, or one of ours.
    """
    import mteb
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    try:
        task = mteb.get_task(name)
    except KeyError as error:
        names = [task.metadata.name for task in mteb.get_tasks(task_types=["Retrieval"])]
        near = get_close_matches(name, names, 1, cutoff=0.5)
        meant = f"; did you mean {near[0]!r}?" if near else "; `mteb available-tasks` lists those there are"
        raise DataError(f"mteb:{shown(name)}: MTEB has no task of this name{meant}") from error
    kind, modalities = task.metadata.type, task.metadata.modalities
    if type(task).__module__.startswith("beir_hybrid"):
        raise DataError(f"mteb:{name}: is a task of BEIR-Hybrid itself; name its corpus (`beir-hybrid data list`)")
    if not isinstance(task, AbsTaskRetrieval) or kind != "Retrieval":
        raise DataError(f"mteb:{name}: is of the type {kind}; only retrieval tasks have passages to make a pool of")
    if list(modalities) != ["text"]:
        raise DataError(f"mteb:{name}: has {' and '.join(sorted(modalities))}; only tasks over texts become a pool")
    if task.skip_first_result:
        raise DataError(
            f"mteb:{name}: leaves the first result of every question out of its scores, which is not done here"
        )
    return task


def read_subsets(name: str, subsets: Iterable[str], split: str) -> dict[str, SubsetTexts]:
    """Read some subsets of a task by its own loader, from the user's own copy of its data where there is one.

    Raises:
        DataError: The data cannot be had or is not what a pool can be made of.
    """
    task = ready_to_read(name, subsets, split)
    try:
        with repository_of(task).reading():
            task.load_data()
        task.convert_v1_dataset_format_to_v2(None)
        data = {subset: task.dataset[subset][split] for subset in task.hf_subsets}
        return {subset: _texts(f"mteb:{name} {subset}", part) for subset, part in data.items()}
    except DataError:
        raise
    except Exception as error:  # of the hub's client, pyarrow, polars, the file system
        raise unreadable(task, error) from error


def ready_to_read(name: str, subsets: Iterable[str], split: str) -> AbsTaskRetrieval:
    """Return a task whose metadata name what is read: some subsets, a split, and the user's own copy if there is one.

    Raises:
        DataError: The data cannot be had.
    """
    task = origin_task(name)
    task.filter_languages(None, hf_subsets=[*subsets])
    task.filter_eval_splits([split])
    repository = repository_of(task)
    repository.check_available()
    if repository.folder is not None:
        dataset = {**task.metadata.dataset, "path": str(repository.folder)}
        task.metadata = task.metadata.model_copy(update={"dataset": dataset})
    return task


def repository_of(task: AbsTaskRetrieval) -> Repository:
    """Return where the data of a task is."""
    dataset = type(task).metadata.dataset
    return Repository(dataset["path"], dataset["revision"])


def unreadable(task: AbsTaskRetrieval, error: BaseException) -> DataError:
    """Say in one line why the data of a task cannot be read, and what to do."""
    while error.__cause__ is not None:
        error = error.__cause__
    return DataError(f"mteb:{task.metadata.name}: cannot be read ({one_line(error)}); {repository_of(task).ways_out}")


def _texts(where: str, data: Mapping[str, Any]) -> SubsetTexts:
    passages, queries = data["corpus"], data["queries"]
    if data.get("top_ranked") is not None:
        raise DataError(f"{where}: is evaluated on given candidates of each question, which are no pool")
    if "instruction" in queries.column_names:
        raise DataError(f"{where}: questions have instructions of their own, which is not supported")
    for column in ("id", "text"):
        if column not in passages.column_names or column not in queries.column_names:
            raise DataError(f"{where}: the corpus or the queries lack the column {column!r}")
    texts = dict(zip(map(str, queries["id"]), queries["text"], strict=True))
    if not all(isinstance(text, str) for text in texts.values()):
        raise DataError(f"{where}: questions are not texts but conversations, which is not supported")
    ids = tuple(map(str, passages["id"]))
    rows = dict(zip(ids, range(len(ids)), strict=True))
    graded = {
        str(query): {str(passage): int(grade) for passage, grade in grades.items() if grade > 0}
        for query, grades in data["relevant_docs"].items()
    }
    judgments = {
        query: {rows[passage]: grade for passage, grade in graded[query].items() if passage in rows}
        for query in texts
        if query in graded
    }
    n_nowhere = sum(len(graded[query]) - len(found) for query, found in judgments.items())
    if n_nowhere:
        logger.warning(f"{where}: {n_nowhere} judgments name passages that are not in the corpus, and are left out.")
    n_unanswered = sum(not found for found in judgments.values())
    if n_unanswered:
        logger.warning(
            f"{where}: {n_unanswered} questions have no right answer; they are left out here, and MTEB scores them 0."
        )
    judgments = {query: found for query, found in judgments.items() if found}
    return SubsetTexts(
        query_ids=tuple(judgments),
        queries=tuple(texts[query] for query in judgments),
        passage_ids=ids,
        passages=TextColumn(passages, "text"),
        titles=TextColumn(passages, "title") if "title" in passages.column_names else None,
        judgments=judgments,
    )
