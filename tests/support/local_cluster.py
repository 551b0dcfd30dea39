"""A Ray cluster of several nodes on this machine, in a process of its own: the tests fork, which Ray does not survive.

``python -m tests.support.local_cluster NODES CORES SECONDS`` prints the address and the process of each node's raylet
as JSON, and ends all when its input is closed or the seconds are over.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

MEMORY = 80 * 2**20
"""Of the object store of a node, in bytes; Ray takes no less."""


@dataclass(frozen=True)
class LocalCluster:
    """A cluster.

    Attributes:
        address: What a driver joins it by.
        raylets: Process id of each node's raylet, the head's first; the node dies with it.
    """

    address: str
    raylets: tuple[int, ...]

    def workers(self) -> list[tuple[int, psutil.Process]]:
        """Return the processes of the actors that run now, each with the number of its node, 0 for the head."""
        found = []
        for number, raylet in enumerate(self.raylets):
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(raylet).children():
                    if child.cmdline()[:1] and child.cmdline()[0].startswith("ray::Worker"):
                        found.append((number, child))
        return found

    def kill_worker(self, number: int = 0) -> None:
        """Kill the process of an actor."""
        self.workers()[number][1].kill()

    def kill_node(self) -> None:
        """Kill a node that has an actor and is not the head; with it die all its processes."""
        number = max(number for number, _ in self.workers())
        assert number > 0
        os.kill(self.raylets[number], signal.SIGKILL)


@contextmanager
def local_cluster(nodes: int = 3, cores: int = 1, seconds: int = 900) -> Iterator[LocalCluster]:
    """Run a cluster during the block, and no longer than some seconds."""
    command = [sys.executable, "-m", "tests.support.local_cluster", str(nodes), str(cores), str(seconds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said = json.loads(process.stdout.readline())
            yield LocalCluster(said["address"], tuple(said["raylets"]))
        finally:
            process.stdin.close()
            process.wait(60)


def main() -> None:
    """Be the process."""
    nodes, cores, seconds = map(int, sys.argv[1:])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    size = {"num_cpus": cores, "object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(wait=False, **size)
        cluster.wait_for_nodes()
        raylets = [node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()]
        print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)
        select.select([sys.stdin], [], [], seconds)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
