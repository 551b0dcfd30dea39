"""An encoder that takes a given time for each text and no processor: what is measured is how work is divided.

It is a static model of Sentence Transformers in a folder, which any process can load. In processes that are started
with `environment`, static models sleep, and write down when.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

_MODULE = "sentence_transformers.sentence_transformer.modules.static_embedding"
_SETTINGS = "BENCHMARK_SLEEP"
_PATIENCE = 300
"""Seconds that workers wait for each other."""


class Batch(NamedTuple):
    """A batch that was encoded.

    Attributes:
        process: Which process did it.
        start: When it began, in seconds since the epoch.
        end: When it was done.
        texts: How many texts it held.
    """

    process: int
    start: float
    end: float
    texts: int


class Settings(NamedTuple):
    """How long the processes of a run sleep.

    Attributes:
        folder: Gets what Python runs when it starts, and what `read_diary` reads.
        seconds: Time for each text.
        workers: How many processes encode at once. They wait for each other after the first texts: on few cores, their
            interpreters start one after another.
        first: Texts that one of them encodes for all, before the others have any.
    """

    folder: str
    seconds: float
    workers: int
    first: int


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables of processes in which static models sleep."""
    folder = Path(settings.folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text("import benchmarks.sleeping as s\n\ns.install()\n", encoding="utf-8")
    paths = [str(folder), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths)), _SETTINGS: json.dumps(settings)}


def read_diary(folder: Path) -> list[Batch]:
    """Return all batches that were encoded, in order of their end."""
    file = folder / "diary.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return sorted((Batch(*json.loads(line)) for line in lines), key=lambda batch: batch.end)


def install() -> None:
    """Have static models sleep in this process, once they are imported."""
    sys.meta_path.insert(0, _Finder())


class _Finder:
    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec: ModuleSpec | None = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                _slow_down(module.StaticEmbedding)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _slow_down(model: Any) -> None:
    embed, settings = model.forward, Settings(*json.loads(os.environ[_SETTINGS]))
    folder, waited = Path(settings.folder), False

    def forward(self: Any, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        nonlocal waited
        if not waited and sum(batch.texts for batch in read_diary(folder)) >= settings.first:
            _wait_for_all(folder, settings.workers)
            waited = True
        start = time.time()
        embedded = embed(self, features, **options)
        texts = len(embedded["sentence_embedding"])
        time.sleep(max(0.0, settings.seconds * texts - (time.time() - start)))
        line = json.dumps(Batch(os.getpid(), start, time.time(), texts)) + "\n"
        file = os.open(folder / "diary.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line.encode())  # in one piece, whoever else writes
        finally:
            os.close(file)
        return embedded

    model.forward = forward


def _wait_for_all(folder: Path, workers: int) -> None:
    (folder / f"ready-{os.getpid()}").touch()
    for _ in range(50 * _PATIENCE):
        if len([*folder.glob("ready-*")]) >= workers:
            return
        time.sleep(0.02)
    raise TimeoutError(f"{workers} workers were to begin together")
