"""One trial: a command that is killed, what is there then, the command again, and what is there in the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tests.attacks.scenarios import SCENARIOS, Files, Scenario, bytes_below, use_folder
from tests.support.processes import Ended, run

MOST_SHOWN = 5
"""Differences from an undisturbed run, at most."""

LEFTOVERS = (".tmp", ".new", ".old", ".previous")
"""How the names of files end that are there while something is written."""


@dataclass(frozen=True)
class Undisturbed:
    """A scenario without a kill.

    Attributes:
        operations: The file operations of the command, in order.
        made: What it leaves.
    """

    operations: list[str]
    made: Files


class Place:
    """The folders of a scenario: what it finds, and a copy for each trial.

    Args:
        name: Name of the scenario.
        folder: Where the folders go.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.scenario: Scenario = SCENARIOS[name]
        self._prepared = folder / name / "prepared"
        self._whole = folder / name / "whole"

    def undisturbed(self) -> Undisturbed:
        """Make what the command finds, and run it."""
        self._prepared.mkdir(parents=True)
        _succeed(run(partial(_act, self.scenario.prepare), self._prepared), "what the command finds cannot be made")
        shutil.copytree(self._prepared, self._whole)
        log = self._whole.with_suffix(".log")
        _succeed(run(self.scenario.act, self._whole, log), "the undisturbed command fails")
        return Undisturbed(log.read_text().splitlines(), self._made(self._whole))

    def trial(self, kill_at: int, whole: Undisturbed) -> list[str]:
        """Kill the command at an operation, run it again, and return all that is wrong then."""
        folder = self._whole.with_name(f"killed-{kill_at}")
        shutil.copytree(self._prepared, folder)
        log = folder.with_suffix(".log")
        killed = run(self.scenario.act, folder, log, kill_at)
        if not killed.killed:
            return [f"it did not come to operation {kill_at}: {killed.output[-2000:]}"]
        wrong = self._lost(folder, "after the kill")
        ended = run(self.scenario.again, folder)
        if ended.status:
            return [*wrong, f"the second run ends with {ended.status}: {ended.output[-3000:]}"]
        wrong += self._lost(folder, "in the end")
        try:
            made = self._made(folder)
        except Exception as error:
            return [*wrong, f"what the second run left cannot be read: {error!r}"]
        differences = islice(_differences(made, whole.made), MOST_SHOWN)
        wrong += [f"not as in an undisturbed run: {difference}" for difference in differences]
        shared = [folder / name for name in self.scenario.shared]
        left = [path for path in folder.rglob("*") if path.name.endswith(LEFTOVERS)]
        left = [path for path in left if not any(place in path.parents for place in shared)]
        wrong += [f"left over: {path.relative_to(folder)}" for path in left]
        if not wrong:
            shutil.rmtree(folder)
        return wrong

    def _made(self, folder: Path) -> Files:
        before = os.getcwd()
        try:
            os.chdir(folder)
            return self.scenario.made()
        finally:
            os.chdir(before)

    def _lost(self, folder: Path, when: str) -> list[str]:
        """Return what was there before, or is to be there afterwards, and is not there whole."""
        wrong = []
        for name in self.scenario.kept:
            if bytes_below(folder / name) != bytes_below(self._prepared / name):
                wrong.append(f"{name} was touched ({when})")
        for name in self.scenario.whole:
            states = [bytes_below(place / name) for place in (self._prepared, self._whole)]
            if bytes_below(folder / name) not in states:
                wrong.append(f"{name} is neither the old nor the new one ({when})")
        return wrong


def _differences(found: Any, expected: Any, where: str = "") -> Iterator[str]:
    """Yield where two values differ, and how."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in dict.fromkeys([*expected, *found]):
            yield from _differences(found.get(name), expected.get(name), f"{where} {name}")
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for number, pair in enumerate(zip(found, expected, strict=True)):
            yield from _differences(*pair, f"{where} {number}")
    elif found != expected:
        yield f"{where.strip()}: {str(found)[:100]}, not {str(expected)[:100]}"


def _act(act: object) -> None:
    use_folder()
    act()  # type: ignore[operator]


def _succeed(ended: Ended, what: str) -> None:
    if ended.status:
        raise RuntimeError(f"{what} ({ended.status}): {ended.output[-4000:]}")
