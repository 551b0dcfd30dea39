"""Installs the wheel into environments that people have, and runs their programs before and after.

`python -m tools.check_setups WHEEL` makes each environment of SETUPS in a temporary folder with uv, which has to be on
the path, runs its program (`tools/setups/`), installs the wheel with pip, and runs the program again. It prints what
pip changed, what `pip check` says, and whether the figures are the same; the exit code is 1 if a program that should go
on does not, or gives other figures. `--record FILE` keeps what was found for the docs.

`--torch` is the one requirement of torch, as for `tools.check_versions`; pip's and uv's own variables say where builds
are to be found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools.check_versions import pinned

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Setup:
    """An environment that somebody has.

    Attributes:
        program: Its program in `tools/setups/`.
        packages: What is asked for, besides torch.
        without: Packages that are not installed though these ask for them.
        asked: What is said beside the wheel when it is installed.
        goes_on: Whether the program runs afterwards.
    """

    program: str
    packages: str
    without: str = ""
    asked: str = ""
    goes_on: bool = True


_BEIR_2_0 = Setup(
    "beir_program",
    "beir==2.0.0 pytrec-eval-terrier sentence-transformers==2.7.0 transformers==4.40.2 datasets==2.19.0 "
    "numpy==1.26.4 pandas==2.2.2 pyarrow==15.0.2 faiss-cpu==1.8.0 requests",
    # The first downloads its sources while it is built, and MTEB's pytrec-eval-terrier is the same module.
    without="pytrec-eval elasticsearch",
)

SETUPS = {
    # pyarrow 26, which pip then brings, does not tell it that it needs NumPy 2.
    "BEIR 2.0, Sentence Transformers 2, NumPy 1": replace(_BEIR_2_0, goes_on=False),
    'the same, `pip install . "pyarrow<26"`': replace(_BEIR_2_0, asked="pyarrow<26"),
    "BEIR 2.1, Sentence Transformers 3": Setup(
        "beir_program",
        "beir==2.1.0 sentence-transformers==3.4.1 transformers==4.49.0 datasets==3.3.2 faiss-cpu==1.10.0",
    ),
    "BEIR 2.2, Sentence Transformers 3": Setup(
        "beir_program", "beir==2.2.0 sentence-transformers==3.4.1 transformers==4.49.0 datasets==3.3.2"
    ),
    "BEIR 2.2, Sentence Transformers 5": Setup(
        "beir_program", "beir==2.2.0 sentence-transformers==5.2.0 transformers==4.57.3 datasets==4.4.1 requests"
    ),
    "MTEB 1.39": Setup(
        "mteb_1_program",
        "mteb==1.39.7 sentence-transformers==4.1.0 transformers==4.52.4 datasets==3.6.0",
        goes_on=False,
    ),
    "MTEB 2.5, Sentence Transformers 5": Setup(
        "mteb_program", "mteb==2.5.0 sentence-transformers==5.2.0 transformers==4.57.3 datasets==4.4.1"
    ),
}
"""Name -> environment."""

WATCHED = (
    "mteb beir sentence-transformers transformers huggingface-hub datasets numpy pandas pyarrow faiss-cpu"
).split()
"""Packages whose versions stand in the record."""


def main() -> int:
    """Try every set-up, or those that are named; the exit code is 1 if one broke that should not have."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--setup", action="append", choices=SETUPS, help="only this one; may be repeated")
    parser.add_argument("--torch", default=pinned("torch"), help="the version and build of torch (%(default)s)")
    parser.add_argument("--python", default="3.11", help="the version of Python (%(default)s)")
    parser.add_argument("--record", type=Path, help="write what was found here, as JSON")
    options = parser.parse_args()
    found = {}
    for name in options.setup or SETUPS:
        print(f"== {name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            found[name] = try_setup(SETUPS[name], options.wheel.resolve(), Path(folder), options.python, options.torch)
        print(json.dumps(found[name], indent=1), flush=True)
    if options.record:
        record = {
            "what": "Environments before and after the package was installed with pip, and their programs' figures.",
            "command": "python -m tools.check_setups WHEEL --record FILE",
            "figures": found,
        }
        options.record.write_text(f"{json.dumps(record, indent=1)}\n", encoding="utf-8")
    broken = [
        name
        for name, what in found.items()
        if SETUPS[name].goes_on and not (what["program"] == "the same figures" and what["check"])
    ]
    print(f"not as before: {', '.join(broken)}" if broken else "all as it should be")
    return 1 if broken else 0


def try_setup(setup: Setup, wheel: Path, folder: Path, python: str, torch: str) -> dict[str, Any]:
    """Make an environment, run its program, install the wheel, and run the program again.

    Args:
        setup: The environment.
        wheel: Our wheel.
        folder: An empty folder.
        python: The version of Python.
        torch: Requirement of torch.

    Returns:
        ``versions``: of the packages of WATCHED, before and after where that differs, - where it was not there;
        ``changed`` and ``added``: numbers of packages; ``check``: whether `pip check` was content; ``figures``: of the
        program before; ``program``: what it gave afterwards, ``the same figures`` if all is well.

    Raises:
        subprocess.CalledProcessError: The environment could not be made, its program does not run in it, or pip failed.
    """
    environment = folder / "environment"
    at = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (folder / "torch.txt").write_text(f"{torch}\n", encoding="utf-8")
    (folder / "without.txt").write_text(
        "".join(f"{package}; python_version < '3'\n" for package in setup.without.split()), encoding="utf-8"
    )
    _run("uv", "venv", "--quiet", "--seed", "--python", python, environment)
    packages: list[str | Path] = [*setup.packages.split(), torch, "--override", folder / "without.txt"]
    _run("uv", "pip", "install", "--quiet", "--python", environment, *packages)
    before, versions = _figures(setup, at, folder), _versions(at)
    packages = [wheel, *setup.asked.split(), "--constraint", folder / "torch.txt"]
    _run(at, "-m", "pip", "install", "--quiet", "--no-compile", *packages)
    after, now = _figures(setup, at, folder, check=False), _versions(at)
    check = subprocess.run([at, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    print(check.stdout, end="")
    changed = [name for name in versions.keys() & now if versions[name] != now[name]]
    return {
        "versions": {name: _step(versions.get(name), now.get(name)) for name in WATCHED},
        "changed": len(changed),
        "added": len(now.keys() - versions.keys()),
        "check": check.returncode == 0,
        "figures": before,
        "program": after.get("error", "the same figures" if after == before else "other figures"),
    }


def _figures(setup: Setup, python: Path, folder: Path, check: bool = True) -> Any:
    """Run the program of a set-up and return what it prints last, or the last line of its error."""
    program = REPOSITORY / "tools" / "setups" / f"{setup.program}.py"
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "MTEB_CACHE": str(folder / "mteb")}
    done = subprocess.run(
        [python, program, folder / "work"], env=variables, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    if check:
        print(done.stderr, file=sys.stderr)
        done.check_returncode()
    return {"error": done.stderr.strip().splitlines()[-1]}


def _step(before: str | None, after: str | None) -> str:
    """Return a version, or what became of it."""
    return (before or "-") if before == after else f"{before or '-'} → {after or '-'}"


def _versions(python: Path) -> dict[str, str]:
    listed = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True)
    return {entry["name"].lower().replace("_", "-"): entry["version"] for entry in json.loads(listed.stdout)}


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
