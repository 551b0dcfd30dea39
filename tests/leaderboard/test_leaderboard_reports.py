"""A leaderboard's page links to the reports of its models that lie beside it, and making it again leaves them there."""

from __future__ import annotations

import html
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.leaderboard.inputs.reports import reports_beside
from beir_hybrid.leaderboard.render.leaderboard_page import render_page, report_links, write_page
from beir_hybrid.leaderboard.render.output import SUMS, check_replaceable, differences, replace_folder
from beir_hybrid.pages.described import META, Described, read_description
from beir_hybrid.report.content import RunFacts
from beir_hybrid.report.page import write_report
from tests.support.parsed_pages import Parsed
from tests.support.small_board import SCRIPT_NAME, small_board
from tests.support.small_report import small_report

BOARD = small_board()


def run_of(row: str) -> RunFacts:
    """Return the first run of a row of the board."""
    return RunFacts(row, BOARD["rows"][row]["models"][0], BOARD["rows"][row]["revisions"][0], None)


def write_reports(folder: Path) -> None:
    """Write a report of one row, one of two rows, and one of a model that is not on the board."""
    (folder / "reports").mkdir(parents=True)
    report = replace(small_report(1, examples=1), task="XQuADR")
    write_report(replace(report, runs=[run_of("script")]), folder / "50 % & more.html")
    both = replace(small_report(2, examples=1), task="Another", runs=[run_of("e5"), run_of("e5-hybrid")])
    write_report(both, folder / "reports" / "two.html")
    write_report(report, folder / "reports" / "nobody's.html")


def test_the_page_links_to_reports_beside_it(tmp_path: Path) -> None:
    write_reports(tmp_path)
    reports = reports_beside(tmp_path)
    assert list(reports) == ["50 % & more.html", "reports/nobody's.html", "reports/two.html"]
    assert report_links(BOARD, reports) == {
        "script": [("50%20%25%20%26%20more.html", "XQuAD-R")],
        "e5": [("reports/two.html", f"Another beside {run_of('e5-hybrid').model}")],
        "e5-hybrid": [("reports/two.html", f"Another beside {run_of('e5').model}")],
    }
    write_page(BOARD, tmp_path / "leaderboard.html", reports=reports)
    addresses = Parsed((tmp_path / "leaderboard.html").read_text(encoding="utf-8")).values("href")
    assert addresses.count("reports/two.html") == 2 and addresses.count("50%20%25%20%26%20more.html") == 1
    assert "nobody" not in " ".join(addresses)
    assert reports_beside(tmp_path) == reports, "the leaderboard itself is no report"


def test_another_revision_is_another_model(tmp_path: Path) -> None:
    described = Described("XQuADR", ((run_of("e5").model, "another"),))
    assert report_links(BOARD, {"a.html": described}) == {}


def test_reports_stay_where_they_are(tmp_path: Path) -> None:
    target = tmp_path / "tables"
    write_reports(target)

    def write(folder: Path) -> None:
        write_page(BOARD, folder / "leaderboard.html", reports=reports_beside(folder))

    before = {path: path.read_bytes() for path in target.rglob("*.html")}
    for _ in range(2):
        replace_folder(target, write)
        assert {path: path.read_bytes() for path in before} == before
        assert [line[66:] for line in (target / SUMS).read_text(encoding="utf-8").splitlines()] == ["leaderboard.html"]
        assert 'href="reports/two.html"' in (target / "leaderboard.html").read_text(encoding="utf-8")
    replace_folder(tmp_path / "without", write)
    assert differences(target, tmp_path / "without") == [SUMS, "leaderboard.html"]
    (target / "mine.html").write_text("<p>mine</p>", encoding="utf-8")
    with pytest.raises(BeirHybridError, match=r"mine\.html, which is not part of a leaderboard"):
        check_replaceable(target)


def meta(content: str) -> str:
    return f'<meta name="{META}" content="{html.escape(content)}">'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        meta(""),
        meta("[]"),
        meta("{}"),
        meta("null"),
        meta('{"task": 1, "models": []}'),
        meta('{"task": "T", "models": [["a"]]}'),
        meta('{"task": "T", "models": [["a", 1]]}'),
        meta('{"task": "T", "models": [1]}'),
        meta('{"task": "T", "models": {"a": 1}}'),
        meta("[" * 8000),
        " " * 9000 + meta('{"task": "T", "models": [["a", "b"]]}'),
        "\0\ud800<meta name=",
    ],
)
def test_what_is_no_report_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(text.encode("utf-8", errors="surrogatepass"))
    assert read_description(tmp_path / "page.html") is None
    assert reports_beside(tmp_path) == {}


def test_what_cannot_be_read_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "loop.html").symlink_to(tmp_path / "loop.html")
    os.mkfifo(tmp_path / "pipe.html")
    assert reports_beside(tmp_path) == {} and reports_beside(tmp_path / "nowhere") == {}


def test_names_from_reports_are_only_names(tmp_path: Path) -> None:
    described = Described(SCRIPT_NAME, (("other", SCRIPT_NAME), (run_of("e5").model, run_of("e5").revision)))
    page = render_page(BOARD, reports={"javascript:alert(1).html": described, '"><b onclick=x>.html': described})
    assert Parsed(page).text.count(f"{SCRIPT_NAME} beside other") == 2
    assert Parsed(page).text and 'href="javascript%3Aalert%281%29.html"' in page and "<b onclick" not in page
    (tmp_path / "page.html").write_text(meta(json.dumps({"task": "T", "models": [["a", "b"]]})), encoding="utf-8")
    assert read_description(tmp_path / "page.html") == Described("T", (("a", "b"),))
