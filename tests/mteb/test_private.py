"""The private names of mteb that we use: they are there, and nobody but `beir_hybrid.mteb` uses one."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import mteb
import pytest
from mteb.abstasks.retrieval import AbsTaskRetrieval

from beir_hybrid.mteb import private
from beir_hybrid.tasks import XQuADR

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "beir_hybrid" / "mteb"

NAMES = {
    "mteb._create_dataloaders": ("create_dataloader",),
    "mteb.get_tasks": ("_TASKS_REGISTRY", "_SIMILAR_TASKS", "_create_similar_tasks", "TASK_LIST"),
    "mteb.benchmarks.get_benchmark": ("_build_registry", "_build_aliases_registry"),
    "mteb.evaluate": ("_check_cache", "OverwriteStrategy"),
    "mteb.models.model_implementations": ("MODEL_REGISTRY",),
    "mteb.models.get_model_meta": ("get_model_meta", "MODEL_REGISTRY"),
    "mteb.models.sentence_transformer_wrapper": ("SentenceTransformerEncoderWrapper",),
    "mteb.models.search_encoder_index.search_indexes.faiss_search_index": ("FaissSearchIndex",),
}
"""Module -> names that are private, or in no documentation."""

OF_TASKS = ("_top_k", "_add_main_score", "_predictions_path")
PRIVATE = {name for names in NAMES.values() for name in names if name.startswith("_")} | {*OF_TASKS}


@pytest.mark.parametrize("module", NAMES)
def test_the_names_are_where_they_were(module: str) -> None:
    assert not [name for name in NAMES[module] if not hasattr(importlib.import_module(module), name)]


def test_the_names_of_tasks_are_what_they_were(tmp_path: Path) -> None:
    task = XQuADR()
    assert all(hasattr(AbsTaskRetrieval, name) for name in OF_TASKS)
    assert private.top_k(task) == 1000
    assert private.predictions_path(task, tmp_path / "new") == tmp_path / "new" / "XQuADR_predictions.json"
    scores = {"map": 0.25}
    private.add_main_score(task, scores)
    assert scores == {"map": 0.25, "main_score": 0.25}


def private_names(path: Path) -> Iterator[str]:
    """Yield the names of other modules and objects with an underscore before them that a file uses."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mteb":
            yield from (part for part in (node.module or "").split(".") if part.startswith("_"))
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"mteb[.\w]+", node.value):
            yield from (part for part in node.value.split(".") if part.startswith("_"))
        elif isinstance(node, ast.Attribute) and re.fullmatch("_[^_].*", node.attr) and node.attr not in own:
            yield node.attr


def test_no_other_module_uses_one() -> None:
    modules = mteb.__path__ and {path.stem for path in Path(mteb.__path__[0]).rglob("_*.py") if path.stem[1] != "_"}
    files = [*(ROOT / "beir_hybrid").rglob("*.py"), *(ROOT / "tasks").glob("*.py"), *(ROOT / "tools").glob("*.py")]
    outside = {path: (PRIVATE | modules) & {*private_names(path)} for path in files if ROOM not in path.parents}
    assert not {path: names for path, names in outside.items() if names}


def test_the_list_is_complete() -> None:
    used = {name for path in ROOM.glob("*.py") for name in private_names(path)}
    own = set(re.findall(r"self\.(_\w+)", " ".join(path.read_text(encoding="utf-8") for path in ROOM.glob("*.py"))))
    own |= {"_create_dataloaders"}  # a module, in NAMES
    assert used - own <= PRIVATE
