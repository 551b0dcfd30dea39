"""What `make release` refuses, and that the same commit gives the same files."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from tools import release
from tools.release import ReleaseError

REPOSITORY = Path(__file__).parents[1]


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    subprocess.run(["git", "-C", root, *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a repository on main that can be released as 1.2.0."""
    root = tmp_path / "checkout"
    (root / "beir_hybrid").mkdir(parents=True)
    (root / "beir_hybrid" / "__init__.py").write_text('__version__ = "1.2.0"\n')
    (root / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 1.2.0 (2027-01-31)\n\n- New.\n\n## 1.1.0 (2026-12-31)\n\n- Old.\n"
    )
    (root / "CITATION.cff").write_text("version: 1.2.0\ndate-released: 2027-01-31\n")
    git(tmp_path, "init", "--initial-branch", "main", str(root))
    git(root, "add", ".")
    git(root, "commit", "--message", "All")
    return root


def test_a_checkout_that_can_be_released(checkout: Path) -> None:
    release.check_words(checkout, "1.2.0")
    release.check_clean(checkout)
    release.check_main(checkout, "1.2.0")
    git(checkout, "tag", "v1.2.0")
    release.check_tag(checkout, "1.2.0")


@pytest.mark.parametrize(
    ("version", "file", "old", "new", "message"),
    [
        ("1.2", "CHANGELOG.md", "", "", "'1.2' is no version such as 0.1.0"),
        ("1.3.0", "CHANGELOG.md", "", "", r"__init__\.py says 1\.2\.0, not 1\.3\.0"),
        ("1.2.0", "CHANGELOG.md", "1.2.0", "1.2.1", r"nothing below '## 1\.2\.0"),
        ("1.2.0", "CHANGELOG.md", "- New.\n", "", r"nothing below '## 1\.2\.0"),
        ("1.2.0", "CHANGELOG.md", "2027-01-31", "unreleased", "write the day"),
        ("1.2.0", "CITATION.cff", "1.2.0", "1.1.0", r"no line 'version: 1\.2\.0'"),
        ("1.2.0", "CITATION.cff", "-31", "-30", "no line 'date-released: 2027-01-31'"),
    ],
)
def test_words_that_do_not_agree(checkout: Path, version: str, file: str, old: str, new: str, message: str) -> None:
    path = checkout / file
    path.write_text(path.read_text().replace(old, new) if old else path.read_text())
    with pytest.raises(ReleaseError, match=message):
        release.check_words(checkout, version)


def test_a_checkout_that_is_not_its_commit(checkout: Path) -> None:
    (checkout / "new.txt").write_text("not committed")
    with pytest.raises(ReleaseError, match=r"not its last commit: .*new\.txt"):
        release.check_clean(checkout)


def test_another_branch_and_a_tag_that_is_taken(checkout: Path) -> None:
    with pytest.raises(ReleaseError, match=r"has no tag v1\.2\.0; it has none"):
        release.check_tag(checkout, "1.2.0")
    git(checkout, "tag", "v1.2.0")
    with pytest.raises(ReleaseError, match=r"a tag v1\.2\.0 already"):
        release.check_main(checkout, "1.2.0")
    git(checkout, "switch", "--create", "mine")
    with pytest.raises(ReleaseError, match="made on main, and this is mine"):
        release.check_main(checkout, "1.3.0")


def test_this_version_can_be_released_but_for_its_day() -> None:
    import beir_hybrid

    release.check_words(REPOSITORY, beir_hybrid.__version__, dated=False)


def test_wheels_are_compared_by_what_is_in_them(tmp_path: Path) -> None:
    for name, text, date in (("a", "x", 1990), ("b", "x", 2020), ("c", "y", 1990)):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(zipfile.ZipInfo("module.py", (date, 1, 1, 0, 0, 0)), text)
    release.check_same(tmp_path / "a", tmp_path / "b")
    with pytest.raises(ReleaseError, match=r"is another one: module\.py"):
        release.check_same(tmp_path / "a", tmp_path / "c")


def test_a_source_distribution_is_the_same_whenever_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "_build")
    monkeypatch.delitem(sys.modules, "beir_hybrid_build", raising=False)
    from beir_hybrid_build import set_date

    made = []
    for age in (0, 1000):
        folder = tmp_path / f"{age}"
        (folder / "beir").mkdir(parents=True)
        for name in ("b.py", "a.py")[:: 1 if age else -1]:
            (folder / "beir" / name).write_text(f"{name}\n")
            (folder / "beir" / name).chmod(0o644)
            stamp = time.time() - age
            import os

            os.utime(folder / "beir" / name, (stamp, stamp))
        source = folder / "beir.tar.gz"
        with tarfile.open(source, "w:gz") as tar:
            for path in sorted((folder / "beir").iterdir(), reverse=bool(age)):
                tar.add(path, f"beir/{path.name}")
        set_date(source, 1_800_000_000)
        made.append(source.read_bytes())
        with tarfile.open(source) as tar:
            assert [(member.name, member.mtime) for member in tar] == [(f"beir/{x}.py", 1_800_000_000) for x in "ab"]
    assert made[0] == made[1]
