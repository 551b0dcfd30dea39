"""Ray, as far as the engine uses it, in this process: actors whose calls are answered in any order, or are lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    """What Ray says of a worker that is gone."""


class RayTaskError(RayError):
    """What Ray makes of an error that a worker has raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Call:
    """The reference to the answer of a call."""

    def __init__(self, actor: _Actor, method: str, arguments: Sequence[Any]) -> None:
        self.actor, self.method, self.arguments = actor, method, arguments
        self.answer: Any = None
        self.error: Exception | None = None


class _Actor:
    def __init__(self, ray: FakeRay, worker: Any, options: dict[str, Any]) -> None:
        self.ray, self.worker, self.options, self.dead = ray, worker, options, False

    def __getattr__(self, method: str) -> Any:
        return SimpleNamespace(remote=lambda *arguments: _Call(self, method, arguments))


class _Kind:
    def __init__(self, ray: FakeRay, kind: type, options: dict[str, Any] | None = None) -> None:
        self._ray, self._kind, self._options = ray, kind, options or {}

    def options(self, **options: Any) -> _Kind:
        return _Kind(self._ray, self._kind, options)

    def remote(self, *arguments: Any) -> _Actor:
        actor = _Actor(self._ray, self._kind(*arguments), self._options)
        self._ray.actors.append(actor)
        return actor


class FakeRay:
    """Ray.

    Args:
        is_lost: Method of an actor -> whether it is lost while it answers this call.
        seed: Of the order in which calls are answered.

    Attributes:
        actors: All actors there ever were.
        calls: The methods that were answered, in their order.
    """

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, is_lost: Callable[[str], bool] = lambda method: False, seed: int = 0) -> None:
        self._is_lost, self._random = is_lost, random.Random(seed)
        self.actors: list[_Actor] = []
        self.calls: list[str] = []
        self.remote = partial(_Kind, self)

    def put(self, value: Any) -> Any:
        """Share a value."""
        return value

    def kill(self, actor: _Actor) -> None:
        """End an actor."""
        actor.dead = True

    def wait(self, calls: list[_Call], timeout: float) -> tuple[list[_Call], list[_Call]]:
        """Let the first call of any actor be answered."""
        first = {id(call.actor): call for call in reversed(calls)}
        call = self._random.choice([*first.values()])
        if call.actor.dead or self._is_lost(call.method):
            call.actor.dead = True
            call.error = RayError("The actor died.\nIt had a worker.")
        else:
            self.calls.append(call.method)
            try:
                call.answer = getattr(call.actor.worker, call.method)(*call.arguments)
            except Exception as error:
                call.error = RayTaskError(error)
        return [call], [other for other in calls if other is not call]

    def get(self, call: _Call) -> Any:
        """Return the answer of a call."""
        if call.error is not None:
            raise call.error
        return call.answer
