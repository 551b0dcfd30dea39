"""Which items of a study are done, and with what result: one JSON file each, and locks that processes share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from beir_hybrid.files import as_folder, write_json
from beir_hybrid.folders import ProcessLock


@dataclass(frozen=True)
class Entry:
    """An item that is done: ``<kind>/<name>``, all that its result follows from, the result, and the time it took."""

    id: str
    facts: Mapping[str, Any]
    result: Mapping[str, Any]
    seconds: float
    cpu_seconds: float


class Ledger:
    """The items of a study, in its folder ``root``, that are done.

    An item counts as done if the same facts are recorded: one whose recipe or data changed is done again.
    """

    def __init__(self, root: Path) -> None:
        self._items = root / "items"
        self._locks = root / "locks"

    def find(self, name: str, facts: Mapping[str, Any]) -> Entry | None:
        """Return the entry of an item with these facts; None if it is not done."""
        try:
            entry = Entry(**json.loads(self._file(name).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # not there, or damaged: to be done again
            return None
        return entry if entry.facts == _plain(facts) else None

    def record(
        self, name: str, facts: Mapping[str, Any], result: Mapping[str, Any], seconds: float, cpu_seconds: float
    ) -> None:
        """Write down that an item is done."""
        entry = Entry(name, facts, result, round(seconds, 3), round(cpu_seconds, 3))
        write_json(self._file(name), asdict(entry), indent=1)

    @contextmanager
    def reserve(self, name: str) -> Iterator[bool]:
        """Keep other processes off an item; yields whether it is this process's, and not another's that works on it."""
        lock = ProcessLock(self._locks / f"{as_folder(name)}.lock")
        try:
            yield lock.acquire()
        finally:
            lock.release()

    def _file(self, name: str) -> Path:
        return self._items / f"{name}.json"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain
