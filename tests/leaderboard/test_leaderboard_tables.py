"""The tables in every format: what they show, and that no name of a model can do harm in them."""

from __future__ import annotations

import csv
import io
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.leaderboard.render import tables_csv, tables_latex, tables_markdown
from beir_hybrid.leaderboard.render.comparison_tables import (
    comparison_tables,
    family_marks,
    family_tables,
    place_tables,
)
from beir_hybrid.leaderboard.render.table_contents import language_tables, main_table, matrix_tables
from beir_hybrid.metrics import best_and_second
from tests.support.helpers import property_test
from tests.support.small_board import MANY_SCRIPTS_NAME, lose_figure, small_board
from tests.support.tools import needed

SCRIPT = "<script>alert(1)</script>"
SPECIAL = "a_b & 50 % $x$"
NASTY = [SCRIPT, SPECIAL, "x|y\n# z `code` *b* ~s~ [l](javascript:1) {^} \\n", "[1] x", "* y", "=1+1", "日本語 é"]


def board_with(label: str) -> dict[str, Any]:
    """Return a small board, one of whose models, groups and baselines has a name."""
    board = small_board()
    key = next(iter(board["rows"]))
    board["rows"][key]["label"] = label
    board["groups"][0]["label"] = label
    board["baselines"][0]["label"] = label
    board["captions"] = dict.fromkeys(("languages", "families", "matrices"), "mAP.") | {"main": f"Better than {label}."}
    board["notes"] = [f"Note on {label}"]
    return board


def test_the_main_table_shows_every_row_and_column() -> None:
    board = small_board()
    board["captions"] |= {"languages": "", "families": "", "matrices": ""}
    table = main_table(board)
    assert [head[1].removesuffix(" ↓") for head in table.heads] == [column["label"] for column in board["columns"]]
    assert [head[1].endswith("↓") for head in table.heads] == [
        column["higher_is_better"] is False for column in board["columns"]
    ]
    rows = [row for section in table.sections for row in section.rows]
    assert [label for label, _ in rows] == [
        board["rows"][key]["label"] for group in board["groups"] for key in group["rows"]
    ]
    for (_, cells), key in zip(rows, (key for group in board["groups"] for key in group["rows"]), strict=True):
        for cell, column in zip(cells, board["columns"], strict=True):
            expected = board["rows"][key]["cells"].get(column["key"])
            if expected is None:
                assert cell.text == "-"
                continue
            assert cell.text.startswith(f"{expected['value']:.{column['decimals']}f}")
            assert ("±" in cell.text) is (expected["spread"] is not None)
            assert (cell.best, cell.second) == (expected["best"], expected["second"])
            assert ("◇" in cell.marks) is bool(expected["seen_in_training"])


def test_a_cell_without_a_figure_is_empty_in_every_format() -> None:
    board = small_board()
    board["notes"] = [f"Empty: {lose_figure(board, 'e5', 'XQuADR/multilingual/rank_distance', 0.017)}."]
    place = [column["key"] for column in board["columns"]].index("XQuADR/multilingual/rank_distance")
    row = next(
        cells for section in main_table(board).sections for label, cells in section.rows if label == "small encoder"
    )
    assert (row[place].text, row[place].marks, row[place].best) == ("-", "", False)

    def line_of(text: str, separator: str) -> list[str]:
        line = next(one for one in text.splitlines() if one.strip("| ").startswith("small encoder "))
        return [cell.strip() for cell in line.strip("|").split(separator)]

    markdown, latex = tables_markdown.markdown(board), tables_latex.latex(board)
    assert line_of(markdown, "|")[1 + place] == line_of(latex, "&")[1 + place] == "-"
    assert "1.7 % of the queries have one, 90 % are needed" in markdown
    assert r"1.7 \% of the queries have one, 90 \% are needed" in latex
    assert "nan" not in markdown.lower() and "none" not in markdown.lower()
    [line] = [one for one in csv.DictReader(io.StringIO(tables_csv.main_csv(board))) if one["row"] == "e5"]
    key = "XQuADR/multilingual/rank_distance"
    assert (line[key], line[f"{key} marks"], line[f"{key} coverage"]) == ("", "", "0.017")
    assert line["XQuADR/multilingual/language_fairness coverage"] == "1.0"
    assert "XQuADR/multilingual/map coverage" not in line


def test_tables_by_language_and_pair() -> None:
    board = board_with("x")
    by_language = list(language_tables(board))
    tasks = {column["task"] for column in board["columns"]} & set(next(iter(board["languages"].values())))
    assert len(by_language) == 3 * len(tasks)
    first = by_language[0]
    rows = {label: cells for section in first.sections for label, cells in section.rows}
    key = next(iter(board["languages"]))
    task = next(column["task"] for column in board["columns"])
    for (_, language), cell in zip(first.heads, rows[board["rows"][key]["label"]], strict=True):
        assert cell.text == f"{board['languages'][key][task][language]['monolingual']:.3f}"
    matrices = list(matrix_tables(board))
    assert len(matrices) == sum(len(of_row) for of_row in board["matrices"].values())
    assert all(len(cells) == len(table.heads) for table in matrices for _, cells in table.sections[0].rows)


def test_best_and_second_are_what_is_seen() -> None:
    assert best_and_second({"a": 0.5001, "b": 0.4999, "c": 0.4, "d": None}, True, 3) == ({"a", "b"}, {"c"})
    assert best_and_second({"a": 3.0, "b": 2.0, "c": 1.0}, False, 1) == ({"c"}, {"b"})
    assert best_and_second({"a": 1.0, "b": 1.0}, True, 3) == ({"a", "b"}, set())
    assert best_and_second({"a": 1.0, "b": None}, True, 3) == (set(), set())


def markdown_cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.mark.parametrize("label", NASTY)
def test_names_are_harmless_in_markdown(label: str) -> None:
    text = tables_markdown.markdown(board_with(label))
    assert "<script" not in text
    assert not re.search(r"(?<!\\)\[", text)
    tags = set(re.findall(r"<[^>]*>", text))
    assert tags <= {"<br>", "<u>", "</u>", "<details>", "</details>", "<summary>", "</summary>"}
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    for lines in tables:
        assert len({len(markdown_cells(line)) for line in lines}) == 1


@given(st.text())
@property_test(200)
def test_any_text_stays_one_line_of_itself_in_markdown(text: str) -> None:
    escaped = tables_markdown.escape(text)
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)(?:\\\\)*[|*_`\[\]$]", escaped)
    assert not set("<>") & set(escaped)


def balanced(text: str) -> bool:
    """Whether braces and environments of a LaTeX text are closed in the order they were opened."""
    stack: list[str] = []
    for token in re.findall(r"\\(?:begin|end)\{\w+\}|\\.|[{}]", text, re.DOTALL):
        if token == "{" or token.startswith(r"\begin"):
            stack.append(token)
        elif token == "}":
            if not stack or stack.pop() != "{":
                return False
        elif token.startswith(r"\end{") and (not stack or stack.pop() != token.replace("end", "begin", 1)):
            return False
    return not stack


@pytest.mark.parametrize("label", NASTY)
def test_names_are_harmless_in_latex(label: str) -> None:
    text = tables_latex.latex(board_with(label))
    assert balanced(text)
    assert "<script" not in text
    for tabular in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL):
        width = len(re.search(r"\{(l r*|lr*)\}", tabular)[1])  # type: ignore[index]
        for line in tabular.splitlines():
            if line.endswith(r"\\") and "multicolumn" not in line:
                assert len(re.findall(r"(?<!\\)&", line)) == width - 1
                assert not line.startswith(("[", "*"))


@given(st.text())
@property_test(200)
def test_any_text_is_balanced_in_latex(text: str) -> None:
    escaped = tables_latex.escape(text)
    assert balanced(f"{{{escaped}}}")
    without_commands = re.sub(r"\\[a-zA-Z]+\{\}|\\[&%$#_{}]|\\ensuremath\{\\\w+\}|\\[SP]\{\}", "", escaped)
    assert not set("\\&%$#_~^<>|\n") & set(without_commands)


def test_the_ten_special_letters_of_latex() -> None:
    assert tables_latex.escape(SPECIAL) == r"a\_b \& 50 \% \$x\$"
    assert tables_latex.escape("#{}~^\\") == r"\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}"


def test_the_latex_document_compiles(tmp_path: Path) -> None:
    board = board_with(SCRIPT + SPECIAL)
    for row in board["rows"].values():
        row["label"] = row["label"].replace(MANY_SCRIPTS_NAME, "a name in the letters that pdfLaTeX has")
    (tmp_path / "t.tex").write_text(tables_latex.latex(board), encoding="utf-8")
    done = subprocess.run(
        [needed("pdflatex"), "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("label", [*NASTY, "=cmd()", "+1", "-1", "@sum", " =x", 'a"b,c'])
def test_names_are_harmless_in_csv(label: str) -> None:
    board = board_with(label)
    rows = rows_of(tables_csv.main_csv(board))
    assert len(rows) == len(board["rows"])
    shown = rows[0]["label"]
    assert not shown.startswith(("=", "+", "-", "@"))
    assert shown.lstrip("'").split() == label.split()


def test_csv_holds_all_digits() -> None:
    board = board_with("x")
    column = board["columns"][0]["key"]
    for row in rows_of(tables_csv.main_csv(board)):
        cell = board["rows"][row["row"]]["cells"].get(column)
        assert row[column] == ("" if cell is None else repr(cell["value"]))
    comparisons = rows_of(tables_csv.comparisons_csv(board))
    assert [float(one["difference"]) for one in comparisons] == [one["difference"] for one in board["comparisons"]]
    languages = rows_of(tables_csv.languages_csv(board))
    one = languages[0]
    assert float(one["value"]) == board["languages"][one["row"]][one["task"]][one["question_language"]][one["setting"]]
    families = rows_of(tables_csv.families_csv(board))
    assert len(families) == sum(len(entry["cells"]) for entry in board["families"])
    assert (families[0]["group"], families[0]["units"]) == ("monolingual", "48")
    tests = rows_of(tables_csv.family_comparisons_csv(board))
    assert len(tests) == sum(len(entry["comparisons"]) for entry in board["families"])
    assert float(tests[0]["low"]) == board["families"][0]["comparisons"][0]["low"]
    matrices = rows_of(tables_csv.matrices_csv(board))
    sizes = [len(entry["languages"]) ** 2 for of_row in board["matrices"].values() for entry in of_row.values()]
    assert len(matrices) == sum(sizes)


def test_tests_places_and_families_in_markdown() -> None:
    board = small_board()
    text = tables_markdown.markdown(board)
    for heading in ("Tests against the baselines", "Places and groups", "Language families and scripts"):
        assert f"## {heading}" in text
    [comparison] = [
        one
        for one in board["comparisons"]
        if (one["column"], one["row"], one["baseline"]) == ("XQuADR/monolingual/map", "e5-hybrid", "e5-x-x")
    ]
    table = next(table for table in comparison_tables(board) if table.title == "XQuAD-R, monolingual")
    cells = [
        [cell.text for cell in cells] for label, cells in table.sections[0].rows if label == "small encoder, hybrid"
    ]
    assert cells[0][1:3] == [
        f"{comparison['difference']:+.3f}",
        f"{comparison['low']:+.3f} to {comparison['high']:+.3f}",
    ]
    assert cells[0][4:6] == [comparison["verdict"], "0.01"]
    assert cells[0][7:] == [f"{comparison['design_effect']:.1f}", "48 articles (1,190 questions)"]
    places = next(place_tables(board))
    assert [cell.text for cell in places.sections[0].rows[1][1]][2:5] == ["2 to 4", "ab", "a"]
    families = list(family_tables(board))
    assert [table.title for table in families] == ["XQuAD-R, mAP", "XQuAD-R, one-target mAP"]
    entry = board["families"][0]
    entry["comparisons"][0] |= {"row": "e5-hybrid", "baseline": "e5-x-x", "verdict": "better, within the margin"}
    entry["comparisons"][1] |= {"row": "e5-hybrid", "baseline": "e5-x-y", "verdict": "better"}
    entry["comparisons"][2] |= {"row": "e5-x-x", "baseline": "e5-x-y", "verdict": "worse"}
    entry["comparisons"][3:] = []
    assert family_marks(board, entry) == {"e5-hybrid": "†‡", "e5-x-y": "†"}
