"""Kills a process at its n-th file operation, or counts its operations.

Only operations below one folder count, and only what changes files. One operation each is

- opening a file for writing, renaming, replacing, linking or deleting a file, making or deleting a folder (so deleting
  a tree is as many as it holds files and folders), and letting two folders change places: the process dies before it;
- handing some kilobytes of a file to the system, as Python does when a buffer is full or a file is closed: two
  operations, since the process may die before it or when half of them are written;
- writing a file by safetensors, pyarrow or torch.save, which do not go through Python's files: two operations, too.

Python announces most of them as audit events before it does them, whoever asks: ``os``, ``pathlib``, ``shutil``, mteb,
transformers. It does not announce what is written, so files and the three libraries' writers are wrapped.
"""

from __future__ import annotations

import builtins
import io
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_EVENTS = {
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 1,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.mkdir": 2,
}
"""Audit event -> where its arguments name the folder that a relative path is in."""
_EXCHANGES = {"renameat2", "renamex_np"}


class Shim:
    """Watches this process, until it ends.

    Args:
        folder: The folder whose files count.
        log: A file elsewhere that gets a line for each operation, written before it is done.
        kill_at: The operation at which the process dies, from 1; None to let it live.
    """

    def __init__(self, folder: Path, log: Path, kill_at: int | None = None) -> None:
        self._folder = os.path.realpath(folder)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._kill_at = kill_at
        self._count = 0

    def install(self) -> None:
        """Begin to watch."""
        import pyarrow.parquet
        import safetensors.numpy
        import safetensors.torch
        import torch

        builtins.open = io.open = self._watched_open(builtins.open)  # type: ignore[assignment]
        shutil._USE_CP_SENDFILE = False  # copies pass through Python's files
        for module, name in (
            (safetensors.numpy, "serialize_file"),
            (safetensors.torch, "serialize_file"),
            (pyarrow.parquet, "write_table"),
            (torch, "save"),
        ):
            setattr(module, name, self._watched_writer(getattr(module, name)))
        sys.addaudithook(self._hear)

    def counts(self, path: Any) -> bool:
        """Whether a file is below the folder."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(f"{self._folder}{os.sep}")

    def operation(self, what: str, path: Any, half_done: Callable[[], object] | None = None) -> None:
        """Count an operation, and die if it is the one.

        Args:
            what: Its kind.
            path: The file.
            half_done: Called before the process dies.
        """
        self._count += 1
        shown = os.path.relpath(os.path.abspath(os.fsdecode(path)), self._folder)
        os.write(self._log, f"{what} {shown}\n".encode())
        if self._count == self._kill_at:
            if half_done is not None:
                half_done()
            os.kill(os.getpid(), signal.SIGKILL)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if flags & _WRITING and self.counts(path):
                self.operation("open", path)
        elif event in _EVENTS:
            path, descriptor = arguments[0], arguments[_EVENTS[event]]
            if descriptor != -1:
                path = os.path.join(os.readlink(f"/proc/self/fd/{descriptor}"), os.fsdecode(path))
            if self.counts(path):
                self.operation(event.removeprefix("os."), path)
        elif event == "ctypes.dlsym" and arguments[1] in _EXCHANGES:
            self.operation("exchange", self._folder)

    def _watched_open(self, original: Callable[..., Any]) -> Callable[..., Any]:
        shim = self

        class WatchedFile(io.FileIO):
            def write(self, data: Any) -> int:
                shim.operation("write", self.name)
                half = memoryview(data).cast("B")[: memoryview(data).nbytes // 2]
                shim.operation("write half of", self.name, lambda: super(WatchedFile, self).write(half))
                return super().write(data)

        def watched_open(
            file: Any,
            mode: str = "r",
            buffering: int = -1,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
            closefd: bool = True,
            opener: Any = None,
        ) -> Any:
            if opener is not None or not set(mode) & set("wax+") or not shim.counts(file):
                return original(file, mode, buffering, encoding, errors, newline, closefd, opener)
            raw = WatchedFile(file, mode.replace("b", "").replace("t", ""), closefd)
            if buffering == 0:
                return raw
            binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return binary if "b" in mode else io.TextIOWrapper(binary, encoding, errors, newline, buffering == 1)

        return watched_open

    def _watched_writer(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def watched_writer(content: Any, path: Any, *arguments: Any, **options: Any) -> Any:
            if not self.counts(path):
                return original(content, path, *arguments, **options)
            self.operation("write", path)
            result = original(content, path, *arguments, **options)
            self.operation("write half of", path, lambda: os.truncate(path, os.path.getsize(path) // 2))
            return result

        return watched_writer
