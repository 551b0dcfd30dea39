"""Ray's workers count what one process counts, byte for byte, whatever is killed: three nodes on one machine."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes, static_miracl
from tests.support.local_cluster import LocalCluster, local_cluster

N_PASSAGES, N_QUESTIONS, CHUNK_SIZE = 150, 6, 10


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the data and an encoder."""
    folder = tmp_path_factory.mktemp("ray")
    static_miracl.write(folder / "data", N_PASSAGES, N_QUESTIONS)
    static_miracl.save_encoder(folder / "model")
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Run three nodes of one core."""
    with local_cluster(nodes=3, cores=1) as nodes:
        yield nodes


def nothing() -> None:
    """Happen not."""


def die() -> None:
    """End this process on the spot."""
    os.kill(os.getpid(), signal.SIGKILL)


def run(act: Callable[[], None]) -> int | None:
    """Do something in a process of its own, and return its exit code.

    It is no fork: polars, by which MTEB reads MIRACL's judgments, hangs in forks of a process that has used it.
    """
    process = multiprocessing.get_context("spawn").Process(target=act)
    process.start()
    process.join(processes.SECONDS)
    process.kill()
    process.join()
    return process.exitcode


def evaluate(
    stand_in: Path, home: Path, address: str | None, workers: int = 0, before: Callable[[], None] = nothing
) -> None:
    """Evaluate the encoder, by workers of a cluster if there is an address, as a process of its own does."""
    os.environ.update(
        BEIR_HYBRID_MIRACL=str(stand_in / "data"),
        BEIR_HYBRID_HOME=str(home),
        BEIR_HYBRID_CHUNK_SIZE=str(CHUNK_SIZE),
        BEIR_HYBRID_CHECKPOINT_SECONDS="0",
    )
    import mteb

    from beir_hybrid.interface.any_model import mteb_model
    from beir_hybrid.tasks.miracl import MIRACLCLFull

    log = home.with_suffix(".log")  # of a process that is killed, what it has printed is lost
    logging.basicConfig(force=True, filename=log, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    score = partial(mteb.evaluate, tasks=MIRACLCLFull(), cache=None, co2_tracker=False)
    quiet: Any = {"batch_size": 32, "show_progress_bar": False}
    if address is None:
        results = score(mteb_model(stand_in / "model"), encode_kwargs=quiet)
    else:
        from beir_hybrid.cluster.ray_engine import ray_models

        before()
        with ray_models(address, workers) as load:
            results = score(load(str(stand_in / "model")), encode_kwargs=quiet)
    (home / "scores.json").write_text(json.dumps(results.task_results[0].scores), encoding="utf-8")


def disturb(*incidents: Callable[[], None]) -> None:
    """Let things happen to this driver: each when it has noticed those before, and some chunks have been counted."""
    from beir_hybrid.cluster.ray_engine import Counting

    react, waiting, counted, lost = Counting._react, list(incidents), 0, 0

    def react_slowly(self: Any, answer: Any) -> None:
        nonlocal counted, lost
        react(self, answer)
        lost += answer.is_lost
        if answer.method == "count" and not answer.is_lost:
            counted += 1
            time.sleep(0.3)  # replacements are to come in time for their share
        happened = len(incidents) - len(waiting)
        if waiting and lost == happened and counted >= 8 * (happened + 1):
            waiting.pop(0)()

    Counting._react = react_slowly  # type: ignore[method-assign]


def files(home: Path) -> dict[str, bytes]:
    """Return what an evaluation has written, by path."""
    paths = [path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(home)): path.read_bytes() for path in paths}


def test_the_rank_table_is_that_of_one_process_though_worker_node_and_driver_are_killed(
    stand_in: Path, cluster: LocalCluster, tmp_path: Path
) -> None:
    homes = [tmp_path / name for name in ("alone", "ray")]
    for home in homes:
        home.mkdir()
    assert run(partial(evaluate, stand_in, homes[0], None)) == 0

    drive = partial(evaluate, stand_in, homes[1], cluster.address)
    incidents = cluster.kill_worker, cluster.kill_node, die
    assert run(partial(drive, 2, partial(disturb, *incidents))) == -signal.SIGKILL
    assert homes[1].with_suffix(".log").read_text().count("was lost and is replaced") == 2
    assert run(partial(drive, 1)) == 0
    [done] = re.findall(r"goes on after (\d+) of \d+ chunks", homes[1].with_suffix(".log").read_text())
    assert int(done) >= 16  # the chunks of the killed workers, at least, were done again before

    assert files(homes[1]) == files(homes[0])
