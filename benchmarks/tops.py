"""What keeping top passages costs beside encoding: an evaluation with --keep-top 10 and one without, side by side.

`python -m benchmarks.tops` evaluates all 132 subsets of XQuAD-R on the same random embeddings, in a process of its own
each time, with and without in turns, and writes the record leaderboard/published/measurements/tops.json: the least
seconds of processor time by one thread, the median of peak memory, their ratios, and the size of the files.
BEIR_HYBRID_DATA names the folder with the data, else it is downloaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from beir_hybrid.files import write_json

REPOSITORY = Path(__file__).parents[1]
RECORD = REPOSITORY / "leaderboard" / "published" / "measurements" / "tops.json"
WAYS = {"without": None, "--keep-top 10": 10}


def evaluate(keep_top: int | None) -> dict[str, float]:
    """Evaluate once in this process: seconds and peak megabytes beside encoding, and megabytes of the files."""
    import torch

    from beir_hybrid.tasks import XQuADR
    from benchmarks.evaluation import LookupEncoder, random_vectors, run

    class Timed(LookupEncoder):
        """Counts the processor time of looking vectors up, which other programs do not change."""

        cpu_seconds = 0.0

        def encode(self, inputs: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            found = super().encode(inputs, **kwargs)
            self.cpu_seconds += time.process_time() - start
            return found

    torch.set_num_threads(1)
    task = XQuADR()
    task.load_data()
    task.keep_top = keep_top
    assert task.parallel_corpus is not None
    encoder = Timed(random_vectors(task.parallel_corpus))
    with tempfile.TemporaryDirectory() as folder:
        task.ranks_folder = Path(folder)
        start = time.process_time()
        cost = run(task, encoder, task.hf_subsets)
        seconds = time.process_time() - start
        size = sum(path.stat().st_size for path in task.ranks_folder.rglob("*.parquet"))
    return {
        "seconds": seconds - encoder.cpu_seconds,
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
    """Evaluate in both ways in turns: least seconds and median memory, and how many times those without they are."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, keep_top in WAYS.items():
            runs[way].append(in_a_process(keep_top))
            print(way, {name: round(value, 2) for name, value in runs[way][-1].items()}, flush=True)
    # What else runs on the machine only adds to the time.
    costs = {
        way: {name: (min if name == "seconds" else median)(run[name] for run in of_way) for name in of_way[0]}
        for way, of_way in runs.items()
    }
    base = costs["without"]
    return [
        {
            "way": way,
            "seconds": round(cost["seconds"], 2),
            "times_seconds": round(cost["seconds"] / base["seconds"], 3),
            "peak_megabytes": round(cost["peak_megabytes"]),
            "times_megabytes": round(cost["peak_megabytes"] / base["peak_megabytes"], 3),
            "file_megabytes": round(cost["file_megabytes"], 1),
        }
        for way, cost in costs.items()
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
            "what": "What keeping top passages costs beside encoding: 132 subsets of XQuAD-R, random embeddings.",
            "command": "python -m benchmarks.tops",
            "machine": "2 cores (2 threads of one AMD EPYC core pair), no GPU; one thread, other programs beside it",
            "versions": {name: version(name) for name in ("mteb", "torch", "numpy", "pyarrow")},
            "rounds": arguments.rounds,
            "figures": {"ways": figures},
        },
    )
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
