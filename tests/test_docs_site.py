"""The documentation site: each page in the navigation, each public name with an entry, examples that run."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from beir_hybrid import corpora
from tests.support.tiny_model import tiny_model
from tools import docs_site

pytest.importorskip("mkdocs")

from mkdocs.config import load_config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
API = [page for page in PAGES if page.startswith("api/") and page != "api/index.md"]
HELP_CENTRE = ROOT / "examples" / "help-centre"


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def python_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)


def in_navigation(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from in_navigation(part)


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = list(in_navigation(load_config(str(ROOT / "mkdocs.yml"))["nav"]))
    assert sorted(navigation) == PAGES


def test_every_public_name_has_an_entry_and_a_docstring_that_describes_it() -> None:
    entries = {name for page in API for name in re.findall(r"^::: (\S+)$", text(page), re.MULTILINE)}
    assert not list(docs_site.undocumented(entries))
    assert not list(docs_site.incomplete_docstrings())


def test_a_public_name_without_an_entry_fails_the_build() -> None:
    names = set(docs_site.public_names())
    assert {"beir_hybrid.evaluate", "beir_hybrid.training.mine", "beir_hybrid.testing.check_corpus"} <= names
    [fault] = docs_site.undocumented(names - {"beir_hybrid.training.mine"})
    assert fault == "beir_hybrid.training.mine has no entry in docs/api"


def test_a_docstring_that_lacks_something_fails_the_build(tmp_path: Path) -> None:
    import griffe

    source = '''
def silent(x): ...

def told(x, y) -> int:
    """Add.

    Args:
        x: A number.
        z: A stranger.
    """

class Kind:
    """A kind."""

    def method(self, x):
        """Do something."""
'''
    (tmp_path / "made_up.py").write_text(source, encoding="utf-8")
    module = griffe.load("made_up", search_paths=[tmp_path])
    faults = [fault for name in ("silent", "told", "Kind") for fault in docs_site.faults_of(name, module[name])]
    assert faults == [
        "silent has no docstring",
        "told: its docstring does not describe y",
        "told: its docstring describes z, which it does not take",
        "told: its docstring does not say what it returns",
        "Kind.method: its docstring does not describe x",
    ]


def test_links_that_leave_the_documentation_lead_to_the_repository(caplog: pytest.LogCaptureFixture) -> None:
    linked = docs_site.with_links_to_source("[a](../README.md) [b](../hub.md#x) [c](../../LICENSE)", "api/page.md")
    assert linked == f"[a](../README.md) [b](../hub.md#x) [c]({docs_site.SOURCE}LICENSE)"
    assert not caplog.records  # links within docs/ are mkdocs' to check
    docs_site.with_links_to_source("[a](../no-such-file)", "page.md")
    assert "page.md links to no-such-file" in caplog.text


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_a_heading_and_a_sentence_and_its_code_is_python(page: str) -> None:
    heading, empty, first = text(page).splitlines()[:3]
    assert heading.startswith("# ") and not empty and first[0].isalpha()
    for block in python_blocks(page):
        ast.parse(block)


@pytest.mark.parametrize("page", API)
def test_an_api_page_begins_with_an_example_that_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, example = text(page).split(":::", 1)[0], python_blocks(page)[0]
    assert example in before
    corpus = corpora.load(HELP_CENTRE)
    words = {word for part in corpus.languages.values() for line in part.passages for word in re.findall(r"\w+", line)}
    tiny_model(words=sorted(words)).save_pretrained(str(tmp_path / "my-model"))
    shutil.copytree(HELP_CENTRE, tmp_path / "help-centre")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, page, "exec"), {"__name__": "example"})


def test_all_that_corpora_are_to_be_cited_by_is_on_the_page_about_citing() -> None:
    page = text("citing.md")
    for spec in corpora.specs():
        assert all(f"{entry}," in page for entry in re.findall(r"^@\w+\{([^,]+),", spec.citation, re.MULTILINE))
