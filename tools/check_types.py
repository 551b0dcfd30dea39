"""Checks the types of all that is shipped, under the names it is installed by: ``python -m tools.check_types``.

tasks/ lies beside beir_hybrid/ and is installed into it, which mypy cannot know. It is shown a folder of links that is
laid out as the installed package is.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from mypy import api

ROOT = Path(__file__).parents[1]
CHECKED = ("beir_hybrid", "benchmarks", "examples", "leaderboard", "tools", "_build")


def main() -> int:
    """Run mypy and return its exit code."""
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        (tree / "beir_hybrid").mkdir()
        links = {f"beir_hybrid/{entry.name}": entry for entry in [*(ROOT / "beir_hybrid").iterdir(), ROOT / "tasks"]}
        links |= {folder: ROOT / folder for folder in CHECKED[1:]}
        for link, target in links.items():
            (tree / link).symlink_to(target, target_is_directory=target.is_dir())
        os.environ["MYPYPATH"] = name
        options = ["--explicit-package-bases", "--config-file", str(ROOT / "pyproject.toml")]
        options += ["--cache-dir", str(ROOT / ".mypy_cache")]
        report, errors, code = api.run([*options, *(str(tree / folder) for folder in CHECKED)])
    print(report.replace(f"{name}/beir_hybrid/tasks", "tasks").replace(f"{name}/", ""), end="")
    print(errors, end="", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
