"""Which chunks of a pass wait, which a worker has counted and still keeps to itself, and which are safe."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class ChunkQueue:
    """The chunks of one pass, each in one place: it waits, a worker holds it, or its counts are safe.

    A worker holds what it counts and what it has counted since it last handed its counts over. What a lost worker held
    waits again, behind all others: a chunk that its workers do not survive costs no other chunk.

    Args:
        chunks: Names of all chunks that are still to be counted, in the order in which they are given out.
    """

    def __init__(self, chunks: Iterable[str]) -> None:
        self._waiting = deque(chunks)
        self._held: dict[int, list[str]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no chunk waits, though workers may hold some."""
        return not self._waiting

    @property
    def is_done(self) -> bool:
        """Whether the counts of all chunks are safe."""
        return not self._waiting and not any(self._held.values())

    def take(self, worker: int) -> str | None:
        """Give a worker the next chunk; None where none waits."""
        if not self._waiting:
            return None
        chunk = self._waiting.popleft()
        self._held.setdefault(worker, []).append(chunk)
        return chunk

    def held(self, worker: int) -> list[str]:
        """Return the chunks that a worker holds."""
        return self._held.get(worker, [])

    def hand_over(self, worker: int) -> list[str]:
        """Take the chunks that a worker holds as safe, and return them."""
        return self._held.pop(worker, [])

    def lose(self, worker: int) -> list[str]:
        """Let the chunks that a worker holds wait again, and return them."""
        lost = self._held.pop(worker, [])
        self._waiting.extend(lost)
        return lost
