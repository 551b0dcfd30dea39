"""Running a study: one process or several take the open items until none is left."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.errors import BeirHybridError, one_line
from beir_hybrid.files import check_writable
from beir_hybrid.quiet import silenced
from beir_hybrid.study.batches import StudyError
from beir_hybrid.study.definition import Study
from beir_hybrid.study.lab import Lab
from beir_hybrid.study.ledger import Ledger
from beir_hybrid.study.plan import Item, Plan

if TYPE_CHECKING:
    from tqdm import tqdm

_WAIT_SECONDS = 2.0


def run_study(study: Study, out: Path, jobs: int = 1, quiet: bool = False) -> None:
    """Do all items of a study, in the folder ``out``, that are not done.

    Several processes may run the same study in the same folder. A killed one loses the item it was at.

    Args:
        study: The study.
        out: Its folder.
        jobs: Number of processes, with one thread each; 1 for this process and torch's own number of threads.
        quiet: Whether to show no progress.

    Raises:
        BeirHybridError: An item cannot be done.
        RuntimeError: A process failed by a mistake of ours.
    """
    if jobs < 1:
        raise StudyError(f"--jobs {jobs}: write a number from 1")
    check_writable(out, hint="name another folder with --out")
    if jobs == 1:
        _work(study, out, quiet)
    else:
        _work_together(study, out, jobs, quiet)


def make_plan(study: Study, out: Path) -> Plan:
    """Return the plan of a study in a folder, to look at what is done."""
    return Plan(study, Lab(study, out, progress=False), Ledger(out))


def _work(study: Study, out: Path, quiet: bool) -> None:
    ledger = Ledger(out)
    plan = Plan(study, Lab(study, out, progress=not quiet), ledger)
    with _bar(plan, quiet) as bar, silenced("transformers"):
        while items := plan.open_items():
            found_work = False
            for item in items:
                found_work |= _do(item, ledger)
                bar.update(plan.done() - bar.n)
            if not found_work:
                time.sleep(_WAIT_SECONDS)  # other processes are at the rest


def _bar(plan: Plan, quiet: bool) -> tqdm[Any]:
    from tqdm.auto import tqdm

    return tqdm(total=plan.size(), initial=plan.done(), desc="Study", unit="item", disable=quiet or None)


def _do(item: Item, ledger: Ledger) -> bool:
    """Do an item, unless another process is at it or has done it; return whether it was done here."""
    with ledger.reserve(item.id) as mine:
        if not mine or ledger.find(item.id, item.facts) is not None:
            return False
        started, cpu_started = time.perf_counter(), time.process_time()
        result = item.run()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        ledger.record(item.id, item.facts, result, seconds, cpu_seconds)
        return True


def _work_together(study: Study, out: Path, jobs: int, quiet: bool) -> None:
    threads, os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS"), "1"
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    workers = [context.Process(target=_worker, args=(study, out)) for _ in range(jobs)]
    try:
        for worker in workers:
            worker.start()
        plan = make_plan(study, out)
        with _bar(plan, quiet) as bar:
            while alive := [worker for worker in workers if worker.is_alive()]:
                alive[0].join(_WAIT_SECONDS)  # one that has ended would not be waited for
                bar.update(plan.done() - bar.n)
                _check(workers)
        _check(workers)
    finally:
        for worker in workers:
            worker.terminate()
        os.environ.pop("OMP_NUM_THREADS") if threads is None else os.environ.update(OMP_NUM_THREADS=threads)


def _worker(study: Study, out: Path) -> None:
    import torch

    torch.set_num_threads(1)
    try:
        _work(study, out, quiet=True)
    except (BeirHybridError, OSError, UnicodeError) as error:  # what the command line takes for no mistake of ours
        print(f"error: {error if isinstance(error, BeirHybridError) else one_line(error)}", file=sys.stderr)
        sys.exit(2)


def _check(workers: Sequence[multiprocessing.process.BaseProcess]) -> None:
    failed = {worker.exitcode for worker in workers if worker.exitcode}
    if 1 in failed:  # an exception that nobody caught, which the process has printed
        raise RuntimeError("a process of the study failed; what is done is kept")
    if failed:
        raise StudyError("a process of the study ended early; what is done is kept, run it again to go on")
