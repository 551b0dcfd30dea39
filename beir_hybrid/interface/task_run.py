"""One run of a corpus's MTEB task: a model in, its rank table and MTEB's scores out."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.corpora import CorpusSpec, ParallelCorpus
from beir_hybrid.interface.result import Result
from beir_hybrid.quiet import silenced
from beir_hybrid.ranks import rank_table, tops
from beir_hybrid.scoring.shards import Shard, ShardCounted, check_whole

if TYPE_CHECKING:
    from beir_hybrid.mteb.passes import CountedRun
    from beir_hybrid.tasks import AbsTaskParallelRetrieval

logger = logging.getLogger("mteb.beir_hybrid")


def run_task(
    model: Any,
    corpus: ParallelCorpus,
    batch_size: int,
    progress: bool,
    keep_top: int | None = None,
    observe: Callable[[CountedRun], None] | None = None,
) -> Result:
    """Evaluate a model of MTEB's on a corpus by the corpus's task, and store nothing.

    Args:
        model: The model.
        corpus: The corpus, with its spec.
        batch_size: Texts that the model is given at a time.
        progress: Show progress bars.
        keep_top: Passages of each query to keep in each pool; None for none.
        observe: Is given the pass of an encoder, with its embeddings.
    """
    check_whole("an evaluation")
    task = task_of_corpus(corpus)
    task.keep_top, task.observe = keep_top, observe
    return result_of(model, task, {"batch_size": batch_size, "show_progress_bar": progress}, progress)


def result_of(model: Any, task: AbsTaskParallelRetrieval, encode_kwargs: Mapping[str, Any], progress: bool) -> Result:
    """Evaluate a model of MTEB's by a task of ours, and store nothing.

    Args:
        model: The model.
        task: The task.
        encode_kwargs: As MTEB takes them.
        progress: Show progress bars.
    """
    import mteb

    kwargs: Any = dict(encode_kwargs)
    with tempfile.TemporaryDirectory(prefix="beir-hybrid-") as name, _without_notes_of(name):
        task.ranks_folder = Path(name)
        with silenced(*(() if progress else ("datasets",))):
            results = mteb.evaluate(
                model, task, cache=None, encode_kwargs=kwargs, show_progress_bar=progress, co2_tracker=False
            )
        [made] = rank_table.rank_tables_below(Path(name))
        table, info = rank_table.read(made)
        top_passages = tops.read(tops.tops_path(made), info)
    [task_result] = results.task_results
    return Result(
        table,
        info,
        task.metadata.main_score,
        kept_tops=top_passages,
        task_result=task_result,
        meta=model.mteb_model_meta,
    )


def count_shard(
    model: Any,
    corpus: ParallelCorpus,
    source: Mapping[str, Any],
    shard: Shard,
    folder: Path | None,
    batch_size: int,
    progress: bool,
    keep_top: int | None = None,
) -> Path:
    """Count a shard of the run of a model of MTEB's on a corpus.

    Args:
        model: The model.
        corpus: The corpus, with its spec.
        source: What names the corpus on any machine, as ``cluster.rebuilt.task_of`` takes it.
        shard: Which part.
        folder: The folder above ``runs``; BEIR_HYBRID_HOME by default.
        batch_size: Texts that the model is given at a time.
        progress: Show progress bars.
        keep_top: Passages of each query to keep in each pool; None for none.

    Returns:
        The folder of the run, with the counts of all its shards.

    Raises:
        ModelError: The model does not embed, or its vectors cannot be ranked by.
        BeirHybridError: The folder cannot be written to, or another process is at this shard.
    """
    task = task_of_corpus(corpus)
    task.keep_top, task.ranks_folder, task.shard, task.made_of = keep_top, folder, shard, source
    encode_kwargs: Any = {"batch_size": batch_size, "show_progress_bar": progress}
    with silenced(*(() if progress else ("datasets",))):
        try:
            task.evaluate(model, task.eval_splits[0], encode_kwargs=encode_kwargs)
        except ShardCounted as counted:
            return counted.folder
    raise AssertionError("a shard has no scores")


def task_of_corpus(corpus: ParallelCorpus) -> AbsTaskParallelRetrieval:
    """Return the task of a corpus, which reads the texts that are in memory already."""
    from beir_hybrid.tasks.parallel_retrieval import retrieval_task

    assert corpus.spec is not None

    def read(spec: CorpusSpec, languages: Sequence[str], progress: bool) -> ParallelCorpus:
        return corpus.restricted(languages)

    # Not tasks_of, which would keep the texts in memory for good.
    return retrieval_task(replace(corpus.spec, files=None, read=read))()


@contextmanager
def _without_notes_of(folder: str) -> Iterator[None]:
    """Leave out what is logged of a folder that will be gone."""

    def about_others(record: logging.LogRecord) -> bool:
        return folder not in record.getMessage()

    logger.addFilter(about_others)
    try:
        yield
    finally:
        logger.removeFilter(about_others)
