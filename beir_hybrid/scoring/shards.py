"""Which part of a run a process is to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a run.

    Attributes:
        number: Which of them, from 1.
        count: How many there are.
    """

    number: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def part(self) -> str:
        """Name of the file that its partial counts go to, without suffix: ``counts-2-of-4``."""
        return f"counts-{self.number}-of-{self.count}"


WHOLE = Shard()
"""A run in one part."""
