"""The output folder of a training run: checkpoints while it trains, the model once it is complete.

While a run trains, the folder holds ``checkpoints/`` and ``training_run.json``, which says what the run is. The model
is written beside the folder and takes its place when it is complete, so that the folder never holds half a model.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from beir_hybrid.files import atomic_path
from beir_hybrid.training.recipe import TrainingError

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
        self.root = root.expanduser().absolute()
        self._previous = self.root.with_name(f".{self.root.name}.previous")
        self._recover()

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
        """Refuse a folder that holds anything but a run without a whole checkpoint.

        Raises:
            TrainingError: It does, or it is a file.
        """
        if self.root.exists() and not self.root.is_dir():
            raise TrainingError(f"--output {self.root} is a file")
        if self.begun and self.last_checkpoint() is None:
            return
        if self.root.is_dir() and any(self.root.iterdir()):
            hint = "go on with --resume, or " if self.begun else ""
            raise TrainingError(f"--output {self.root} is not empty: {hint}choose another folder")

    def start(self, facts: Mapping[str, Any]) -> None:
        """Begin a run.

        Args:
            facts: What the run is, for `check_same`.

        Raises:
            BeirHybridError: The folder cannot be written to.
        """
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        with atomic_path(self.root / RUN_FILE) as path:
            path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    def check_resumable(self) -> Path:
        """Return the newest whole checkpoint.

        Raises:
            TrainingError: There is none.
        """
        if not self.begun:
            why = "it is complete" if self.done else "no run was started there"
            raise TrainingError(f"nothing to resume in {self.root}: {why}")
        newest = self.last_checkpoint()
        if newest is None:
            raise TrainingError(
                f"nothing to resume in {self.root}: the run ended before its first checkpoint; "
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
        path = self.root / RUN_FILE
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            differences = list(_differences(before, json.loads(json.dumps(facts))))
        except (OSError, ValueError, AttributeError) as error:
            raise TrainingError(f"{path} is damaged ({error}); delete {self.root} and start again") from error
        if differences:
            name, old, new = differences[0]
            raise TrainingError(f"--resume: {self.root} was started with {name} {old}, not {new}")

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
        complete = Path(tempfile.mkdtemp(dir=self.root.parent, prefix=f".{self.root.name}.", suffix=".tmp"))
        try:
            write(complete)
            for name in _LOGS:
                if (self.checkpoints / name).is_dir():
                    shutil.copytree(self.checkpoints / name, complete / name)
            complete.chmod(self.root.stat().st_mode)
            shutil.rmtree(self._previous, ignore_errors=True)
            os.rename(self.root, self._previous)
            os.rename(complete, self.root)
        finally:
            shutil.rmtree(complete, ignore_errors=True)
            self._recover()
        shutil.rmtree(self._previous, ignore_errors=True)

    def _recover(self) -> None:
        """Put a run back that was killed between its two renames."""
        if self._previous.is_dir() and not self.root.exists():
            with suppress(FileNotFoundError):  # another process of the run did
                os.rename(self._previous, self.root)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs: its name, its value before and now."""
    for name in dict.fromkeys([*now, *before]):
        if before.get(name) != now.get(name):
            yield name.replace("_", " "), before.get(name), now.get(name)
