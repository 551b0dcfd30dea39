"""Which part of a run a process is to do: one of several equal shards, told by the user or by a launcher."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Self

from beir_hybrid.errors import BeirHybridError, NoScoresYet
from beir_hybrid.files import shown

SHARD = "BEIR_HYBRID_SHARD"
"""The variable that asks for a shard where there is no option for it: `mteb run` has none of ours."""

AUTO = "auto"

_LAUNCHERS = (("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"))
"""Variables of torchrun and accelerate launch, and of srun: a process's number, how many there are, its number on its
machine; numbers from 0."""

_TASK = "SLURM_ARRAY_TASK_"
"""Variables of an array job; numbers from _MIN in steps of _STEP."""


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a run.

    Attributes:
        number: Which of them, from 1.
        count: How many there are.
        local: Number of this process among those on its machine, from 0, where its launcher says so.
    """

    number: int = 1
    count: int = 1
    local: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def part(self) -> str:
        """Name of the file that its partial counts go to, without suffix: ``counts-2-of-4``."""
        return f"counts-{self.number}-of-{self.count}"

    @classmethod
    def of_part(cls, part: str) -> Self | None:
        """Return the shard whose counts go to a file of some name; None if it is no such name."""
        name = re.fullmatch(r"counts-([0-9]{1,9})-of-([0-9]{1,9})", part)
        shard = cls(int(name[1]), int(name[2])) if name else None
        return shard if shard is not None and shard.part == part and 1 <= shard.number <= shard.count else None

    @classmethod
    def parse(cls, text: str, asked_by: str = "--shard ") -> Self:
        """Read ``2/4``, or ``auto``: what the launcher of this process says.

        A launcher that started one process only says nothing: an array job runs each of its tasks as one of srun's.

        Args:
            text: What a user wrote.
            asked_by: What stands before it in messages.

        Raises:
            BeirHybridError: It is neither, or no launcher has set its variables, or to anything but numbers.
        """
        if text.strip() == AUTO:
            return cls._of_launcher(asked_by)
        parts = re.fullmatch(r"\s*([0-9]{1,9})/([0-9]{1,9})\s*", text)
        if parts is None or not 1 <= int(parts[1]) <= int(parts[2]):
            raise BeirHybridError(f"{asked_by}{shown(text)}: write i/n, i from 1 to n, such as 2/4, or {AUTO}")
        return cls(int(parts[1]), int(parts[2]))

    @classmethod
    def _of_launcher(cls, asked_by: str) -> Self:
        alone = None
        for names in _LAUNCHERS:
            number, count, local = (_number(name, asked_by) for name in names)
            if number is not None and count is not None:
                if count > 1:
                    return cls._checked(number, count, local, f"{asked_by}{AUTO}: {names[0]}={number}")
                alone = cls(local=local)
        number, count = _number(f"{_TASK}ID", asked_by), _number(f"{_TASK}COUNT", asked_by)
        if number is not None and count is not None:
            first, step = _number(f"{_TASK}MIN", asked_by) or 0, _number(f"{_TASK}STEP", asked_by) or 1
            place, rest = divmod(number - first, step)
            what = f"{asked_by}{AUTO}: {_TASK}ID={number}"
            return cls._checked(-1 if rest else place, count, alone.local if alone else None, what)
        if alone is not None:
            return alone
        raise BeirHybridError(
            f"{asked_by}{AUTO}: no launcher has set RANK and WORLD_SIZE (torchrun, accelerate launch), SLURM_PROCID "
            f"and SLURM_NTASKS (srun), or {_TASK}ID and {_TASK}COUNT (an array job); write i/n, such as 2/4"
        )

    @classmethod
    def _checked(cls, number: int, count: int, local: int | None, what: str) -> Self:
        if not 0 <= number < count:
            raise BeirHybridError(f"{what} is not one of {count}, which are numbered without gaps; write i/n")
        return cls(number + 1, count, local)

    def take_gpu(self) -> None:
        """Make the GPU of this process the current one, where a launcher started several processes on its machine."""
        if self.local is None:
            return
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_device(self.local % torch.cuda.device_count())


class ShardCounted(NoScoresYet):
    """A shard has been counted; the scores are made of all shards.

    Args:
        name: What was counted.
        shard: Which part of it.
        folder: The folder of the run.
    """

    def __init__(self, name: str, shard: Shard, folder: Path) -> None:
        super().__init__(
            f"{name}: shard {shard} is counted; when all {shard.count} are: beir-hybrid merge {quote(str(folder))}"
        )
        self.folder = folder


WHOLE = Shard()
"""A run in one part."""


def asked_shard() -> Shard | None:
    """Return the shard that BEIR_HYBRID_SHARD asks for; None where it is not set.

    Raises:
        BeirHybridError: As for ``Shard.parse``.
    """
    asked = os.environ.get(SHARD, "").strip()
    return Shard.parse(asked, f"{SHARD}=") if asked else None


@contextmanager
def asked_for(shard: str | None) -> Iterator[None]:
    """Ask for a shard by BEIR_HYBRID_SHARD while the block runs; None for what is set already.

    Raises:
        BeirHybridError: As for ``Shard.parse``.
    """
    if shard is not None:
        Shard.parse(shard)
    before = os.environ.get(SHARD)
    os.environ[SHARD] = before or "" if shard is None else shard
    try:
        yield
    finally:
        os.environ.pop(SHARD)
        if before is not None:
            os.environ[SHARD] = before


def check_whole(what: str) -> None:
    """Refuse to be asked for a shard where scores are needed at once.

    Args:
        what: What needs them.

    Raises:
        BeirHybridError: BEIR_HYBRID_SHARD is set.
    """
    asked = asked_shard()
    if asked is not None:
        raise BeirHybridError(f"{SHARD}={asked} is set, but {what} needs the scores of whole runs; unset it")


def _number(variable: str, asked_by: str) -> int | None:
    value = os.environ.get(variable, "").strip()
    if not value:
        return None
    if not re.fullmatch("[0-9]{1,9}", value):
        raise BeirHybridError(f"{asked_by}{AUTO}: {variable}={shown(value)} is not a number from 0; write i/n")
    return int(value)
