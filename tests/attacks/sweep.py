"""Kills every command at every file operation: ``python -m tests.attacks.sweep [--scenario NAME ...] [--every K]``."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tests.attacks.scenarios import SCENARIOS
from tests.attacks.trials import Place, Undisturbed
from tests.support.processes import import_all

JOBS = 2


def trial(name: str, folder: Path, kill_at: int, whole: Undisturbed) -> list[str]:
    return Place(name, folder).trial(kill_at, whole)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--every", type=int, default=1, help="kill at each k-th operation only")
    parser.add_argument("--first", type=int, default=1, help="the first operation to kill at")
    parser.add_argument("--show", action="store_true", help="list the operations, and kill nothing")
    parser.add_argument("--keep", type=Path, help="folder for the folders of the trials; those that failed stay")
    options = parser.parse_args()
    failures: Counter[str] = Counter()
    import_all()
    with tempfile.TemporaryDirectory() as temporary, ProcessPoolExecutor(JOBS, get_context("fork")) as workers:
        folder = options.keep or Path(temporary)
        for name in options.scenario:
            started = time.monotonic()
            whole = Place(name, folder).undisturbed()
            number = len(whole.operations)
            print(f"{name}: {number} operations, {time.monotonic() - started:.1f} s", flush=True)
            if options.show:
                print(*(f"{number:5} {what}" for number, what in enumerate(whole.operations, 1)), sep="\n")
                continue
            kills = range(options.first, number + 1, options.every)
            trials = {workers.submit(trial, name, folder, kill_at, whole): kill_at for kill_at in kills}
            for done in as_completed(trials):
                if wrong := done.result():
                    failures[name] += 1
                    kill_at = trials[done]
                    print(f"{name} {kill_at} ({whole.operations[kill_at - 1]}):", *wrong, sep="\n    ", flush=True)
            seconds = time.monotonic() - started
            print(f"{name}: {len(trials)} kills, {failures[name]} failures, {seconds:.0f} s", flush=True)
    return int(bool(failures))


if __name__ == "__main__":
    raise SystemExit(main())
