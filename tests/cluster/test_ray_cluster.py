"""How many workers a cluster has room for, and what they are told; without Ray, one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from beir_hybrid.cluster.ray_cluster import Workers, load_ray, plan_workers, settings_of_run
from beir_hybrid.errors import BeirHybridError


def node(cores: int, gpus: float = 0, alive: bool = True) -> dict[str, Any]:
    resources = {"CPU": float(cores), "memory": 1e9} | ({"GPU": gpus} if gpus else {})
    return {"Alive": alive, "Resources": resources if cores else {"memory": 1e9}}


@pytest.mark.parametrize(
    ("nodes", "number", "gpus", "expected"),
    [
        ([node(2), node(2), node(2)], None, None, Workers(3, 2, 0)),
        ([node(0), node(8), node(4), node(4, alive=False)], None, None, Workers(2, 4, 0)),
        ([node(8), node(4)], 3, None, Workers(3, 4, 0)),
        ([node(8), node(4)], 5, None, Workers(5, 2, 0)),
        ([node(2)], 5, None, Workers(5, 1, 0)),  # four of them wait
        ([node(16, 8), node(16, 8), node(2)], None, None, Workers(16, 2, 1)),
        ([node(16, 8)], None, 2, Workers(4, 4, 2)),
        ([node(16, 1)], None, 0.25, Workers(4, 4, 0.25)),
        ([node(16, 8)], 3, None, Workers(3, 5, 1)),
        ([node(16, 8)], None, 0, Workers(1, 16, 0)),
    ],
)
def test_workers_share_the_cores_of_the_nodes(
    nodes: list[dict[str, Any]], number: int | None, gpus: float | None, expected: Workers
) -> None:
    assert plan_workers(nodes, number, gpus) == expected


@pytest.mark.parametrize(("nodes", "gpus"), [([node(2)], 1), ([node(0)], None), ([node(8, 1)], 2)])
def test_a_cluster_without_room_is_refused(nodes: list[dict[str, Any]], gpus: float | None) -> None:
    with pytest.raises(BeirHybridError, match="no node of the Ray cluster has a core") as error:
        plan_workers(nodes, None, gpus)
    assert "\n" not in str(error.value)


def test_workers_have_the_settings_of_the_run_and_paths_that_hold_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "miracl").mkdir()
    monkeypatch.setenv("BEIR_HYBRID_MIRACL", "miracl")
    monkeypatch.setenv("BEIR_HYBRID_CHUNK_SIZE", "100")
    monkeypatch.setenv("HF_TOKEN", "secret")
    settings = settings_of_run()
    assert settings["BEIR_HYBRID_MIRACL"] == str(tmp_path / "miracl")
    assert settings["BEIR_HYBRID_CHUNK_SIZE"] == "100"
    assert "HF_TOKEN" not in settings


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BeirHybridError, match=r'pip install "ray>=2\.60"') as error:
        load_ray()
    assert "\n" not in str(error.value)
