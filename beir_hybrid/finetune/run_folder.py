"""The output folder of a training run: checkpoints while it trains, the model once it is complete.

While a run trains, the folder holds ``checkpoints/`` and ``training_run.json``, which says what the run is. The model
is written beside the folder and takes its place when it is complete, so that the folder never holds half a model. A run
begins in the same way: there is no moment in which it cannot be begun again or gone on with.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from beir_hybrid.errors import first_line
from beir_hybrid.files import check_writable, is_about, shown, user_path
from beir_hybrid.finetune.recipe import TrainingError
from beir_hybrid.folders import locked, put_in_place, recover_folder, temporary_folder

CHECKPOINTS = "checkpoints"
RUN_FILE = "training_run.json"
COMPLETE = "complete"
"""Empty file in a checkpoint: all of it was written."""
_LOGS = ("runs", "eval")
"""What trackers and evaluators write among the checkpoints, kept with the model."""


class RunFolder:
    """An output folder.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(user_path(root)))  # a link is followed, and not replaced

    @contextmanager
    def reserved(self, mine: bool = True) -> Iterator[None]:
        """Keep other runs off the folder during the block.

        Args:
            mine: Whether this process is the one of a distributed run that writes; the others only look.

        Raises:
            BeirHybridError: Another run is at work there, or nothing can be written.
        """
        if not mine:
            recover_folder(self.root)
            yield
            return
        check_writable(self.root, hint="choose another --output")
        with locked(self.root, wait=False):
            yield

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints, ``checkpoint-<step>`` each."""
        return self.root / CHECKPOINTS

    @property
    def begun(self) -> bool:
        """Whether a run was started here that is not complete."""
        return (self.root / RUN_FILE).is_file()

    @property
    def done(self) -> bool:
        """Whether the folder holds a complete model."""
        return (self.root / "modules.json").is_file()

    def check_unused(self) -> None:
        """Refuse a folder that holds any file but those of a run without a whole checkpoint.

        Raises:
            TrainingError: It does, or it is a file.
        """
        if self.root.exists() and not self.root.is_dir():
            raise TrainingError(f"--output {shown(self.root)} is a file")
        if self.begun and self.last_checkpoint() is None and not self._foreign():
            return
        if any(not path.is_dir() for path in self.root.rglob("*")):
            hint = "go on with --resume, or " if self.begun else ""
            raise TrainingError(f"--output {shown(self.root)} is not empty: {hint}choose another folder")

    def start(self, facts: Mapping[str, Any]) -> None:
        """Begin a run in the place of whatever the folder holds.

        Args:
            facts: What the run is, for `check_same`.

        Raises:
            OSError: The folder cannot be written to; what it held is there.
        """
        with temporary_folder(self.root) as new:
            (new / CHECKPOINTS).mkdir()
            (new / RUN_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            put_in_place(new, self.root)

    def resumable(self, facts: Mapping[str, Any]) -> bool:
        """Whether a run of the same base, data and settings was started here and has a whole checkpoint."""
        return self.begun and self.last_checkpoint() is not None and not self._differences(facts)

    def check_resumable(self) -> Path:
        """Return the newest whole checkpoint.

        Raises:
            TrainingError: There is none.
        """
        if not self.begun:
            why = "it is complete" if self.done else "no run was started there"
            raise TrainingError(f"nothing to resume in {shown(self.root)}: {why}")
        newest = self.last_checkpoint()
        if newest is None:
            raise TrainingError(
                f"nothing to resume in {shown(self.root)}: the run ended before its first checkpoint; "
                "start it again without --resume"
            )
        return newest

    def check_same(self, facts: Mapping[str, Any]) -> None:
        """Refuse to resume with another base, other data or other settings.

        Args:
            facts: What the run is now.

        Raises:
            TrainingError: Something differs; the first difference is named.
        """
        differences = self._differences(facts)
        if differences:
            name, old, new = differences[0]
            raise TrainingError(f"--resume: {shown(self.root)} was started with {name} {old}, not {new}")

    def _differences(self, facts: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
        """Return what differs from the run that was started here: its name, its value then and now.

        Raises:
            TrainingError: The file that says what the run is cannot be read.
        """
        path = self.root / RUN_FILE
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            return list(_differences(before, json.loads(json.dumps(facts))))
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            reason = first_line(error)
            raise TrainingError(f"{path} is damaged ({reason}); delete {self.root} and start again") from error

    def last_checkpoint(self) -> Path | None:
        """Return the newest whole checkpoint, None if there is none. A killed run may leave one that is not whole."""
        whole = [marker.parent for marker in self.checkpoints.glob(f"checkpoint-*/{COMPLETE}")]
        return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)

    def drop_incomplete(self) -> None:
        """Delete checkpoints that are not whole, so that the trainer does not count them."""
        for folder in self.checkpoints.glob("checkpoint-*"):
            if not (folder / COMPLETE).exists():
                shutil.rmtree(folder, ignore_errors=True)

    def publish(self, write: Callable[[Path], None]) -> None:
        """Put the complete model in the place of the run.

        Args:
            write: Writes all files of the model into a folder.

        Raises:
            OSError: Something could not be written; the checkpoints are where they were.
        """
        with temporary_folder(self.root) as complete:
            write(complete)
            for name in _LOGS:
                if (self.checkpoints / name).is_dir():
                    shutil.copytree(self.checkpoints / name, complete / name)
            for path in self._foreign():
                place = complete / path.name
                if path.is_dir() and not place.exists():
                    shutil.copytree(path, place, symlinks=True)
                elif not place.exists():
                    shutil.copy2(path, place, follow_symlinks=False)
            put_in_place(complete, self.root)

    def _foreign(self) -> list[Path]:
        """Return what somebody else has put into the folder of a run."""
        return [path for path in self.root.iterdir() if path.name not in (CHECKPOINTS, RUN_FILE)]

    def is_about(self, error: OSError) -> bool:
        """Whether an error of the file system is about what the run writes, or a full disk."""
        unfinished = str(self.root.with_name(f".{self.root.name}."))
        copying = isinstance(error, shutil.Error)  # of copytree, which names no file
        return copying or is_about(error, self.root) or str(error.filename).startswith(unfinished)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs: its name, its value before and now."""
    for name in dict.fromkeys([*now, *before]):
        if before.get(name) != now.get(name):
            yield name.replace("_", " "), before.get(name), now.get(name)
