"""Measures a step: seconds, of the clock and of the processor, and how far the process's memory rose."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil


@dataclass
class Measured:
    """What a step took.

    Attributes:
        seconds: Wall-clock time.
        processor_seconds: Processor time of the process, which other processes do not lengthen by much.
        megabytes: Peak of the resident memory above its level at the start.
    """

    seconds: float = 0.0
    megabytes: float = 0.0
    processor_seconds: float = 0.0


@contextmanager
def measured() -> Iterator[Measured]:
    """Measure the block; the result is filled in when it ends."""
    process = psutil.Process()
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    result = Measured()
    start, processor_start = time.perf_counter(), time.process_time()
    try:
        yield result
    finally:
        result.seconds = time.perf_counter() - start
        result.processor_seconds = time.process_time() - processor_start
        done.set()
        watcher.join()
        result.megabytes = (max(peak, process.memory_info().rss) - before) / 2**20
