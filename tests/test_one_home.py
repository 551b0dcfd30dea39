"""Each word has one home: no other module takes subsets apart, maps languages, or names a corpus."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from beir_hybrid.corpora import specs

ROOT = Path(__file__).parents[1]
FILES = [path for folder in ("beir_hybrid", "tasks", "leaderboard") for path in sorted((ROOT / folder).rglob("*.py"))]
THIN_TASKS = {"__init__.py", "miracl.py"}
SUBSETS_TAKEN_APART = re.compile(r"""\b(split|partition)\(["'][-_]["']""")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?")


def strings(path: Path) -> Iterator[str]:
    """Yield the strings of a module that are neither documentation nor a help text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed_over = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "help":
            passed_over |= {id(part) for part in ast.walk(node.value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed_over:
            yield node.value


def names_of_corpora() -> set[str]:
    """Return the names of all corpora, of their tasks and of their training pairs, and their titles."""
    names = {name for spec in specs() for name in (spec.name, spec.title, *spec.pairs)}
    return names | {name for spec in specs() if spec.task for name in (spec.task.name, spec.task.bias_name)}


def test_no_code_asks_for_a_corpus_by_name() -> None:
    names = names_of_corpora()
    outside = [
        path
        for path in FILES
        if ROOT / "beir_hybrid" / "corpora" not in path.parents
        and not (path.parent == ROOT / "tasks" and path.name in THIN_TASKS)
    ]
    users = {str(path.relative_to(ROOT)) for path in outside if names & set(strings(path))}
    assert users == {"beir_hybrid/beir.py", "beir_hybrid/study/quickstart.py"}  # a default, and a study's definition


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_class_of_subsets_takes_their_names_apart(path: Path) -> None:
    if path.name != "subsets.py":
        assert not SUBSETS_TAKEN_APART.search(path.read_text(encoding="utf-8"))


def test_there_is_one_table_of_languages() -> None:
    tables = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict) and len(node.keys) > 3:
                pairs = [
                    (key.value, value.value)
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
                ]
                if pairs and all(isinstance(text, str) and LANGUAGE.fullmatch(text) for pair in pairs for text in pair):
                    tables.add(str(path.relative_to(ROOT)))
    assert tables <= {"beir_hybrid/languages.py", "beir_hybrid/corpora/ntrex.py"}  # the latter: names of its files


def test_a_file_name_means_one_thing() -> None:
    # Commands are named after what they run, and a corpus has a spec and a task of its name.
    files = [path for path in FILES if path.name != "__init__.py" and path.parent.name not in ("cli", "tasks")]
    assert [name for name, times in Counter(path.name for path in files).items() if times > 1] == []
