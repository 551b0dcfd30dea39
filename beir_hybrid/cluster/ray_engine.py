"""Ranks counted by the workers of a Ray cluster: the driver deals out chunks, merges what comes back, and keeps it.

The driver loads no model and sends no passage. It survives the loss of workers, whose chunks since they last handed
their counts over go to others, and may itself be killed and started again.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from beir_hybrid.cluster.chunk_queue import ChunkQueue
from beir_hybrid.cluster.ray_cluster import connected, plan_workers
from beir_hybrid.cluster.ray_crew import Answer, RayCrew
from beir_hybrid.cluster.ray_worker import Job, read_files, write_files
from beir_hybrid.errors import ModelError
from beir_hybrid.scoring.interruptions import Interruptions
from beir_hybrid.scoring.partial_counts import PartialCounts
from beir_hybrid.scoring.pass_folder import PLAN, PassFolder

if TYPE_CHECKING:
    from mteb.models import ModelMeta

    from beir_hybrid.mteb.evaluation import Evaluation
    from beir_hybrid.mteb.passes import CountedRun
    from beir_hybrid.scoring.chunked import ChunkedRun

logger = logging.getLogger("mteb.beir_hybrid")

HAND_OVER_SECONDS = 180.0
"""Time after which a worker hands its counts over, if the counts are not written more often than that."""


class RayModel:
    """Stands for a model that the workers of a Ray cluster hold: MTEB evaluates it, and they count its ranks.

    Args:
        crew: The workers, which have been told which model it is.
        source: What names the corpus on any machine, as ``cluster.rebuilt.task_of`` takes it, where that is no task
            that is registered with MTEB.
    """

    def __init__(self, crew: RayCrew, source: Mapping[str, Any] | None = None) -> None:
        self._crew, self._source = crew, source
        self._folder: PassFolder | None = None
        self.mteb_model_meta: ModelMeta = crew.ask("load")

    def counted(self, evaluation: Evaluation) -> CountedRun:
        """Return the ranks of an evaluation, which the workers have counted.

        What is kept of it meanwhile is removed by ``finish``, or when the next one is counted.

        Raises:
            BeirHybridError: See ``Worker`` and ``RayCrew``; or nothing can be written.
        """
        self.finish()
        job = Job(
            source=self._source or evaluation.made_of,
            split=evaluation.call.split,
            encode_kwargs={**evaluation.call.encode_kwargs, "show_progress_bar": False},
            chunk_size=evaluation.chunk_size,
            keep_top=evaluation.keep_top,
        )
        fingerprint = self._crew.ask("fingerprint", job)

        def is_current(folder: PassFolder) -> bool:
            return fingerprint is not None or self._crew.ask("is_current", job, folder.key, read_files(folder))

        self._folder = PassFolder.reserve(evaluation.run_key(fingerprint), is_current)
        run = evaluation.chunked_in(self._folder, evaluation.plan)
        return evaluation.counted_run(Counting(self._crew, run, job).count(), fingerprint)

    def finish(self) -> None:
        """Forget the counts of the last evaluation, whose rank table is written."""
        if self._folder is not None:
            self._folder.remove()
            self.release()

    def release(self) -> None:
        """Let others go on from the counts of the last evaluation."""
        if self._folder is not None:
            self._folder.release()
            self._folder = None

    def encode(self, *args: Any, task_metadata: Any = None, **kwargs: Any) -> Any:
        """Refuse, since the model is elsewhere.

        Raises:
            ModelError: Always.
        """
        name = getattr(task_metadata, "name", "this")
        raise ModelError(f"--engine ray counts the ranks of BEIR-Hybrid's tasks; evaluate {name} without it")

    similarity = similarity_pairwise = encode


class Counting:
    """The counting of one evaluation by the workers.

    Args:
        crew: The workers.
        run: The pass, whose folder keeps its plan and the merged counts.
        job: What workers are told of it.
    """

    def __init__(self, crew: RayCrew, run: ChunkedRun, job: Job) -> None:
        self._crew, self._run, self._job = crew, run, job
        self._idle: set[int] = set()
        self._handed_over: dict[int, float] = {}
        self._saved = time.monotonic()

    def count(self) -> PartialCounts:
        """Have all chunks counted, going on where a killed driver was."""
        run, key = self._run, self._run.folder.key
        if run.folder.load(PLAN) is None:
            write_files(run.folder, self._crew.ask("prepare", self._job, key, read_files(run.folder)))
        self._counts = run.restored() or run.empty()
        done = set(self._counts.chunks)
        self._started, self._before = time.monotonic(), run.plan.n_passages(done)
        if done:
            logger.info(f"{run.name} goes on after {len(done)} of {len(run.plan.chunks)} chunks: {run.folder.folder}")
        self._queue = ChunkQueue(name for name in run.plan.chunks if name not in done)
        self._begin = self._job, key, self._crew.share(read_files(run.folder))
        phase = run.phase("Encoding and counting passages")
        with phase, Interruptions() as interruptions, self._bar() as self._progress:
            try:
                for worker in self._crew.ready:
                    self._crew.call(worker, "begin", *self._begin, job=self)
                while not self._queue.is_done:
                    self._react(self._crew.next())
            finally:
                with interruptions.held_back():
                    self._save()
        return self._counts

    def _react(self, answer: Answer) -> None:
        """Do what an answer asks for, and give the worker what it is to do next."""
        worker = answer.worker
        if answer.is_lost:
            lost = self._queue.lose(worker)
            self._progress(-self._run.plan.n_passages(lost[:-1] if answer.method == "count" else lost))
            if lost:
                logger.info(f"{self._run.name}: chunks of worker {worker} that are counted again: {len(lost)}")
            while self._idle and not self._queue.is_empty:
                self._give_work(self._idle.pop())
        elif answer.method == "load":
            self._crew.call(worker, "begin", *self._begin, job=self)
        elif answer.job is self:
            if answer.method == "begin":
                self._handed_over[worker] = time.monotonic()
            elif answer.method == "count":
                self._progress(len(self._run.plan.chunks[self._queue.held(worker)[-1]]))
            elif answer.method == "hand_over":
                self._merge(worker, *answer.value)
            self._give_work(worker)

    def _give_work(self, worker: int) -> None:
        """Let a worker hand over its counts, if it is time or there is nothing else to do, or count another chunk."""
        period = min(HAND_OVER_SECONDS, self._run.checkpoint_seconds)
        is_time = time.monotonic() - self._handed_over[worker] >= period
        if self._queue.held(worker) and (is_time or self._queue.is_empty):
            self._crew.call(worker, "hand_over", job=self)
        elif chunk := self._queue.take(worker):
            self._crew.call(worker, "count", chunk, job=self)
        else:
            self._idle.add(worker)

    def _merge(self, worker: int, arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Add the counts that a worker has handed over, and write all of them now and then."""
        run = self._run
        writable = {name: np.array(array) for name, array in arrays.items()}  # those in Ray's object store are not
        self._counts = self._counts.merge(
            PartialCounts.from_arrays(run.plan, writable, facts, run.confidence, run.keep_top)
        )
        self._counts.compact(run.plan)
        self._queue.hand_over(worker)
        self._handed_over[worker] = time.monotonic()
        if time.monotonic() - self._saved >= run.checkpoint_seconds:
            self._save()

    def _save(self) -> None:
        run, now = self._run, time.monotonic()
        run.save(self._counts)
        self._saved = now
        counted, all_passages = (run.plan.n_passages(chunks) for chunks in (self._counts.chunks, run.plan.chunks))
        rate = (counted - self._before) / max(now - self._started, 1e-9)
        left = (all_passages - counted) / rate if rate else math.nan
        logger.info(
            f"{run.name}: {counted:,} of {all_passages:,} passages are safe, {rate:,.0f} a second, "
            f"{len(self._crew.ready)} workers, {left / 60:,.0f} minutes left"
        )

    @contextmanager
    def _bar(self) -> Iterator[Callable[[int], object]]:
        """Show how many passages have been counted, how many a second, and the time that remains."""
        plan = self._run.plan
        with tqdm(
            desc=f"{self._run.name}: passages",
            total=plan.n_passages(plan.chunks),
            initial=self._before,
            unit=" passages",
            disable=None if self._run.progress else True,
        ) as bar:

            def progress(passages: int) -> None:
                bar.set_postfix(workers=len(self._crew.ready), refresh=False)
                bar.update(passages)

            yield progress


@contextmanager
def ray_models(
    address: str | None = None, workers: int | None = None, gpus_per_worker: float | None = None
) -> Iterator[Callable[..., RayModel]]:
    """Give what loads models on the workers of a Ray cluster, which end with the block.

    Args:
        address: As for ``connected``.
        workers: As for ``plan_workers``.
        gpus_per_worker: As for ``plan_workers``.
    """
    with connected(address) as ray:
        size = plan_workers(ray.nodes(), workers, gpus_per_worker)
        crews, models = [], []

        def load(name: str, revision: str | None = None, source: Mapping[str, Any] | None = None) -> RayModel:
            crews.append(RayCrew(ray, size, name, revision))
            models.append(RayModel(crews[-1], source))
            return models[-1]

        try:
            yield load
            for model in models:
                model.finish()
        finally:
            for model in models:
                model.release()
            for crew in crews:
                crew.end()
