"""What is wrong with the files of a corpus: readers stop at the first fault, checks are told all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from beir_hybrid.errors import BeirHybridError, DataError


class Faults:
    """Takes the faults of a corpus, one line each.

    Args:
        collect: Keep them in ``lines``; else the first one is raised as a DataError.
    """

    def __init__(self, collect: bool = False) -> None:
        self.lines: list[str] = []
        self._collect = collect

    def add(self, where: object, what: str) -> None:
        """Report a fault: the file and the line or row it stands at, and what is wrong there."""
        line = f"{where}: {what}"
        if not self._collect:
            raise DataError(line)
        self.lines.append(line)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Report what the block raises, which ends it."""
        try:
            yield
        except BeirHybridError as error:
            if not self._collect:
                raise
            self.lines.append(str(error))
