"""The manifest of a training run: what the model was made of, as JSON beside its files.

It holds no time and no path: equal runs write equal manifests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import Field

from beir_hybrid.errors import BeirHybridError, first_line
from beir_hybrid.files import read_json, shown, write_json
from beir_hybrid.schemas import Name, Open, checked

FILE_NAME = "training_manifest.json"
SCHEMA_VERSION = 1
_PACKAGES = ("accelerate", "beir-hybrid", "datasets", "numpy", "sentence-transformers", "torch", "transformers")


class Origin(Open):
    """The base of a model, or a part of its training data: the MTEB tasks it holds, None where nobody knows them."""

    training_datasets: list[Name] | None


class Origins(Open):
    """What a manifest says of where a model comes from."""

    base: Origin
    data: list[Origin]
    settings: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class TrainingManifest:
    """What a model was made of.

    Attributes:
        base: ``name`` and ``revision`` of the model it started from, and ``training_datasets``: the MTEB tasks that the
            base has seen, None if that is not known.
        data: A source each, those that the start was made of at the end: ``source``, ``revision``, ``languages``,
            ``rows`` and ``training_datasets``, the MTEB tasks that a model trained on it has seen.
        languages: Languages of all sources.
        pairs: Language pair, question language first, -> number of training pairs.
        settings: The recipe.
        processes: Number of processes, each with a batch of its own.
        steps_done: Number of optimiser steps.
        losses: Name -> mean over the last logged steps.
        fingerprints: ``file`` and ``sha256`` of the fingerprints of the texts.
        versions: Package -> version.
        schema_version: Version of this layout.
    """

    base: Mapping[str, Any]
    data: list[dict[str, Any]]
    languages: list[str]
    pairs: Mapping[str, int]
    settings: Mapping[str, Any]
    processes: int
    steps_done: int
    losses: Mapping[str, float]
    fingerprints: Mapping[str, str]
    versions: Mapping[str, str]
    schema_version: int = SCHEMA_VERSION

    @property
    def known_training_datasets(self) -> frozenset[str]:
        """Names of the MTEB tasks that the model is known to have seen, in this run or in the base's training."""
        seen = set(self.base["training_datasets"] or ())
        return frozenset(seen.union(*(part["training_datasets"] for part in self.data)))

    def write(self, folder: Path) -> None:
        """Write the manifest into the folder of the model.

        Raises:
            BeirHybridError: It cannot be written.
        """
        write_json(folder / FILE_NAME, asdict(self))


def read_manifest(folder: Path) -> TrainingManifest | None:
    """Return the manifest of the model in a folder; None for a model without one.

    Raises:
        BeirHybridError: The file is damaged or of another version.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return None
    content, damaged = read_json(path), f"{shown(path)} is not a whole training manifest"
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise BeirHybridError(f"{shown(path)} has schema version {version}; this version reads {SCHEMA_VERSION}")
    checked(Origins, content, damaged, BeirHybridError)
    try:
        return TrainingManifest(**content)
    except TypeError as error:  # a field is missing or unknown
        raise BeirHybridError(f"{damaged} ({shown(first_line(error))})") from error


@cache
def package_versions() -> dict[str, str]:
    """Return package -> version of what a run's numbers depend on."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            continue
    return versions
