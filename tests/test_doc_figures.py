"""README and docs: their tables with figures are those that the published records make."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import doc_figures
from tools.doc_figures import REPOSITORY, DocumentError, documents, with_figures

RECORD = {
    "title": "speed",
    "rows": [{"way": "ours", "share": 0.0449, "seconds": 1234.56}, {"way": "theirs", "share": 0.5, "seconds": None}],
    "by/name": {
        "b": {"covered": {"share": 0.5, "low": 0.25, "high": 0.75}},
        "a": {"covered": {"share": 0, "low": 0, "high": 1}},
    },
}
ROWS = "| {title} | share | s |\n|---|---|---|\n| {way} | {share:.1%} | {seconds:,.1f} |"


def rendered(folder: Path, pointers: str, template: str, table: str = "old\n") -> str:
    """Return what comes of a marked place behind a line of text."""
    (folder / "record.json").write_text(json.dumps(RECORD), encoding="utf-8")
    text = (
        f"Text.\n\n<!-- figures: record.json{pointers}\n{template}\n-->\n{table}<!-- end of figures -->\nMore text.\n"
    )
    (folder / "page.md").write_text(text, encoding="utf-8")
    return with_figures(folder / "page.md", folder)


@pytest.mark.skipif(not (REPOSITORY / "leaderboard" / "published").is_dir(), reason="no published results here")
@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_the_tables_of_a_document_are_current(document: Path) -> None:
    assert with_figures(document) == document.read_text(encoding="utf-8"), "run: make docs-figures"


def test_a_row_is_written_for_each_record(tmp_path: Path) -> None:
    page = rendered(tmp_path, "#/rows/*", ROWS)
    assert page.startswith(
        f"Text.\n\n<!-- figures: record.json#/rows/*\n{ROWS}\n-->\n| speed | share | s |\n|---|---|---|\n"
    )
    assert page.endswith("| ours | 4.5 % | 1,234.6 |\n| theirs | 50.0 % |  |\n<!-- end of figures -->\nMore text.\n")


def test_pointers_are_taken_in_their_order(tmp_path: Path) -> None:
    page = rendered(tmp_path, "#/rows/1 #/rows/0", "| {way} |", table="")
    assert "-->\n| theirs |\n| ours |\n<!--" in page


def test_entries_of_an_object_have_their_keys_and_intervals(tmp_path: Path) -> None:
    page = rendered(tmp_path, "#/by~1name/*", "| {key} | {covered:interval} |")
    assert "-->\n| b | 50.0 % (25.0 to 75.0) |\n| a | 0.0 % (0.0 to 100.0) |\n<!--" in page


def test_what_is_current_stays_as_it_is(tmp_path: Path) -> None:
    page = rendered(tmp_path, "#/rows/*", ROWS)
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    assert with_figures(tmp_path / "page.md", tmp_path) == page


@pytest.mark.parametrize(
    ("pointers", "template", "problem"),
    [
        ("#/missing/*", ROWS, "there is no 'missing' in the record"),
        ("#/rows/7", ROWS, "list index out of range"),
        ("#/rows/*", "| {wya} |", "there is no 'wya' in the record"),
        ("#/rows/*", "| {way:.1f} |", "Unknown format code 'f' for object of type 'str'"),
        ("#/title", "| {way} |", "'str' object is not a mapping"),
        ("#/rows/*", "", "figures need a comment with a template, and one at their end"),
    ],
)
def test_a_wrong_mark_is_named_with_its_line(tmp_path: Path, pointers: str, template: str, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        rendered(tmp_path, pointers, template)
    assert str(caught.value) == f"page.md:3: {problem}"


@pytest.mark.parametrize(
    "mark",
    ["<!-- figures: record.json#/rows/*\n| {way} |\n-->\nold", "<!-- figures: a.json -->", "<!-- end of figures -->"],
)
def test_a_mark_without_the_other_is_reported(tmp_path: Path, mark: str) -> None:
    (tmp_path / "page.md").write_text(f"{mark}\n", encoding="utf-8")
    with pytest.raises(DocumentError, match=r"^page\.md:1: figures need a comment"):
        with_figures(tmp_path / "page.md", tmp_path)


def test_a_missing_record_is_reported(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("<!-- figures: no.json#/a\n| {b} |\n-->\n<!-- end of figures -->\n")
    with pytest.raises(DocumentError, match=r"^page\.md:1: .*no\.json"):
        with_figures(tmp_path / "page.md", tmp_path)


def test_the_command_checks_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doc_figures, "REPOSITORY", tmp_path)
    monkeypatch.setattr(doc_figures, "documents", lambda: [tmp_path / "page.md"])
    page = rendered(tmp_path, "#/rows/*", ROWS)
    assert doc_figures.main(["--check"]) == 1
    assert "old" in (tmp_path / "page.md").read_text(encoding="utf-8")
    assert doc_figures.main([]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page
    assert doc_figures.main(["--check"]) == 0
    assert capsys.readouterr().out == "page.md: not current; run: make docs-figures\npage.md written\n"
    (tmp_path / "page.md").write_text("<!-- end of figures -->\n", encoding="utf-8")
    assert doc_figures.main([]) == 2
