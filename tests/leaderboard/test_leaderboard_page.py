"""The leaderboard's page as it is written: complete without JavaScript, escaped, self-contained."""

from __future__ import annotations

import base64
import hashlib
import html
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.leaderboard.render import board_views
from beir_hybrid.leaderboard.render import leaderboard_page as page
from beir_hybrid.leaderboard.render.page_charts import scatter_chart
from beir_hybrid.leaderboard.render.tables import SEEN
from beir_hybrid.pages.wording import MISSING, number, p_value, signed
from tests.support.parsed_pages import Parsed
from tests.support.small_board import LATEX_NAME, MANY_SCRIPTS_NAME, QUOTED_NAME, SCRIPT_NAME, lose_figure, small_board

MAX_BYTES = 1_000_000


@pytest.fixture(scope="module")
def parsed() -> Parsed:
    return Parsed(page.render_page(small_board()))


def test_everything_is_there_without_javascript(parsed):
    board, text = small_board(), parsed.text
    for column in board["columns"]:
        for row in board["rows"].values():
            if column["key"] in row["cells"]:
                assert number(row["cells"][column["key"]]["value"], column["decimals"]) in text
    for comparison in board["comparisons"]:
        decimals = 1 if "rank_distance" in comparison["column"] else 3
        low, high = (signed(comparison[end], decimals) for end in ("low", "high"))
        assert f"{low} to {high}" in text or low == high
        assert p_value(comparison["p_wilcoxon"]) in text
    for languages in board["languages"].values():
        for figures in languages.values():
            assert all(number(value) in text for by_setting in figures.values() for value in by_setting.values())
    for revisions in (row["revisions"] for row in board["rows"].values()):
        assert all(revision in text for revision in revisions)
    assert all(" ".join(note.split()) in text for note in board["notes"])
    assert all(one["sha256"] in text for one in board["inputs"])
    assert board["captions"]["main"] in text
    assert "As published: cited, not measured here, not tested" in text


def test_names_are_shown_literally(parsed):
    for name in (SCRIPT_NAME, LATEX_NAME, QUOTED_NAME, MANY_SCRIPTS_NAME):
        assert " ".join(name.split()) in parsed.text
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert "img" not in [tag for tag, _ in parsed.tags]


def test_nothing_is_requested_and_only_our_style_and_script_run(parsed):
    for tag, attributes in parsed.tags:
        assert not {name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")}, tag
        address = attributes.get("href") or ""
        assert tag == "a" or address in ("", "data:,")
        assert not address or address.startswith(("#", "https://", "data:,"))
    (policy,) = (content for content in parsed.values("content") if content.startswith("default-src 'none'; "))
    for tag in ("style", "script"):
        digest = hashlib.sha256(parsed.raw[tag].encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "url(" not in parsed.raw["style"] and "@import" not in parsed.raw["style"]


def test_every_link_within_the_page_leads_somewhere(parsed):
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    targets = [unquote(address[1:]) for address in parsed.values("href") if address.startswith("#")]
    assert set(targets) <= set(ids)
    board = small_board()
    measured = board_views.measured_rows(board)
    assert {f"{column}:{key}" for key in measured for column in board["rows"][key]["cells"]} <= set(targets)
    assert not any("published" in target for target in targets)


def test_best_second_marks_and_training_data():
    text = page.render_page(small_board())
    board = small_board()
    for column in board["columns"]:
        for row in board["rows"].values():
            cell = row["cells"].get(column["key"])
            if cell and (cell["best"] or cell["second"]):
                tag = "b" if cell["best"] else "u"
                assert f"<{tag}>{number(cell['value'], column['decimals'])}</{tag}></a>" in text
    assert "<sup>†‡</sup>" in text
    assert f"<sup>{SEEN}</sup>" in text


def test_a_cell_without_a_figure_says_why():
    board = small_board()
    column = "XQuADR/multilingual/strong_alignment"
    reason = lose_figure(board, "e5", column, 0.017)
    board["rows"]["e5-x-x"]["cells"][column]["coverage"] = 0.95
    text = page.render_page(board)
    assert f'<td title="{reason}"><a href="#{column}%3Ae5">{MISSING}</a></td>' in text
    details = text[text.index(f'id="{column}:e5"') :]
    assert details[: details.index("</tr>")].endswith(f"<td>{reason}")
    assert "<td>95.0 % of the queries</tr>" in details and "<td>all queries</tr>" in details
    # Where every query has the figure, nothing is said of it.
    assert text.count("Coverage") == 1 and "Coverage" not in page.render_page(small_board())


def test_the_same_board_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        page.write_page(small_board(), tmp_path / name, [tmp_path / "plots" / "50 % & more.svg"])
    content = (tmp_path / "a").read_bytes()
    assert content == (tmp_path / "b").read_bytes()
    assert b'<a href="plots/50%20%25%20%26%20more.svg">50 % &amp; more.svg</a>' in content


def test_a_page_of_ten_models_is_small():
    board = small_board(more_models=2)
    assert len(board_views.measured_rows(board)) == 10
    assert len(page.render_page(board).encode()) < MAX_BYTES


def test_an_empty_board():
    board = small_board()
    nothing = {"columns": [], "baselines": [], "groups": [], "rows": {}, "comparisons": [], "languages": {}}
    nothing |= {"families": []}
    parsed = Parsed(page.render_page({**board, **nothing, "matrices": {}, "notes": [], "inputs": []}))
    assert board["title"] in parsed.text


def test_a_board_without_tests_and_rank_tables():
    board = {**small_board(), "baselines": [], "comparisons": [], "families": [], "matrices": {}}
    for row in board["rows"].values():
        for cell in row["cells"].values():
            cell.update(tested=False, marks=[], low=None, high=None, rank=None, tie_group=None, unit=None)
    text = Parsed(page.render_page(board)).text
    assert "Nothing was tested in this column." in text
    assert "heat maps" not in text and "Differences to" not in text


def test_an_address_that_is_not_of_the_web_is_no_link(tmp_path):
    board = small_board()
    board["rows"]["published"]["source"] = {"text": "a source \ud800", "url": "javascript:alert(3)"}
    page.write_page(board, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "a source ?" in text and "javascript:" not in text


def test_differences_are_to_the_baseline_of_the_same_base_encoder():
    board = small_board()
    found = {one.label: one for one in board_views.differences(board)}
    assert list(found) == ["X-X", "X-Y"] and found["X-X"].of_same_base
    assert found["X-X"].rows == ["e5", "e5-x-y", "e5-hybrid"]
    named = {"row": "e5-x-x", "label": board["rows"]["e5-x-x"]["label"], "mark": "†"}
    (one,) = board_views.differences({**board, "baselines": [named]})
    assert not one.of_same_base
    assert one.rows == [key for key in board_views.measured_rows(board) if key != "e5-x-x"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e5)), min_size=1, max_size=5))
def test_scatter_points_lie_in_the_frame_between_the_ticks(points):
    chart = scatter_chart(board_views.BiasPoints({}, {}, {str(n): point for n, point in enumerate(points)}))
    for x, y in chart.points.values():
        assert chart.left <= x <= chart.right
        assert chart.top <= y <= chart.bottom
    for ticks, ends in ((chart.x_ticks, (chart.left, chart.right)), (chart.y_ticks, (chart.bottom, chart.top))):
        assert (ticks[0][0], ticks[-1][0]) == ends
        assert 2 <= len(ticks) <= 8
        assert len({label for _, label in ticks}) == len(ticks)


def test_the_template_is_part_of_the_package():
    for name in ("page_template.html", "page_macros.html", "page.css", "page.js"):
        assert (page.HERE / name).is_file()
    assert html.escape("&") in page.render_page(small_board())
