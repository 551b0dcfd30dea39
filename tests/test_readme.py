"""README.md: short, readable on PyPI, its links and commands are of this checkout, and its Python runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

from tests.support.small_models import save_labse
from tests.tasks.test_xquad_r import use_small_data

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PLACES = (
    "https://github.com/beir-hybrid/beir-hybrid/blob/main/",
    "https://raw.githubusercontent.com/beir-hybrid/beir-hybrid/main/",
)
LINKS = re.findall(r"\]\(([^)\s]+)\)", README)
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def block(word: str) -> str:
    """Return the one piece of Python that holds a word."""
    (code,) = (code for code in CODE if word in code)
    return code


def test_it_is_two_screens() -> None:
    assert len(README.splitlines()) <= 125


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_a_link_works_on_pypi_and_names_what_is_here(link: str) -> None:
    assert link.startswith("https://"), "links from one file to another are broken on PyPI"
    for place in PLACES:
        if link.startswith(place):
            name, _, anchor = link.removeprefix(place).partition("#")
            assert (ROOT / name).is_file()
            assert not anchor or anchor in anchors(ROOT / name)
            return
    assert "beir-hybrid/beir-hybrid" not in link


def test_there_are_links_to_most_pages() -> None:
    pages = {link.rpartition("/docs/")[2] for link in LINKS if "/docs/" in link}
    assert len(pages) > 20


def test_one_command_runs_the_quickstart_and_one_the_tests() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("quickstart", "test"):
        assert f"`make {target}`" in README
        assert re.search(rf"^{target}: (.*\$\(INSTALLED\)|lint pytest)$", makefile, re.MULTILINE)


def test_the_five_lines_on_own_data_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples" / "help-centre", tmp_path / "examples" / "help-centre")
    code = block("bh.evaluate")
    assert len([line for line in code.splitlines() if line]) <= 5
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "beir-hybrid/ours on HelpCentre, mAP" in printed
    assert "beir-hybrid/ours less beir-hybrid/multilingual-e5-small-q4 on HelpCentre" in printed


def test_the_lines_on_training_train_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_data(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    base = save_labse(tmp_path / "base")
    code = block("HybridBatchSampler")
    for shown, small in (("intfloat/multilingual-e5-small", str(base)), ("batch_size=64", "batch_size=2")):
        assert shown in code
        code = code.replace(shown, small)
    exec(compile(code, "README.md", "exec"), {})
    trained = SentenceTransformer("my-model")
    assert trained.encode_query("en question q0?").shape == (16,)
    assert trained.prompts["document"] == "passage: "
