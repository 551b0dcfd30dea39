"""The workers of a run as actors of Ray: started, asked, and replaced when one is lost."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple
from uuid import uuid4

from beir_hybrid.cluster.ray_cluster import Workers, settings_of_run
from beir_hybrid.cluster.ray_worker import Worker, folder_of_model
from beir_hybrid.errors import BeirHybridError, first_line

logger = logging.getLogger("mteb.beir_hybrid")

MOST_LOST = 20
"""Workers that may be lost in a row, without a chunk counted in between, beside one for each that there should be."""

_PATIENCE = 60
"""Seconds without any worker after which that is said."""


class Answer(NamedTuple):
    """What a worker has answered.

    Attributes:
        worker: Its number.
        method: The method of ``Worker`` that was called.
        job: What the call belonged to.
        value: What it returned.
        is_lost: Whether the worker was lost instead.
    """

    worker: int
    method: str
    job: Any = None
    value: Any = None
    is_lost: bool = False


class RayCrew:
    """The workers of a run. Each is a named actor; one that is lost is replaced by a new one with another number.

    Args:
        ray: Ray.
        workers: How many, and how large.
        model: Name or folder of the model, as `mteb run -m` takes it.
        revision: Its revision; None for the latest.

    Attributes:
        ready: Numbers of the workers that have loaded the model.
    """

    def __init__(self, ray: Any, workers: Workers, model: str, revision: str | None) -> None:
        self._ray = ray
        self._workers = workers
        self._model = folder_of_model(model), revision
        self._run = uuid4().hex[:6]
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, Answer] = {}
        self._hired = self._lost = 0
        self.ready: set[int] = set()
        for _ in range(workers.number):
            self._hire()

    def call(self, worker: int, method: str, *arguments: Any, job: Any = None) -> None:
        """Call a method of a worker; ``next`` has the answer."""
        reference = getattr(self._actors[worker], method).remote(*arguments)
        self._calls[reference] = Answer(worker, method, job)

    def next(self) -> Answer:
        """Wait for the next answer of any worker, or for the loss of one, which is replaced at once.

        Raises:
            BeirHybridError: A worker raised it, or too many were lost.
        """
        reference = self._wait()
        call = self._calls.pop(reference)
        errors = self._ray.exceptions
        try:
            value = self._ray.get(reference)
        except errors.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, BeirHybridError | OSError):
                raise cause from None
            if isinstance(error, errors.RayTaskError) and not isinstance(cause, errors.RayError):
                raise
            self._replace(call.worker, error)
            return call._replace(is_lost=True)
        if call.method == "load":
            self.ready.add(call.worker)
        elif call.method == "count":
            self._lost = 0
        return call._replace(value=value)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Have some worker answer, or another one if it is lost; other answers meanwhile are passed over."""
        asked = None
        while True:
            if asked is None and self.ready:
                asked = min(self.ready)
                self.call(asked, method, *arguments)
            answer = self.next()
            if answer.worker == asked and answer.is_lost:
                asked = None
            elif answer.worker == asked and answer.method == method:
                return answer.value

    def share(self, value: Any) -> Any:
        """Put something into Ray's object store, from which each node copies it once."""
        return self._ray.put(value)

    def end(self) -> None:
        """End all workers."""
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors, self._calls, self.ready = {}, {}, set()

    def _hire(self) -> None:
        self._hired += 1
        options = {
            "name": f"beir-hybrid {self._run} worker {self._hired}",
            "num_cpus": self._workers.cpus,
            "num_gpus": self._workers.gpus,
            "runtime_env": {"env_vars": settings_of_run()},
        }
        self._actors[self._hired] = self._ray.remote(Worker).options(**options).remote(*self._model)
        self.call(self._hired, "load")

    def _wait(self) -> Any:
        while True:
            answered, _ = self._ray.wait([*self._calls], timeout=_PATIENCE)
            if answered:
                return answered[0]
            if not self.ready:
                logger.warning("No worker runs: the Ray cluster has no room for one, or the model takes long to load.")

    def _replace(self, worker: int, error: Exception) -> None:
        """End what is left of a lost worker, and start another, elsewhere if its node is gone.

        Raises:
            BeirHybridError: Too many were lost.
        """
        self._ray.kill(self._actors.pop(worker))
        self._calls = {reference: call for reference, call in self._calls.items() if call.worker != worker}
        self.ready.discard(worker)
        self._lost += 1
        if self._lost > MOST_LOST + self._workers.number:
            raise BeirHybridError(
                f"{self._lost} workers in a row were lost before they had counted a chunk ({first_line(error)}): look "
                "into Ray's logs on the nodes; a smaller batch size needs less memory"
            )
        logger.warning(f"Worker {worker} was lost and is replaced: {first_line(error)}")
        self._hire()
