"""What keeping top passages costs beside encoding: evaluations with --keep-top 10 and without, side by side.

`python -m benchmarks.tops` evaluates XQuAD-R on the same random embeddings, a question language at a time, with and
without in turns, so that what else runs on the machine slows both. Seconds are processor time of one thread, of all
languages together, without that of embedding. The peak of the memory in use is that of all languages at once, in a
process of its own each. It writes the record leaderboard/published/measurements/tops.json. BEIR_HYBRID_DATA names the
folder with the data, else it is downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from beir_hybrid.files import write_json
from beir_hybrid.mteb.encode import Call
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.subsets import Subset
from beir_hybrid.tasks import XQuADR
from benchmarks.evaluation import LookupEncoder, random_vectors, run

REPOSITORY = Path(__file__).parents[1]
RECORD = REPOSITORY / "leaderboard" / "published" / "measurements" / "tops.json"
WAYS = {"without": None, "--keep-top 10": 10}
IN_USE = {"MALLOC_MMAP_THRESHOLD_": "1000000"}
"""By default the C library keeps up to half as much again of what was freed, more in one run and less in the next."""


class Embedding:
    """Counts the processor time of embedding, which no evaluation is without: data loaders and looking vectors up."""

    def __init__(self) -> None:
        self.seconds = 0.0
        embed = Call.embed

        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.process_time()
            found = embed(*arguments, **options)
            self.seconds += time.process_time() - start
            return found

        Call.embed = timed  # type: ignore[method-assign]


class Evaluations:
    """Evaluates in this process."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.task = XQuADR()
        self.task.load_data()
        assert self.task.parallel_corpus is not None
        self.languages = list(self.task.parallel_corpus.languages)
        self.subsets = list(self.task.hf_subsets)
        self.encoder = LookupEncoder(random_vectors(self.task.parallel_corpus))
        self.embedding = Embedding()

    def cost(self, keep_top: int | None, languages: Sequence[str]) -> dict[str, float]:
        """Evaluate the questions of some languages: seconds beside encoding, and megabytes of memory and of files."""
        self.task.keep_top = keep_top
        self.task.hf_subsets = [name for name in self.subsets if Subset.parse(name).questions in languages]
        SHARED_RUNS.clear()
        with tempfile.TemporaryDirectory() as folder:
            self.task.ranks_folder = Path(folder)
            self.embedding.seconds, start = 0.0, time.process_time()
            measured = run(self.task, self.encoder, self.task.hf_subsets)
            seconds = time.process_time() - start - self.embedding.seconds
            size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        return {"seconds": seconds, "peak_megabytes": measured.megabytes, "file_megabytes": size / 2**20}


def in_a_process(keep_top: int | None) -> dict[str, float]:
    """Evaluate all languages once in a process of its own."""
    asked = [sys.executable, "-m", "benchmarks.tops", "--once", str(keep_top or 0)]
    environment = {**os.environ, **IN_USE}
    done = subprocess.run(asked, cwd=REPOSITORY, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def seconds_in_turns(rounds: int) -> dict[str, float]:
    """Return the seconds of each way, of all languages and rounds."""
    evaluations = Evaluations()
    seconds = dict.fromkeys(WAYS, 0.0)
    for number in range(rounds):
        for place, language in enumerate(evaluations.languages):
            for way in list(WAYS)[:: 1 if (number + place) % 2 else -1]:
                seconds[way] += evaluations.cost(WAYS[way], [language])["seconds"]
        print(number + 1, {way: round(value, 2) for way, value in seconds.items()}, flush=True)
    return {way: value / rounds for way, value in seconds.items()}


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="evaluations of each language in each way")
    parser.add_argument("--once", type=int, help="evaluate once in this process and print JSON: passages to keep, or 0")
    arguments = parser.parse_args()
    if arguments.once is not None:
        evaluations = Evaluations()
        print(json.dumps(evaluations.cost(arguments.once or None, evaluations.languages)))
        return
    seconds = seconds_in_turns(arguments.rounds)
    costs = {way: {**in_a_process(keep_top), "seconds": seconds[way]} for way, keep_top in WAYS.items()}
    base = costs["without"]
    figures = [
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
