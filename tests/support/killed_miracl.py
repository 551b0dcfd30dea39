"""Runs MIRACLCLFull in a chain of processes, each killed after the first checkpoint file it writes.

``python -m tests.support.killed_miracl <folder>`` expects the data in <folder>/data; the log of encoded texts, the
number of processes and the scores go into <folder>. mteb is imported once: the processes are forks of this one.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

CHUNK_SIZE = 14
MOST_PROCESSES = 100


def run(folder: Path, kill: bool) -> None:
    """Evaluate; with ``kill``, die by SIGKILL as soon as a file of the checkpoint has been written."""
    import torch

    torch.set_num_threads(1)
    from beir_hybrid.scoring.chunked import ChunkedRun
    from beir_hybrid.scoring.pass_folder import PassFolder
    from beir_hybrid.tasks.miracl import MIRACLCLFull
    from tests.support.mteb_models import CountingEncoder

    save = PassFolder.save

    def save_and_die(*args: Any, **kwargs: Any) -> None:
        save(*args, **kwargs)
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)

    PassFolder.save = save_and_die  # type: ignore[method-assign]

    is_current, asked_again = ChunkedRun.is_current, [False]

    def is_current_unlogged(self: ChunkedRun, encode: Any) -> bool:
        asked_again[0] = True
        try:
            return is_current(self, encode)
        finally:
            asked_again[0] = False

    ChunkedRun.is_current = is_current_unlogged  # type: ignore[method-assign]

    class LoggingEncoder(CountingEncoder):
        def encode(self, inputs: Any, **kwargs: Any) -> Any:
            before = len(self.texts)
            embeddings = super().encode(inputs, **kwargs)
            if asked_again[0]:  # some texts that stand for the state of the model
                return embeddings
            with (folder / "texts.jsonl").open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(text) + "\n" for text in self.texts[before:])
            return embeddings

    task = MIRACLCLFull()
    task.chunk_size = CHUNK_SIZE
    task.checkpoint_seconds = 0
    scores = task.evaluate(LoggingEncoder(), "dev", encode_kwargs={"show_progress_bar": False})
    (folder / "scores.json").write_text(json.dumps(scores), encoding="utf-8")


def main() -> None:
    """Fork, let the child be killed, fork again, until one comes through."""
    folder = Path(sys.argv[1])
    for module in ("beir_hybrid.tasks.miracl", "tests.support.mteb_models", "sentence_transformers.util", "polars"):
        importlib.import_module(module)

    for number in range(1, MOST_PROCESSES):
        child = os.fork()
        if child == 0:
            try:
                run(folder, kill=True)
            finally:
                os._exit(0 if (folder / "scores.json").exists() else 1)
        _, status = os.waitpid(child, 0)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            (folder / "processes.json").write_text(json.dumps(number), encoding="utf-8")
            sys.exit(os.waitstatus_to_exitcode(status))
    sys.exit("the chain does not end")


if __name__ == "__main__":
    main()
