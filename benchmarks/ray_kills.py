"""What Ray's workers count is what one process counts, whatever is killed: `python -m benchmarks.ray_kills`.

A stand-in for MIRACL, 200,000 passages in four languages, and an encoder of single words. Three nodes of a Ray cluster
run on this machine. Rank tables and scores are compared with those of one process, byte for byte: undisturbed; with a
node killed in the middle; with a worker killed ten times; with the driver killed three times and started again. The
outcome is printed as JSON; the exit code is 1 if a rank table differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support import static_miracl
from tests.support.local_cluster import LocalCluster, local_cluster

CORES = 2
SECONDS = 1800

Disturb = Callable[[subprocess.Popen[bytes], Path], None]


def main() -> None:
    """Run all, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=50_000, help="passages of each of the four languages")
    parser.add_argument("--questions", type=int, default=200, help="questions of each")
    parser.add_argument("--chunk-size", type=int, default=2_000, help="passages of a chunk")
    parser.add_argument("--checkpoint-seconds", type=float, default=5, help="seconds between two times of handing over")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        runs = dict(_runs(Path(name), arguments))
    alone = runs["one process"]["files"]
    for run in runs.values():
        run["outcome"] = "those of one process" if run["files"] == alone else "others"
    print(json.dumps({"passages": 4 * arguments.passages, "runs": runs}, indent=1))
    sys.exit(0 if all(run["files"] == alone for run in runs.values()) else 1)


def _runs(folder: Path, arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    static_miracl.write(folder / "data", arguments.passages, arguments.questions)
    static_miracl.save_encoder(folder / "model")
    settings = {
        "BEIR_HYBRID_MIRACL": str(folder / "data"),
        "BEIR_HYBRID_CHUNK_SIZE": str(arguments.chunk_size),
        "BEIR_HYBRID_CHECKPOINT_SECONDS": str(arguments.checkpoint_seconds),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    yield "one process", _run(folder / "alone", settings, [])
    disturbances: dict[str, Callable[[LocalCluster], list[Disturb]]] = {
        "Ray": lambda _: [_undisturbed],
        "Ray, a node killed": lambda cluster: [_kill_node(cluster)],
        "Ray, a worker killed ten times": lambda cluster: [_kill_workers(cluster, 10)],
        "Ray, the driver killed three times": lambda cluster: [*[_kill_driver] * 3, _undisturbed],
    }
    for number, (name, disturb) in enumerate(disturbances.items()):
        with local_cluster(nodes=3, cores=CORES, seconds=SECONDS) as cluster:
            ray = ["--engine", "ray", "--address", cluster.address, "--workers", "3"]
            for happening in disturb(cluster):
                run = _run(folder / f"ray-{number}", settings, ray, happening)
        yield name, run


def _run(home: Path, settings: dict[str, str], options: list[str], disturb: Disturb | None = None) -> dict[str, Any]:
    """Evaluate, and say how long it took, how much was counted again, and what was written."""
    home.mkdir(exist_ok=True)
    model = str(home.parent / "model")
    command = [sys.executable, "-m", "beir_hybrid", "mteb", "run", "-m", model, "-t", "MIRACLCLFull", *options]
    environment = {**os.environ, **settings, "BEIR_HYBRID_HOME": str(home), "COLUMNS": "400"}
    start = time.monotonic()
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--output-folder", str(home / "mteb")], env=environment, stdout=log, stderr=log
        )
        (disturb or _undisturbed)(process, home)
        code = process.wait(SECONDS)
    said = (home / "log").read_text(encoding="utf-8", errors="replace")
    if code > 0:
        sys.exit(f"{home.name} ended with {code}:\n{said[-3000:]}")
    return {
        "seconds": round(time.monotonic() - start, 1),
        "workers_lost": said.count("was lost and is replaced"),
        "chunks_counted_again": sum(map(int, re.findall(r"that are counted again: (\d+)", said))),
        "went_on_after": ", ".join(re.findall(r"goes on after (\d+) of", said)),
        "files": _digests(home),
    }


def _digests(home: Path) -> dict[str, str]:
    """Return the hash of the rank table, and of the scores."""
    digests = {}
    for path in sorted(home.rglob("MIRACLCLFull.*")):
        if path.suffix == ".parquet":
            digests["rank table"] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.suffix == ".json":
            scores = json.loads(path.read_text(encoding="utf-8"))["scores"]
            digests["scores"] = hashlib.sha256(json.dumps(scores, sort_keys=True).encode()).hexdigest()
    return digests


def _undisturbed(process: subprocess.Popen[bytes], home: Path) -> None:
    """Do nothing."""


def _kill_node(cluster: LocalCluster) -> Disturb:
    def disturb(process: subprocess.Popen[bytes], home: Path) -> None:
        if _is_counting(process, home):
            cluster.kill_node()

    return disturb


def _kill_workers(cluster: LocalCluster, times: int) -> Disturb:
    def disturb(process: subprocess.Popen[bytes], home: Path) -> None:
        for _ in range(times):
            if not _is_counting(process, home):
                sys.exit("the run was over before all workers were killed: use more passages")
            workers = cluster.workers()
            cluster.kill_worker(random.randrange(len(workers)))

    return disturb


def _kill_driver(process: subprocess.Popen[bytes], home: Path) -> None:
    if _is_counting(process, home):
        process.kill()


def _is_counting(process: subprocess.Popen[bytes], home: Path) -> bool:
    """Wait until the driver has written counts once more, and some random seconds longer; false if the run is over."""
    start = time.time()
    while process.poll() is None:
        written = [path.stat().st_mtime for path in home.glob("checkpoints/*/*/*/*/counts-*.safetensors")]
        if any(moment > start for moment in written):
            time.sleep(random.uniform(0, 3))
            return process.poll() is None
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    main()
