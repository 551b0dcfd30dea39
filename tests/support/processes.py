"""Processes that cost no import: forks of this one.

Threads do not survive a fork, so this process computes with one (tests/conftest.py), and its forks do, too. polars, by
which MTEB reads MIRACL's judgments, always has threads: what is to use it must be forked from a process that has not.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any

import pytest
from tqdm.std import tqdm

from tests.support.shim import Shim

SECONDS = 300
"""After which a process counts as hanging and is killed."""

_MODULES = (
    "beir_hybrid.cli beir_hybrid.cli.export beir_hybrid.cli.leaderboard beir_hybrid.cli.study beir_hybrid.cli.train "
    "beir_hybrid.corpora.formats.export beir_hybrid.leaderboard.render.leaderboard_page "
    "beir_hybrid.leaderboard.publish beir_hybrid.study.quickstart beir_hybrid.study.run beir_hybrid.tasks "
    "beir_hybrid.finetune.train mteb.cli matplotlib.pyplot pandas polars pyarrow.parquet sentence_transformers torch "
    "transformers.trainer"
)


def import_all() -> None:
    """Import what forks of the commands need, once for all of them."""
    for module in _MODULES.split():
        importlib.import_module(module)


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: Its exit code, or minus the signal that killed it.
        output: What it printed, both streams.
    """

    status: int
    output: str

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


Act = Callable[[], object]
"""What a process does, in the folder it is given; SystemExit is its exit code."""


def run(act: Act, folder: Path, log: Path | None = None, kill_at: int | None = None) -> Ended:
    """Do something in a fork and wait for its end.

    Args:
        act: What it does.
        folder: The folder it works in.
        log: With a log, its file operations below the folder are counted there.
        kill_at: The file operation at which it dies.
    """
    return run_together([act], folder, log, kill_at)[0]


def run_together(acts: Sequence[Act], folder: Path, log: Path | None = None, kill_at: int | None = None) -> list[Ended]:
    """Do several things at once, in a fork each; they start together when all are there."""
    if not hasattr(os, "fork"):
        pytest.skip("needs processes that fork")
    ready, start = os.pipe()
    children = []
    for number, act in enumerate(acts):
        output = folder.with_name(f"{folder.name}.{number}.out")
        child = os.fork()
        if child == 0:
            os.close(start)
            _live(act, folder, output, ready, None if log is None else Shim(folder, log, kill_at))
        children.append((child, output))
    os.close(ready)
    os.close(start)
    return [
        Ended(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output.read_text(errors="replace"))
        for child, output in children
    ]


def die_at(operation: int, place: Path, *events: str) -> None:
    """Let this process end with 9 at one of its file operations at a place, counted from 1: audit events of Python."""

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal operation
        if event in events and str(place) in str(arguments[0]):
            operation -= 1
            if operation == 0:
                os._exit(9)

    sys.addaudithook(count)


def run_ranks(act: Callable[[int], object], number: int, folder: Path) -> None:
    """Do something in processes that torch.distributed may join, each given its rank, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for ended in run_together([partial(_as_rank, act, rank, number, port) for rank in range(number)], folder):
        assert ended.status == 0, ended.output


def _as_rank(act: Callable[[int], object], rank: int, number: int, port: int) -> None:
    from accelerate.state import AcceleratorState, GradientState, PartialState

    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(number),
        LOCAL_WORLD_SIZE=str(number),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        ACCELERATE_USE_CPU="true",
    )
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()  # what this process was before the fork
    act(rank)


def _live(act: Act, folder: Path, output: Path, ready: int, shim: Shim | None) -> None:
    """Be the fork, which never returns."""
    status = 70
    try:
        printed = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(printed, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", closefd=False) for stream in (1, 2))  # not those of pytest
        gc.freeze()  # as tests/conftest.py does
        # Forks share the lock of tqdm's, and one that is killed while it has it would leave all others, and the tests
        # themselves, waiting for ever.
        tqdm.set_lock(RLock())
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        os.chdir(folder)
        os.read(ready, 1)  # nothing comes; it returns when the parent closes the other end
        if shim is not None:
            shim.install()
        act()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
