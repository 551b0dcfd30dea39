"""What is wrong with the files of a corpus: readers stop at the first fault, checks are told all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from beir_hybrid.errors import BeirHybridError, DataError


class Faults:
    """Takes the faults of a corpus, one line each.

    Args:
        collect: Keep them; else the first one is raised as a DataError.

    Attributes:
        lines: The faults.
        nowhere: How many of them are judgments of a passage or a question that is not there.
    """

    def __init__(self, collect: bool = False) -> None:
        self.lines: list[str] = []
        self.nowhere = 0
        self._collect = collect

    def add(self, where: str, what: str, nowhere: bool = False) -> None:
        """Report a fault: the file and the line or row it stands at, and what is wrong there."""
        line = f"{where}: {what}"
        if not self._collect:
            raise DataError(line)
        self.lines.append(line)
        self.nowhere += nowhere

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Report what the block raises, which ends it."""
        try:
            yield
        except BeirHybridError as error:
            if not self._collect:
                raise
            self.lines.append(str(error))
