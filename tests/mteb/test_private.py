"""The private names of mteb that we use: they are there, and nobody but `beir_hybrid.mteb` uses one."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from beir_hybrid.mteb import private
from beir_hybrid.tasks import XQuADR

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "beir_hybrid" / "mteb"

NAMES = {
    "mteb._create_dataloaders": ("create_dataloader",),
    "mteb.get_tasks": ("_TASKS_REGISTRY", "_SIMILAR_TASKS", "_create_similar_tasks", "TASK_LIST"),
    "mteb.benchmarks.get_benchmark": ("_build_registry", "_build_aliases_registry"),
    "mteb.evaluate": ("_check_cache", "_evaluate_task", "OverwriteStrategy", "TaskError"),
    "mteb.models.model_implementations": ("MODEL_REGISTRY",),
    "mteb.models.get_model_meta": ("get_model_meta", "MODEL_REGISTRY"),
    "mteb.models.sentence_transformer_wrapper": (
        "SentenceTransformerEncoderWrapper",
        "_postprocess_dense_embeddings",
    ),
    "mteb.models.search_encoder_index.search_indexes.faiss_search_index": ("FaissSearchIndex",),
}
"""Module -> names that are private, or in no documentation."""

OF_TASKS = ("_top_k", "_add_main_score")
PRIVATE = {name for names in NAMES.values() for name in names if name.startswith("_")} | {*OF_TASKS}


@pytest.mark.parametrize("module", NAMES)
def test_the_names_are_where_they_were(module: str) -> None:
    assert not [name for name in NAMES[module] if not hasattr(importlib.import_module(module), name)]


def test_the_names_of_tasks_are_what_they_were() -> None:
    task = XQuADR()
    assert all(hasattr(task, name) for name in OF_TASKS)
    assert private.top_k(task) == 1000
    assert task.prediction_file_name == "XQuADR_predictions.json"
    scores = {"map": 0.25}
    private.add_main_score(task, scores)
    assert scores == {"map": 0.25, "main_score": 0.25}


def imported(path: Path) -> set[str]:
    """Return the private modules and names of mteb that a file imports, or names as a module to be imported."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]
        of_mteb = [name.split(".") for name in names if re.fullmatch(r"mteb[.\w]+", name)]
        found |= {part for parts in of_mteb for part in parts if part.startswith("_")}
    return found


def attributes(path: Path) -> set[str]:
    """Return the attributes with one underscore before them that a file uses."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and re.fullmatch("_[^_].*", node.attr)}


def test_no_other_module_uses_one() -> None:
    files = [path for room in ("beir_hybrid", "tasks", "tools") for path in (ROOT / room).rglob("*.py")]
    outside = [path for path in files if ROOM not in path.parents]
    assert not {path: names for path in outside if (names := imported(path) | attributes(path) & PRIVATE)}


def test_the_list_is_complete() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in ROOM.glob("*.py")}
    own = set(re.findall(r"self\.(_\w+)", " ".join(sources.values())))
    used = {name for path in sources for name in attributes(path)} - own
    assert used <= PRIVATE
    assert {name for path in sources for name in imported(path)} <= {"_create_dataloaders"}, "private modules"
