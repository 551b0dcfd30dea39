"""The parts of `.ci/run`: each is run by its name, and together they may take an hour."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tools import check_versions

ROOT = Path(__file__).parents[1]
RUN = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
[LIST] = re.findall(r'^PARTS="\n(.*?)^"$', RUN, re.MULTILINE | re.DOTALL)
PARTS = {line.split()[0]: int(line.split()[1]) for line in LIST.splitlines()}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_every_part_is_there_and_all_take_an_hour_at_most() -> None:
    assert set(PARTS) <= set(re.findall(r"^(\w+)\(\) \{", RUN, re.MULTILINE))
    assert sum(PARTS.values()) <= 3600


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_part_that_is_none_is_one_line() -> None:
    done = subprocess.run(["bash", ROOT / ".ci" / "run", "lint", "lin"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: no part 'lin'; there are: {' '.join(PARTS)}\n"


def test_the_quick_tests_are_there() -> None:
    assert set(check_versions.QUICK) <= {
        path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")
    }


@pytest.mark.skipif(not WORKFLOWS, reason="no workflows, as in a source distribution")
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_parts_and_modules_that_are_there(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    commands = "\n".join(step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"])
    for line in re.findall(r"\.ci/run(.*)", commands):
        assert set(line.split()) <= set(PARTS)
    for module in re.findall(r"python -m (tools\.\w+)", commands):
        assert ROOT.joinpath(*module.split(".")).with_suffix(".py").exists()
