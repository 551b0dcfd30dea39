"""Until the first release nobody can `pip install beir-hybrid`: documents and messages install a clone, or what lacks.

When version 0.1.0 is on PyPI, this file goes, and docs/installing.md, README.md and docs/ci.md say so.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FROM_AN_INDEX = re.compile(
    r"""\b(?:pip\ install|pipx\ (?:install|run)|uv\ (?:add|pip\ install|tool\ install|tool\ run)|uvx)\b
    (?:(?!--from)[^\n#])*? [\ \t] ["'`]* beir-hybrid (?:\[[\w,]+\])? ["'`]* (?![\w/.-])""",
    re.VERBOSE,
)
MODULES = [path for folder in ("beir_hybrid", "tasks") for path in sorted((ROOT / folder).rglob("*.py"))]
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(path for folder in ("docs", "examples") for path in sorted((ROOT / folder).rglob("*.md"))),
]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pip install beir-hybrid", True),
        ("$ pip install -U 'beir-hybrid[ray]'", True),
        ('run: python -m pip install "beir-hybrid[offline,bm25s]"  # both', True),
        ("pipx install beir-hybrid", True),
        ("pip install git+https://github.com/beir-hybrid/beir-hybrid", False),
        ("uvx --from '.[offline]' beir-hybrid quickstart", False),
        ("pip install .  # in a clone of beir-hybrid", False),
        ("pip uninstall beir-hybrid", False),
    ],
)
def test_what_an_install_line_is(line: str, found: bool) -> None:
    assert bool(FROM_AN_INDEX.search(line)) == found


def test_nothing_installs_from_an_index() -> None:
    found = {
        str(path.relative_to(ROOT)): FROM_AN_INDEX.findall(path.read_text(encoding="utf-8"))
        for path in DOCUMENTS + MODULES
    }
    assert {name: lines for name, lines in found.items() if lines} == {}
