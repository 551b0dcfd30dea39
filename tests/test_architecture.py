"""The picture of the house in docs/architecture.md is the house: no import goes up, and no room is missing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.md"
PACKAGE = "beir_hybrid"


def layers() -> list[list[str]]:
    """Return the rooms of each layer, the highest first, as the picture between the two comments draws them."""
    text = PICTURE.read_text(encoding="utf-8")
    picture = text.split("<!-- layers -->")[1].split("<!-- end of layers -->")[0]
    lines = [line for line in picture.splitlines() if line.startswith("    ") and line.strip() not in ("|", "v")]
    return [re.findall(r"[a-z_]+", line) for line in lines]


LEVEL = {room: level for level, rooms in enumerate(reversed(layers())) for room in rooms}


def modules() -> dict[str, Path]:
    """Return all modules of the package by the name they are installed by."""
    files = {path.relative_to(ROOT): path for path in (ROOT / PACKAGE).rglob("*.py")}
    files |= {Path(PACKAGE) / path.relative_to(ROOT): path for path in (ROOT / "tasks").rglob("*.py")}
    return {".".join(name.with_suffix("").parts).removesuffix(".__init__"): path for name, path in files.items()}


MODULES = modules()


def imports(path: Path, for_types: bool = True) -> Iterator[str]:
    """Yield the modules of the package that a file imports, at its top, inside functions and, if wanted, for types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not for_types:
        guards = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
        tree.body = [node for node in tree.body if node not in guards]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            assert node.level == 0
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else str(node.module)


def room(module: str) -> str:
    """Return the room of a module: the folder or the file below the package."""
    return module.split(".")[1] if "." in module else "__init__"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_import_goes_up(name: str) -> None:
    if room(name) in ("__init__", "__main__"):
        return
    here = LEVEL[room(name)]
    up = {target for target in imports(MODULES[name]) if room(target) != "__init__" and LEVEL[room(target)] > here}
    assert not up


def test_the_picture_shows_every_room_once() -> None:
    drawn = [room for rooms in layers() for room in rooms]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {room(name) for name in MODULES} - {"__init__", "__main__"}


def test_no_module_imports_itself_by_a_detour() -> None:
    TopologicalSorter({name: {*imports(path, for_types=False)} - {name} for name, path in MODULES.items()}).prepare()
