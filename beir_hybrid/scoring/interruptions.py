"""Signals that ask a process to end: they come as exceptions, and never while something is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, Self


class Interruptions:
    """While the block runs, SIGTERM ends the process by an exception, as Ctrl-C does, so that work can be kept.

    Queues such as SLURM send it some time before they take a machine away. A signal that somebody else handles is left
    to them, and only the main thread of a process can handle any.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._held_back = False
        self._waiting: int | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            usual = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
            for number, handler in usual.items():
                if signal.getsignal(number) == handler:
                    self._before[number] = signal.signal(number, self._arrive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let a signal wait until the block is done, but for a second one."""
        self._held_back = True
        try:
            yield
        finally:
            self._held_back = False
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            _end(waiting)

    def _arrive(self, number: int, frame: FrameType | None) -> None:
        if self._held_back and self._waiting is None:
            self._waiting = number
        else:
            _end(number)


def _end(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)  # the exit code of a process that the signal ends
