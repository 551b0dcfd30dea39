"""The options that say who counts: what does not fit together is one line, and Ray is imported by nobody else."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.support.command_line import exit_code

ROOT = Path(__file__).parents[2]
EVALUATE = ("evaluate", "-m", "no/model", "--data", "atlas-r")
RUN = ("mteb", "run", "-m", "no/model", "-t", "AtlasR")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path))


@pytest.mark.parametrize("command", [EVALUATE, RUN], ids=["evaluate", "mteb run"])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--engine dask", "--engine dask: there is one engine, ray"),
        ("--workers 2", "--workers is for --engine ray"),
        ("--address auto", "--address is for --engine ray"),
        ("--gpus-per-worker 1", "--gpus-per-worker is for --engine ray"),
        ("--engine ray --workers 0", "--workers 0: write a whole number above 0"),
        ("--engine ray --gpus-per-worker 1.5", "--gpus-per-worker 1.5: write a whole number, or one below 1"),
        ("--engine ray --gpus-per-worker -1", "--gpus-per-worker -1: write a whole number"),
        ("--engine ray --gpus-per-worker nan", "--gpus-per-worker nan: write a whole number"),
        ("--engine ray --shard 1/2", "--engine ray and --shard exclude each other"),
    ],
)
def test_what_does_not_fit_together_is_one_line(
    command: tuple[str, ...], options: str, reason: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert exit_code(*command, *options.split()) == 2
    assert refused(capsys).startswith(reason)
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("command", "option"), [(EVALUATE, "--index=Flat"), (RUN, "--device=cuda:1")], ids=["index", "device"]
)
def test_what_workers_cannot_do_is_refused(
    command: tuple[str, ...], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*command, "--engine", "ray", option) == 2
    assert refused(capsys) == f"--engine ray and {option.partition('=')[0]} exclude each other"


@pytest.mark.parametrize("command", [EVALUATE, RUN], ids=["evaluate", "mteb run"])
def test_without_ray_one_line_says_what_to_install(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert exit_code(*command, "--engine", "ray") == 2
    assert 'pip install "ray>=2.60"' in refused(capsys)


def test_an_address_where_nobody_is_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(*EVALUATE, "--languages", "en,de", "--engine", "ray", "--address", "127.0.0.1:1") == 2
    assert refused(capsys).startswith("cannot join the Ray cluster 127.0.0.1:1 (ConnectionRefusedError:")


def test_one_function_imports_ray() -> None:
    importing = []
    for path in [*(ROOT / "beir_hybrid").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")]:
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for node in ast.iter_child_nodes(function):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                importing += [function for name in names if name.split(".")[0] == "ray"]
    [where] = importing
    assert isinstance(where, ast.Try)  # in load_ray, which says what to install


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the only line of the standard error."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    return lines[-1].removeprefix("error: ")
