"""Shards that are killed at random moments, again and again, and started again: nothing is lost or counted twice."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from beir_hybrid.cli import main
from beir_hybrid.scoring.chunked import ChunkedRun
from beir_hybrid.scoring.pass_folder import shards_in
from tests.support import small_xquad
from tests.support.command_line import exit_code
from tests.support.processes import run as run_forked
from tests.support.tiny_model import tiny_model

N, KILLS = 4, 20


def live(seconds: float, command: list[str]) -> None:
    """Run a command, and die after some seconds of work, on the spot: nobody handles this signal."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    main(command)


def test_twenty_kills_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_xquad.be_read(tmp_path, monkeypatch)
    monkeypatch.setenv("BEIR_HYBRID_CHUNK_SIZE", "1")
    monkeypatch.setenv(
        "BEIR_HYBRID_CHECKPOINT_SECONDS", "0"
    )  # after each chunk, so that most kills are while it writes
    tiny_model().save(str(tmp_path / "model"), create_model_card=False)
    command = ["evaluate", "-m", str(tmp_path / "model"), "--data", "xquad-r", "--languages", "en,de,zh,ar", "-q"]
    assert exit_code(*command, "--out", tmp_path / "one") == 0
    began = time.process_time()
    assert exit_code(*command, "--out", tmp_path / "timed", "--shard", f"1/{N}") == 0
    whole = time.process_time() - began

    log, add = tmp_path / "chunks.log", ChunkedRun.add

    def add_logged(self: ChunkedRun, counts: Any, chunk: Any, *embeddings: Any) -> None:
        with log.open("a") as file:
            file.write(f"{chunk.name}\n")
        add(self, counts, chunk, *embeddings)

    monkeypatch.setattr(ChunkedRun, "add", add_logged)
    chance, kills, out = random.Random(0), 0, tmp_path / "out"
    shards = [[*command, "--out", str(out), "--shard", f"{number}/{N}"] for number in range(1, N + 1)]
    for attempt in range(10 * KILLS):
        ended = run_forked(partial(live, chance.uniform(0, whole), shards[attempt % N]), tmp_path)
        assert ended.status in (0, -signal.SIGPROF), ended.output
        kills += ended.status != 0
        if kills == KILLS:
            break
    assert kills == KILLS

    assert [exit_code(*shard) for shard in shards] == [0] * N
    times = Counter(log.read_text().splitlines())
    [run] = out.glob("runs/*/*/*/*")
    assert len(shards_in(run)) == N and not [*run.glob(".counts-*.tmp")]
    assert times.total() <= len(times) + KILLS  # a kill costs the chunk at hand, and no other
    assert exit_code("merge", out, "-q") == 0
    for file in (tmp_path / "one").rglob("*.parquet"):
        assert (out / file.relative_to(tmp_path / "one")).read_bytes() == file.read_bytes()
