"""What keeping top passages costs beside encoding: an evaluation with --keep-top 10 and one without, side by side.

`python -m benchmarks.tops` evaluates all 132 subsets of XQuAD-R on the same random embeddings, in a process of its own
each time, with and without in turns, and prints seconds, peak memory and their ratios, and the size of the files.
BEIR_HYBRID_DATA names the folder with the data, else it is downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from beir_hybrid.files import write_json

REPOSITORY = Path(__file__).parents[1]
RECORD = REPOSITORY / "leaderboard" / "published" / "measurements" / "tops.json"
WAYS = {"without": None, "keeping 10": 10, "keeping 100": 100}


def evaluate(keep_top: int | None) -> dict[str, float]:
    """Evaluate once in this process: seconds and peak megabytes beside encoding, and megabytes of the files."""
    from beir_hybrid.tasks import XQuADR
    from benchmarks.evaluation import LookupEncoder, random_vectors, run

    task = XQuADR()
    task.load_data()
    task.keep_top = keep_top
    assert task.parallel_corpus is not None
    encoder = LookupEncoder(random_vectors(task.parallel_corpus))
    with tempfile.TemporaryDirectory() as folder:
        task.ranks_folder = Path(folder)
        cost = run(task, encoder, task.hf_subsets)
        size = sum(path.stat().st_size for path in task.ranks_folder.rglob("*.parquet"))
    return {
        "seconds": cost.seconds - encoder.seconds,
        "peak_megabytes": cost.megabytes,
        "file_megabytes": size / 2**20,
    }


def in_a_process(keep_top: int | None) -> dict[str, float]:
    """Evaluate once in a process of its own: memory that another run has freed is not taken for free."""
    asked = [sys.executable, "-m", "benchmarks.tops", "--once", str(keep_top or 0)]
    done = subprocess.run(asked, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(rounds: int) -> list[dict[str, Any]]:
    """Evaluate in all ways in turns; medians over the rounds, and how many times that of the first way they are."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, keep_top in WAYS.items():
            runs[way].append(in_a_process(keep_top))
            print(way, {name: round(value, 2) for name, value in runs[way][-1].items()}, flush=True)
    medians = {way: {name: median(cost[name] for cost in costs) for name in costs[0]} for way, costs in runs.items()}
    base = medians["without"]
    return [
        {
            "way": way,
            "seconds": round(cost["seconds"], 2),
            "times_seconds": round(cost["seconds"] / base["seconds"], 3),
            "peak_megabytes": round(cost["peak_megabytes"]),
            "times_megabytes": round(cost["peak_megabytes"] / base["peak_megabytes"], 3),
            "file_megabytes": round(cost["file_megabytes"], 1),
        }
        for way, cost in medians.items()
    ]


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="evaluations of each way")
    parser.add_argument("--once", type=int, help="evaluate in this process and print JSON: passages to keep, or 0")
    arguments = parser.parse_args()
    if arguments.once is not None:
        print(json.dumps(evaluate(arguments.once or None)))
        return
    figures = compare(arguments.rounds)
    write_json(
        RECORD,
        {
            "command": "python -m benchmarks.tops",
            "what": "132 subsets of XQuAD-R on random embeddings of 384 dimensions, beside encoding",
            "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
            "rounds": arguments.rounds,
            "figures": figures,
        },
    )
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
