"""Names that would be markup, formulas, links, paths or commands to a terminal are only names, in every output."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from beir_hybrid.cli import app
from beir_hybrid.leaderboard.inputs.settings import Settings
from beir_hybrid.leaderboard.publish import Inputs, make_board, write_files
from beir_hybrid.leaderboard.render import plots, tables_csv, tables_latex, tables_markdown
from beir_hybrid.leaderboard.render.leaderboard_page import render_page
from beir_hybrid.pages.wording import web_address
from beir_hybrid.text_tables import text_table
from tests.support.helpers import property_test
from tests.support.small_board import small_board
from tests.support.small_ranks import write_ranks

NAMES = {
    "escape": "\x1b]0;owned\x07\x1b[31mred",
    "control sequence": "\x9b31mred",
    "null": "a\0b",
    "bidirectional": "abc\u202egnp.exe\u2066",
    "surrogate": "a\ud800b",
    "lines": "a\r\nb\u2028c\x85d",
    "mention": "@everyone and @org/team",
    "address": "see https://evil.example/x, HTTP://evil.example and www.evil.example, a@evil.example",
    "formula": "=HYPERLINK(1)",
    "wide formula": "\uff1dcmd|' /C calc'!A0",
    "wide plus": "\uff0b1",
    "wide minus": "\uff0d1",
    "wide at": "\uff20sum",
    "small equals": "\ufe661",
    "tab before a formula": "\t=1",
    "return before a formula": "\r+1",
    "mark before a formula": "\ufeff-1",
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "markdown": "[x](javascript:1) ![y](z) `c` **b** | # h",
    "latex": r"\input{/etc/passwd} $x$ % & # _ {",
    "template": "{{ 7*7 }} {% raw %}",
    "long": "w" * 5000,
}


def board_named(name: str) -> dict[str, Any]:
    """Return a board in which everything that files name has one name."""
    board = small_board()
    key = next(iter(board["rows"]))
    board["rows"][key] |= {"label": name, "models": [name], "revisions": [name], "batching": name, "base": name}
    board["title"] = board["groups"][0]["label"] = board["baselines"][0]["label"] = name
    board["rows"]["published"]["source"] = {"text": name, "url": name}
    for column in board["columns"]:
        if column["task"] == "MIRACLCL":
            column |= {"label": name, "group": name}
    board["captions"] = dict.fromkeys(board["captions"], f"Better than {name}.")
    board["notes"] = [f"Note on {name}", name]
    board["inputs"] = [{"file": name, "sha256": "0" * 64}]
    return board


@pytest.mark.parametrize("kind", NAMES)
def test_no_name_is_a_formula_in_csv(kind: str) -> None:
    board = board_named(NAMES[kind])
    texts = [getattr(tables_csv, f"{name}_csv")(board) for name in ("main", "languages", "matrices", "comparisons")]
    for cell in (cell for text in texts for line in csv.reader(io.StringIO(text)) for cell in line):
        assert cell.isprintable()
        number = re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?", cell)
        assert number or not re.match(r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\s]", cell)


@pytest.mark.parametrize("kind", NAMES)
def test_no_name_is_markup_or_a_link_in_markdown(kind: str) -> None:
    text = tables_markdown.markdown(board_named(NAMES[kind]))
    assert text.replace("\n", "").isprintable()
    assert not re.search(r"@\w|://|www\.", text, re.IGNORECASE)
    tags = set(re.findall(r"<[^>]*>", text))
    assert tags <= {"<br>", "<u>", "</u>", "<details>", "</details>", "<summary>", "</summary>"}
    assert not re.search(r"(?<!\\)\[", text)


@given(st.text())
@property_test(100)
def test_no_text_is_a_link_in_markdown(text: str) -> None:
    escaped = tables_markdown.escape(text)
    assert not re.search(r"@\w|://|www\.", escaped, re.IGNORECASE)


@pytest.mark.parametrize("kind", NAMES)
def test_no_name_is_a_command_in_latex(kind: str) -> None:
    text = tables_latex.latex(board_named(NAMES[kind]))
    assert text.replace("\n", "").isprintable()
    assert r"\input{" not in text


@pytest.mark.parametrize("kind", NAMES)
def test_no_name_is_markup_in_the_page(kind: str) -> None:
    page = render_page(board_named(NAMES[kind]))
    assert page.count("<script") == render_page(small_board()).count("<script")
    assert "<img" not in page and "49" not in page.partition("<main")[0].partition("<title>")[2][:200]


@pytest.mark.parametrize(
    "url", ["http://[x", "https://", "http:///x", "javascript:alert(1)", "data:text/html,x", "//evil", "", "x", "h\0"]
)
def test_what_is_no_web_address_is_no_link(url: str) -> None:
    assert web_address(url) is None
    board = small_board()
    board["rows"]["published"]["source"]["url"] = url
    assert f'href="{url}"' not in render_page(board) or url == ""


@pytest.mark.parametrize("kind", NAMES)
def test_nothing_that_a_terminal_obeys_is_printed(kind: str) -> None:
    name = NAMES[kind]
    table = text_table([[name, 1, name]], ["model", "figure", name], left=1)
    assert table.count("\n") == 2
    assert table.replace("\n", "").isprintable()
    assert len(table) < 5000
    table.encode()


@pytest.mark.parametrize("kind", ["surrogate", "mention", "wide formula", "script", "lines", "template"])
def test_all_files_of_a_board_can_be_written(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beir_hybrid.leaderboard.render.plots.write_plots", lambda board, folder: [])
    write_files(board_named(NAMES[kind]), tmp_path)
    for path in tmp_path.iterdir():
        path.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "leaderboard.json").read_text(encoding="utf-8"))["schema_version"] == 3


@pytest.mark.parametrize("task", ["../../PWNED", "..", "x" * 300])
def test_no_task_is_a_path_of_a_plot(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    board = json.loads(json.dumps(small_board()).replace('"MLQAR"', json.dumps(task)))
    for draw in ("_one_target_maps", "_differences", "_bias"):
        monkeypatch.setattr(plots, draw, lambda *_: None)
    names = [name for name, _ in plots._figures(board, str)]
    assert len(names) == len(set(names)) > 4
    assert all(re.fullmatch(r"[\w.-]{1,120}", name) and not name.startswith(".") for name in names)


@pytest.mark.parametrize("kind", ["mention", "formula", "wide formula", "script", "markdown", "latex", "template"])
def test_a_model_of_that_name_from_a_rank_table(kind: str, tmp_path: Path) -> None:
    name = NAMES[kind]
    write_ranks(tmp_path, name, 0.5, model_revision=name)
    board = make_board(Inputs(ranks=tmp_path / "ranks"), Settings(flips=200, resamples=100, ask_mteb=False))
    [row] = board["rows"].values()
    assert (row["label"], row["models"], row["revisions"]) == (name, [name], [name])
    assert re.fullmatch(r"[A-Za-z0-9._-]+", next(iter(board["rows"])))
    done = CliRunner().invoke(app, ["bias", str(tmp_path / "ranks")], catch_exceptions=False)
    assert done.exit_code == 0 and name in done.stdout


def test_folders_whose_names_are_commands(tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[31m" / os.fsdecode(b"\xff\xfe")
    folder.mkdir(parents=True)
    (folder / "XQuADR.json").write_text('{"task_name": "XQuADR", "scores": {"te', encoding="utf-8")
    for command in (["scores"], ["bias"], ["leaderboard", "--results"], ["leaderboard", "--ranks"]):
        done = CliRunner().invoke(app, [*command, str(folder)])
        assert done.exception is not None
        assert str(done.exception).isprintable()
