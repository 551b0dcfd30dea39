"""Runs quick tests with the lowest versions that setup.cfg permits, or with the newest there are.

`python -m tools.check_versions lowest` (or `newest`) resolves with uv, which has to be on the path, makes an
environment in a temporary folder (`--keep FOLDER` for one that stays), prints what it resolved, and runs the tests
below. torch is the one of constraints.txt in both: `--torch torch==2.13.0+cpu` names another build, and uv's own
variables, such as UV_FIND_LINKS, say where builds are to be found. `--with` puts another requirement in the place of
all others of its package: `--with "mteb @ git+https://github.com/embeddings-benchmark/mteb@main"`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}

QUICK = (
    "registration autoload cli rank_table bias counting metrics head loss trainer evaluator leaderboard_board "
    "leaderboard_tables leaderboard_sources leaderboard_page beir export sources encode search significance columns "
    "confidence atlas files identity hostile_ranks hostile_results hostile_files"
).split()
"""Tests that touch every dependency, and take minutes without the real data: test_<name>.py in tests/."""


def main() -> int:
    """Resolve, install and test; the exit code is that of pytest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("resolution", choices=RESOLUTIONS)
    parser.add_argument("--torch", default=pinned("torch"), help="the version and build of torch (%(default)s)")
    parser.add_argument(
        "--with", dest="others", action="append", default=[], help="a requirement that takes precedence"
    )
    parser.add_argument("--python", default="3.11", help="the version of Python (%(default)s)")
    parser.add_argument("--keep", type=Path, help="make the environment here, and leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = (options.keep or Path(folder) / "environment").resolve()
        install(environment, options.resolution, options.python, [options.torch, *options.others])
        return run_tests(environment)


def install(environment: Path, resolution: str, python: str, overrides: list[str]) -> None:
    """Make an environment with this checkout, editable, and what it depends on.

    Args:
        environment: Its folder; one that is there is brought up to date.
        resolution: ``lowest`` or ``newest``.
        python: The version of Python.
        overrides: Requirements, of torch for one, that take the place of all others of their packages.

    Raises:
        subprocess.CalledProcessError: uv found no resolution, or could not install it.
    """
    _uv("venv", "--allow-existing", "--python", python, environment)
    resolved, override = environment / "resolved.txt", environment / "overrides.txt"
    override.write_text("".join(f"{requirement}\n" for requirement in overrides), encoding="utf-8")
    extras = ("--extra", "offline", "--extra", "dev")
    _uv(
        *("pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", python, *extras),
        *("--resolution", RESOLUTIONS[resolution], "--override", override, "--output-file", resolved),
        REPOSITORY / "pyproject.toml",
    )
    print(resolved.read_text(encoding="utf-8"), flush=True)
    _uv("pip", "sync", "--quiet", "--python", environment, resolved)
    _uv("pip", "install", "--quiet", "--python", environment, "--no-deps", "--editable", REPOSITORY)
    _uv("pip", "check", "--python", environment)


def run_tests(environment: Path) -> int:
    """Run the quick tests in an environment and return pytest's exit code."""
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    files = [str(file) for name in QUICK for file in sorted(REPOSITORY.glob(f"tests/**/test_{name}.py"))]
    variables = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command: list[str | Path] = [python, "-m", "pytest", "-q", "-m", "not real_data", *files]
    return subprocess.run(command, cwd=REPOSITORY, env=variables, check=False).returncode


def pinned(package: str) -> str:
    """Return the requirement of a package in constraints.txt."""
    constraints = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^{package}==.*$", constraints, re.MULTILINE)
    return str(line)


def _uv(*arguments: str | Path) -> None:
    subprocess.run(["uv", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
