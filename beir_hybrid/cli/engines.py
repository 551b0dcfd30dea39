"""The options that say who counts: this process, or the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import shown

if TYPE_CHECKING:
    from beir_hybrid.cluster.ray_engine import RayModel

RAY = "ray"

HELP = {
    "engine": "Have the workers of a Ray cluster count the ranks: ray. It needs the extra `ray`.",
    "address": "With --engine ray: the cluster, auto for the one that this machine belongs to, or host:port; by "
    "default a new one of this machine alone.",
    "workers": "With --engine ray: workers, each with the model; by default one for each GPU, or for each machine.",
    "gpus_per_worker": "With --engine ray: GPUs of each worker, below 1 to share one; 1 where there are any.",
}
"""What --help says of each option."""


@dataclass(frozen=True)
class Engine:
    """What was asked for.

    Attributes:
        name: ``ray``; None for this process.
        address: As for ``cluster.ray_cluster.connected``.
        workers: As for ``cluster.ray_cluster.plan_workers``.
        gpus_per_worker: As for ``cluster.ray_cluster.plan_workers``.
    """

    name: str | None = None
    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float | None = None

    def __bool__(self) -> bool:
        return self.name is not None

    def check(self, **excluded: object) -> None:
        """Refuse what does not fit together.

        Args:
            excluded: Other options, by name, that this process alone can do.

        Raises:
            BeirHybridError: There is no such engine, or it is not installed; a value is none; two options exclude each
                other.
        """
        asked = {"address": self.address, "workers": self.workers, "gpus-per-worker": self.gpus_per_worker}
        for name, value in asked.items():
            if value is not None and not self:
                raise BeirHybridError(f"--{name} is for --engine {RAY}")
        if not self:
            return
        if self.name != RAY:
            raise BeirHybridError(f"--engine {shown(str(self.name))}: there is one engine, {RAY}")
        for name, other in excluded.items():
            if other is not None:
                raise BeirHybridError(f"--engine {RAY} and --{name.replace('_', '-')} exclude each other")
        if self.workers is not None and self.workers < 1:
            raise BeirHybridError(f"--workers {self.workers}: write a whole number above 0")
        gpus = self.gpus_per_worker
        if gpus is not None and not (gpus >= 0 and (gpus <= 1 or float(gpus).is_integer())):
            raise BeirHybridError(f"--gpus-per-worker {gpus:g}: write a whole number, or one below 1 to share a GPU")
        from beir_hybrid.cluster.ray_cluster import load_ray

        load_ray()

    @contextmanager
    def models(self) -> Iterator[Callable[..., RayModel]]:
        """Give what loads models on the workers, which end with the block.

        Raises:
            BeirHybridError: Ray is not installed, or there is no such cluster.
        """
        from beir_hybrid.cluster.ray_engine import ray_models

        with ray_models(self.address, self.workers, self.gpus_per_worker) as load:
            yield load

    @contextmanager
    def in_place_of_models(self) -> Iterator[None]:
        """Let MTEB's command line evaluate what workers have loaded, if that was asked for."""
        if not self:
            yield
            return
        from beir_hybrid.mteb.private import models_from

        with self.models() as load, models_from(load):
            yield
