"""How a pass divides among workers, and what it takes to put their counts together: `python -m benchmarks.scaling`.

The first table: a MIRACL-shaped pool is counted by 1, 2 and 4 workers, as shards and by Ray, with an encoder that
sleeps, so that the cores of the machine do not decide. Seconds are those of the plan, and from when all workers have
begun to the last counts that are written, or with Ray to the rank table; efficiency is the time of one worker, divided
by that of n and by n. The second: counts of MIRACL's size, 13,495 questions in 18 languages, are read from files and
merged.

Figures are printed as JSON. The benchmark needs the extra `ray`; `--ways shards` does without.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus
from beir_hybrid.scoring.chunk_plan import ChunkPlan
from beir_hybrid.scoring.chunked import TILE
from beir_hybrid.scoring.counting import PassageBlock
from beir_hybrid.scoring.partial_counts import PartialCounts
from beir_hybrid.scoring.pass_folder import PassFolder
from beir_hybrid.scoring.shards import Shard
from benchmarks import sleeping
from benchmarks.measure import measured

WORKERS = (1, 2, 4)
N_LANGUAGES, N_QUESTIONS, N_RELEVANT = 18, 13_495, 2
"""MIRACL's dev sets: languages, questions of all of them, and about how many right answers a question has."""

TASK = "MIRACLCLFull"


def run(command: Sequence[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a command of the package in a folder."""
    program = str(Path(sys.executable).with_name("beir-hybrid"))
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [program, *command], env={**os.environ, **environment}, cwd=folder, stdout=log, stderr=log
        )


class Used(NamedTuple):
    """What a process has used: the peak of its resident memory, and seconds of processors."""

    megabytes: float
    seconds: float


def wait(processes: Sequence[subprocess.Popen[bytes]], folder: Path) -> list[Used]:
    """Wait for processes."""
    found = []
    for process in processes:
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit((folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:])
        found.append(Used(usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime))
    return found


def divided(folder: Path, end: float, workers: int) -> dict[str, Any]:
    """Return the seconds of a run, and how its texts were divided among its workers.

    Args:
        folder: Of the encoder.
        end: When the run was done, in seconds since the epoch.
        workers: How many it had.
    """
    batches, together = sleeping.read_diary(folder), max(path.stat().st_mtime for path in folder.glob("ready-*"))
    first = [batch for batch in batches if batch.start < together]
    texts: Counter[int] = Counter()
    for batch in batches[len(first) :]:
        texts[batch.process] += batch.texts
    plan_seconds = first[-1].end - min(batch.start for batch in first)
    return {
        "workers": workers,
        "seconds": plan_seconds + end - together,
        "plan_seconds": plan_seconds,
        "texts": sum(batch.texts for batch in batches),
        "largest_share": max(texts.values()) / sum(texts.values()),
    }


def by_shards(stand_in: Path, workers: int, encoder: sleeping.Settings, folder: Path) -> dict[str, Any]:
    """Count the pool in as many shards, and merge them."""
    variables = {**_variables(stand_in, folder), **sleeping.environment(encoder)}
    shards = [run([*_command(stand_in), "--shard", f"{n}/{workers}"], variables, folder) for n in range(1, workers + 1)]
    used = wait(shards, folder)
    counts = [*folder.rglob("counts-*.safetensors")]
    outcome = divided(Path(encoder.folder), max(path.stat().st_mtime for path in counts), workers)
    (of_merge,) = wait([run(["merge", str(counts[0].parent), "--out", "merged"], variables, folder)], folder)
    return {
        "way": "shards",
        **outcome,
        "worker_megabytes": max(worker.megabytes for worker in used),
        "driver_megabytes": of_merge.megabytes,
        "driver_processor_seconds": of_merge.seconds,
    }


def by_ray(stand_in: Path, workers: int, encoder: sleeping.Settings, folder: Path) -> dict[str, Any]:
    """Count the pool by as many workers of a Ray cluster with as many nodes."""
    variables = {**_variables(stand_in, folder), **sleeping.environment(encoder)}
    variables["RAY_worker_niceness"] = "0"  # other processes of the machine would come first
    with _variables_set(variables), _cluster(workers, encoder.folder) as address:
        options = ["--engine", "ray", "--address", address, "--workers", str(workers)]
        (of_driver,) = wait([run([*_command(stand_in), *options], variables, folder)], folder)
    (table,) = folder.rglob(f"{TASK}.parquet")
    outcome = divided(Path(encoder.folder), table.stat().st_mtime, workers)
    driver = {"driver_megabytes": of_driver.megabytes, "driver_processor_seconds": of_driver.seconds}
    return {"way": "Ray", **outcome, **driver}


def _command(stand_in: Path) -> list[str]:
    return ["mteb", "run", "-m", str(stand_in / "model"), "-t", TASK, "--output-folder", "results"]


@contextmanager
def _cluster(nodes: int, folder: str) -> Iterator[str]:
    from tests.support.local_cluster import local_cluster

    sys.path.insert(0, folder)  # which its processes inherit
    try:
        with local_cluster(nodes=nodes, cores=1, seconds=1800) as cluster:
            yield cluster.address
    finally:
        sys.path.remove(folder)


@contextmanager
def _variables_set(variables: dict[str, str]) -> Iterator[None]:
    """Set variables of this process, which the nodes of a cluster inherit, during the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _variables(stand_in: Path, home: Path) -> dict[str, str]:
    home.mkdir(parents=True)
    return {
        "BEIR_HYBRID_MIRACL": str(stand_in / "data"),
        "BEIR_HYBRID_HOME": str(home / "home"),
        "BEIR_HYBRID_CHUNK_SIZE": (stand_in / "chunk").read_text(encoding="utf-8"),
        "OMP_NUM_THREADS": "1",
    }


def scale(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Count a stand-in for MIRACL by 1, 2 and 4 workers, in each way."""
    from tests.support import static_miracl

    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        stand_in = Path(name)
        static_miracl.write(stand_in / "data", options.passages, options.questions)
        static_miracl.save_encoder(stand_in / "model")
        (stand_in / "chunk").write_text(str(options.chunk), encoding="utf-8")
        first = _texts_of_plan(stand_in / "data")
        for way in options.ways:
            count = {"shards": by_shards, "ray": by_ray}[way]
            alone = 0.0
            for workers in options.workers:
                folder = stand_in / f"{way}-{workers}"
                encoder = sleeping.Settings(str(folder / "python"), options.seconds, workers, first)
                outcome = count(stand_in, workers, encoder, folder)
                alone = alone or outcome["seconds"] * workers
                outcomes.append({**outcome, "efficiency": alone / (outcome["seconds"] * workers)})
                print(outcomes[-1], file=sys.stderr, flush=True)
    return outcomes


def _texts_of_plan(data: Path) -> int:
    """Count the questions and the right answers."""
    files = [pq.read_table(file) for file in data.glob("*-qrels/*.parquet")]
    return sum(len(pc.unique(table[name])) for table in files for name in ("query-id", "corpus-id"))


def miracl_shaped(parts: int) -> ParallelCorpus:
    """Make up questions and passages of MIRACL's languages: TILE passages of each for every part."""
    languages = {}
    for number, rows in enumerate(np.array_split(np.arange(N_QUESTIONS), N_LANGUAGES)):
        code, n_passages = f"q{chr(97 + number)}a", parts * TILE
        questions = tuple(f"{code}-{row}" for row in rows)
        languages[code] = LanguageCorpus(
            language=code,
            question_ids=questions,
            questions=questions,
            articles=questions,
            passage_ids=tuple(f"{code}:{n}#0" for n in range(n_passages)),
            passages=("",) * n_passages,
            relevance={
                question: {(n * N_RELEVANT + k) % n_passages: 1 for k in range(N_RELEVANT)}
                for n, question in enumerate(questions)
            },
        )
    return ParallelCorpus("made-up", "1", languages)


def write_parts(plan: ChunkPlan, folder: PassFolder, parts: int) -> None:
    """Write the counts of as many shards, each of another TILE passages of every language."""
    random = torch.Generator().manual_seed(0)
    own = {language: torch.rand(len(targets.queries), generator=random) for language, targets in plan.targets.items()}
    for part in range(parts):
        counts = PartialCounts.empty(plan, own)
        for language, counter in counts.counters.items():
            for number, ids in enumerate(plan.passage_ids):
                rows = np.arange(part * TILE, (part + 1) * TILE)
                scores = torch.rand(plan.targets[language].n_queries, TILE, generator=random)
                counter.add(PassageBlock(number, int(rows[0]), ids[rows[0] : rows[-1] + 1], None, rows), scores)
        counts.chunks.add(f"made-up-{part}")
        arrays, facts = counts.arrays()
        folder.save(Shard(part + 1, parts).part, arrays, **facts)


def merge_parts(plan: ChunkPlan, folder: PassFolder, parts: int) -> dict[str, Any]:
    """Read and merge the counts of all shards, as ``beir-hybrid merge`` and the driver of Ray do."""
    merged, seconds, held = None, [], 0.0
    before = psutil.Process().memory_info().rss
    with measured() as whole:
        for part in range(parts):
            start = time.process_time()
            if part == 1:
                held = psutil.Process().memory_info().rss - before
            saved = folder.load_arrays(Shard(part + 1, parts).part)
            assert saved is not None
            counts = PartialCounts.from_arrays(plan, *saved)
            merged = counts if merged is None else merged.merge(counts)
            merged.compact(plan)
            seconds.append(time.process_time() - start)
        assert merged is not None
        start = time.process_time()
        merged.result()
    return {
        "processor_seconds_a_shard": float(np.mean(seconds[1:])),
        "counts_megabytes": held / 2**20,
        "processor_seconds_of_result": time.process_time() - start,
        "driver_megabytes": whole.megabytes,
    }


def merging(parts: int) -> dict[str, Any]:
    """Measure what merging counts of MIRACL's size takes, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        plan = ChunkPlan(miracl_shaped(parts), *([f"q{chr(97 + n)}a" for n in range(N_LANGUAGES)],) * 2)
        folder = PassFolder.of({"model": "m", "model_revision": "1", "task": "t"}, Path(name))
        process = os.fork()
        if not process:  # what writing has taken is not to be in the memory of this one
            torch.set_num_threads(1)
            write_parts(plan, folder, parts)
            os._exit(0)
        if os.waitpid(process, 0)[1]:
            raise SystemExit("nothing to merge was written")
        sizes = [path.stat().st_size for path in folder.folder.glob("counts-*.safetensors")]
        outcome = merge_parts(plan, folder, parts)
    shape = {"languages": N_LANGUAGES, "questions": N_QUESTIONS, "shards": parts}
    return {**shape, "megabytes_of_a_shard": float(np.mean(sizes)) / 2**20, **outcome}


def main() -> None:
    """Measure, and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=10_000, help="passages of each of four languages")
    parser.add_argument("--questions", type=int, default=25, help="questions of each language")
    parser.add_argument("--chunk", type=int, default=500, help="passages of a chunk")
    parser.add_argument("--seconds", type=float, default=0.01, help="what the encoder takes for a text")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="how many, one run each")
    parser.add_argument("--ways", nargs="*", choices=("shards", "ray"), default=("shards", "ray"))
    parser.add_argument("--parts", type=int, default=4, help="shards to merge at MIRACL's size; 0 for none")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    if options.parts:
        figures["merging"] = merging(options.parts)
        print(figures["merging"], file=sys.stderr, flush=True)
    if options.ways:
        figures["scaling"] = scale(options)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
