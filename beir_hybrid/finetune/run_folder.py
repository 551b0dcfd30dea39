"""The output folder of a training run: checkpoints while it trains, the model once it is complete.

While a run trains, the folder holds ``checkpoints/`` and ``training_run.json``, which says what the run is. The model
is written beside the folder and takes its place when it is complete, so that the folder never holds half a model. A run
begins in the same way: there is no moment in which it cannot be begun again or gone on with.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from beir_hybrid.errors import first_line
from beir_hybrid.files import check_writable, shown, user_path
from beir_hybrid.finetune.recipe import TrainingError
from beir_hybrid.folders import locked, put_in_place, recover_folder, temporary_folder

CHECKPOINTS = "checkpoints"
RUN_FILE = "training_run.json"
COMPLETE = "complete"
"""Empty file in a checkpoint: all of it was written."""
_LOGS = ("runs", "eval")
"""What trackers and evaluators write among the checkpoints, kept with the model."""


class RunFolder:
    """An output folder; a link is followed, and not replaced."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(user_path(root)))

    @classmethod
    def of_checkpoints(cls, folder: str | None) -> RunFolder:
        """Return the run whose checkpoints a trainer writes to a folder."""
        return cls(Path(folder or "").parent)

    @contextmanager
    def reserved(self, mine: bool = True) -> Iterator[None]:
        """Keep other runs off the folder during the block. Of a distributed run, only one process calls it ``mine``.

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
        """Refuse a file, and a folder that holds any file but those of a run without a whole checkpoint."""
        if self.root.exists() and not self.root.is_dir():
            raise TrainingError(f"--output {shown(self.root)} is a file")
        if self.begun and self.last_checkpoint() is None and not self._foreign():
            return
        if any(not path.is_dir() for path in self.root.rglob("*")):
            hint = "go on with --resume, or " if self.begun else ""
            raise TrainingError(f"--output {shown(self.root)} is not empty: {hint}choose another folder")

    def start(self, facts: Mapping[str, Any]) -> None:
        """Begin a run, which the facts describe, in the place of whatever the folder holds."""
        with temporary_folder(self.root) as new:
            (new / CHECKPOINTS).mkdir()
            (new / RUN_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            put_in_place(new, self.root)

    def resumable(self, facts: Mapping[str, Any]) -> bool:
        """Whether a run of the same base, data and settings was started here and has a whole checkpoint."""
        return self.begun and self.last_checkpoint() is not None and self._difference(facts) is None

    def check_resumable(self) -> Path:
        """Return the newest whole checkpoint; an error where there is none."""
        newest = self.last_checkpoint() if self.begun else None
        if newest is not None:
            return newest
        if self.begun:
            why = "the run ended before its first checkpoint; start it again without --resume"
        else:
            why = "it is complete" if self.done else "no run was started there"
        raise TrainingError(f"nothing to resume in {shown(self.root)}: {why}")

    def check_same(self, facts: Mapping[str, Any]) -> None:
        """Refuse to resume with another base, other data or other settings: the first difference is named."""
        difference = self._difference(facts)
        if difference is not None:
            raise TrainingError(f"--resume: {shown(self.root)} was started with {difference}")

    def _difference(self, facts: Mapping[str, Any]) -> str | None:
        """Return what differs first from the run that was started here."""
        path = self.root / RUN_FILE
        try:
            before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(json.dumps(facts))
            names = [name for name in dict.fromkeys([*now, *before]) if before.get(name) != now.get(name)]
        except (OSError, ValueError, AttributeError, RecursionError, TypeError) as error:
            raise TrainingError(
                f"{path} is damaged ({first_line(error)}); delete {self.root} and start again"
            ) from error
        return f"{names[0].replace('_', ' ')} {before.get(names[0])}, not {now.get(names[0])}" if names else None

    def last_checkpoint(self) -> Path | None:
        """Return the newest whole checkpoint, None if there is none. A killed run may leave one that is not whole."""
        whole = [marker.parent for marker in self.checkpoints.glob(f"checkpoint-*/{COMPLETE}")]
        return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)

    def drop_incomplete(self) -> None:
        """Delete checkpoints that are not whole, so that the trainer does not count them."""
        for folder in self.checkpoints.glob("checkpoint-*"):
            if not (folder / COMPLETE).exists():
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def publishing(self) -> Iterator[Path]:
        """Give a folder for all files of the complete model, which takes the place of the run after the block."""
        with temporary_folder(self.root) as complete:
            yield complete
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
