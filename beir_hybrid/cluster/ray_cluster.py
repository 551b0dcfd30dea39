"""Ray, where it is installed: the cluster that a run works in, and how many workers of what size it has room for."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beir_hybrid.errors import BeirHybridError, one_line
from beir_hybrid.files import shown
from beir_hybrid.scoring.shards import SHARD

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # a node that dies would have its last forty lines printed on standard output
}


@dataclass(frozen=True)
class Workers:
    """How many workers a run has, and what each of them takes of its node.

    Attributes:
        number: Workers.
        cpus: Cores of each.
        gpus: GPUs of each; below 1 where several share one.
    """

    number: int
    cpus: int
    gpus: float


def load_ray() -> Any:
    """Import Ray, which this engine alone needs.

    Raises:
        BeirHybridError: It is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise BeirHybridError(
            f'--engine ray needs Ray, which is not installed here: pip install "ray>=2.60" ({error})'
        ) from error
    return ray


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Be a driver of a Ray cluster during the block, which is given Ray.

    Args:
        address: ``auto`` for the cluster that this machine belongs to, ``host:port`` for another; by default the one of
            RAY_ADDRESS, or else a new one of this machine alone, which ends with the block. A connection that the
            process has already is used, and kept.

    Raises:
        BeirHybridError: Ray is not installed, or there is no such cluster.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    on_sigterm: Any = signal.getsignal(signal.SIGTERM)
    try:
        _check_reachable(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        raise BeirHybridError(
            f"cannot join the Ray cluster {shown(address)} ({one_line(error)}): start one with `ray start --head`, or "
            "leave --address out for one of this machine alone"
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has one of its own, which leaves no time to write counts
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise an OSError where nobody listens, after some seconds: Ray tries for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def plan_workers(nodes: Sequence[Mapping[str, Any]], number: int | None, gpus: float | None) -> Workers:
    """Say how many workers a run has and how large they are: by default one for each GPU, or for each node without any.

    Each gets as many cores as all of them can have.

    Args:
        nodes: What ``ray.nodes`` says.
        number: Workers asked for; more than there is room for wait for it.
        gpus: GPUs of each, by default one where the cluster has any.

    Raises:
        BeirHybridError: No node has such GPUs, or any cores.
    """
    sizes = [node["Resources"] for node in nodes if node["Alive"]]
    cores = [int(size.get("CPU", 0)) for size in sizes]
    cards = [float(size.get("GPU", 0)) for size in sizes]
    gpus = float(any(cards)) if gpus is None else gpus
    most = [int(card / gpus + 1e-9) for card in cards] if gpus else cores
    room = sum(min(core, workers) for core, workers in zip(cores, most, strict=True))
    if not room:
        raise BeirHybridError(
            f"no node of the Ray cluster has a core{f' and {gpus:g} GPUs' if gpus else ''} for a worker; it has "
            f"{len(sizes)} nodes, {sum(cores)} cores and {sum(cards):g} GPUs in all"
        )
    number = number or (room if gpus else sum(core > 0 for core in cores))

    def all_fit(cpus: int) -> bool:
        return sum(min(core // cpus, workers) for core, workers in zip(cores, most, strict=True)) >= number

    return Workers(number, max(filter(all_fit, range(1, max(cores) + 1)), default=1), gpus)


def settings_of_run() -> dict[str, str]:
    """Return the variables that belong to a run and not to a node: BEIR-Hybrid's, with paths that hold anywhere."""
    return {
        name: str(Path(value).resolve()) if os.path.exists(value) else value
        for name, value in os.environ.items()
        if name.startswith("BEIR_HYBRID_") and name != SHARD
    }
