"""Which items of a study are done, and with what result: one JSON file each, and locks that processes share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from beir_hybrid.files import as_folder, atomic_path
from beir_hybrid.folders import ProcessLock


@dataclass(frozen=True)
class Entry:
    """An item that is done.

    Attributes:
        id: The item, ``<kind>/<name>``.
        facts: All that its result follows from.
        result: What it found.
        seconds: Time it took.
        cpu_seconds: Processor time it took.
    """

    id: str
    facts: Mapping[str, Any]
    result: Mapping[str, Any]
    seconds: float
    cpu_seconds: float


class Ledger:
    """The items of a study that are done.

    An item counts as done if the same facts are recorded: one whose recipe or data changed is done again.

    Args:
        root: The folder of the study.
    """

    def __init__(self, root: Path) -> None:
        self._items = root / "items"
        self._locks = root / "locks"
        self._known: dict[str, Entry] = {}

    def find(self, name: str, facts: Mapping[str, Any]) -> Entry | None:
        """Return the entry of an item with these facts; None if it is not done."""
        entry = self._known.get(name) or _read(self._file(name))
        if entry is None or entry.facts != _plain(facts):
            return None
        self._known[name] = entry
        return entry

    def record(
        self, name: str, facts: Mapping[str, Any], result: Mapping[str, Any], seconds: float, cpu_seconds: float
    ) -> None:
        """Write down that an item is done.

        Raises:
            BeirHybridError: It cannot be written.
        """
        self._known.pop(name, None)
        entry = Entry(name, _plain(facts), _plain(result), round(seconds, 3), round(cpu_seconds, 3))
        with atomic_path(self._file(name)) as path:
            path.write_text(json.dumps(asdict(entry), indent=1) + "\n", encoding="utf-8")

    @contextmanager
    def reserve(self, name: str) -> Iterator[bool]:
        """Keep other processes off an item during the block.

        Yields:
            Whether the item is this process's; it is not while another one works on it. What a killed process worked
            on is free again.
        """
        lock = ProcessLock(self._locks / f"{as_folder(name)}.lock")
        try:
            yield lock.acquire()
        finally:
            lock.release()

    def _file(self, name: str) -> Path:
        return self._items / f"{name}.json"


def _read(path: Path) -> Entry | None:
    try:
        return Entry(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # not there, or damaged: to be done again
        return None


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain
