"""A report as it is written: complete without JavaScript, escaped, self-contained, small."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from beir_hybrid.pages.described import Described, read_description
from beir_hybrid.pages.wording import MISSING, metric_name, number, p_value, short, signed
from beir_hybrid.report.content import Example, Passage, Report
from beir_hybrid.report.page import best_rank, excerpt, kind_labels, more_above, render_report, write_report
from tests.support.parsed_pages import Parsed
from tests.support.small_report import HOSTILE_TEXTS, hostile_report, small_report

MAX_BYTES = 3_000_000


def texts_of(example: Example) -> list[str]:
    """Return all texts of an example."""
    answers = [one.passage for one in (*example.answers, *example.others)]
    passages: list[Passage] = [*answers, *(passage for above in example.above for passage in above)]
    return [example.question, *(passage.text for passage in passages)]


@pytest.mark.parametrize("runs", [1, 2])
def test_everything_is_there_without_javascript(runs: int) -> None:
    report = small_report(runs)
    text = Parsed(render_report(report)).text
    facts = [report.task, report.corpus, report.licence, report.citation, report.dataset_revision, report.versions]
    facts += [fact for run in report.runs for fact in (run.label, run.model, run.revision)]
    assert all(fact in text for fact in (*facts, *report.matter, *report.notes, "48 articles"))
    for row in report.figures:
        decimals = 1 if row.metric == "rank_distance" else 3
        assert row.setting in text and metric_name(row.metric) in text
        for figure in row.figures:
            assert number(figure.value, decimals) in text
            low, high = number(figure.low, decimals), number(figure.high, decimals)
            assert f"{low} to {high}" in text or figure.low is None
        if row.difference and row.difference.value is not None:
            assert signed(row.difference.value, decimals) in text and row.difference.verdict in text
            assert p_value(row.difference.p) in text
    for one in report.heat_maps:
        assert one.title in text and one.note in text and one.columns_are in text
        assert all(short(value) in text for grid in one.grids for row in grid for value in row)
        assert all(short(value, True) in text for row in one.difference or () for value in row)
    for example in report.examples:
        assert all(content in text for content in texts_of(example))
        assert all(kind_labels(report)[kind] in text for kind in example.kinds)
        assert all(number(passage.score) in text for above in example.above for passage in above)
    for table in report.tables:
        assert all(part in text for part in (table.title, table.note, *table.heads))
        assert all(
            cell in text if isinstance(cell, str) else number(cell) in text for row in table.rows for cell in row
        )


def test_nothing_is_requested_and_only_our_style_and_script_run() -> None:
    for report in (small_report(), hostile_report()):
        parsed = Parsed(render_report(report))
        for tag, attributes in parsed.tags:
            assert not {name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")}, tag
            address = attributes.get("href") or ""
            assert not address or address.startswith(("#", "https://", "data:,")), address
        names = [tag for tag, _ in parsed.tags]
        assert (names.count("script"), names.count("style"), names.count("img")) == (1, 1, 0)
        (policy,) = (content for content in parsed.values("content") if content.startswith("default-src 'none'; "))
        for tag in ("style", "script"):
            digest = hashlib.sha256(parsed.raw[tag].encode()).digest()
            assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
        ids = parsed.values("id")
        assert len(ids) == len(set(ids))
        assert {address[1:] for address in parsed.values("href") if address.startswith("#")} <= set(ids)


def test_hostile_texts_are_only_texts(tmp_path: Path) -> None:
    write_report(hostile_report(), tmp_path / "report.html")
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = Parsed(written).text
    for hostile in HOSTILE_TEXTS:
        assert " ".join(hostile.encode("utf-8", errors="replace").decode().split()) in text
    assert "javascript:" not in [value.split("alert")[0] for value in Parsed(written).values("href")]


def test_texts_of_the_data_say_their_language_and_find_their_direction() -> None:
    report = small_report()
    parsed = Parsed(render_report(report))
    said = {(attributes["lang"], attributes.get("dir")) for tag, attributes in parsed.tags if "lang" in attributes}
    assert said == {("en", None), *((one.question_language, "auto") for one in report.examples)}
    assert len(parsed.values("lang")) == 1 + sum(len(texts_of(example)) for example in report.examples)


def test_long_texts_are_folded() -> None:
    report = small_report(1, examples=1)
    text = "word " * 1000
    example = replace(report.examples[0], question=text)
    page = render_report(replace(report, examples=[example]))
    assert page.count('<details class="long">') == 1 and text.strip() in page
    assert excerpt(text) == ("word " * 60).strip() and excerpt("w" * 900) == "w" * 300


def test_what_is_not_known_is_said() -> None:
    report = small_report(1, examples=1)
    (answer,) = report.examples[0].answers
    unknown = replace(answer, ranks_in_language=[None], ranks_in_pool=[None])
    example = replace(report.examples[0], answers=[unknown], are_all=[False])
    text = Parsed(render_report(replace(report, examples=[example]))).text
    assert "no rank in" in text and "not returned" in text
    assert best_rank(example, 0) is None and more_above(example, 0) is None
    known = replace(answer, ranks_in_pool=[64])
    example = replace(example, answers=[unknown, known])
    assert best_rank(example, 0) == 64 and more_above(example, 0) == 63 - len(example.above[0])
    text = Parsed(render_report(replace(report, examples=[example]))).text
    assert "63 above it" in text and f"and {more_above(example, 0)} more" in text


def test_a_report_without_examples_heat_maps_and_tables() -> None:
    report = small_report(2)
    nothing = replace(report, examples=[], heat_maps=[], tables=[], notes=[], figures=[], citation="")
    parsed = Parsed(render_report(nothing))
    assert "There are none." in parsed.text and "Language pairs" not in parsed.text
    assert MISSING not in parsed.text


def test_the_page_says_what_it_is_of(tmp_path: Path) -> None:
    for report in (small_report(), hostile_report()):
        write_report(report, tmp_path / "report.html")
        models = tuple((run.model, run.revision) for run in report.runs)
        assert read_description(tmp_path / "report.html") == Described(report.task, models)


def test_a_page_of_many_languages_and_fifty_examples_is_small() -> None:
    report: Report = small_report(2, examples=50, languages="ar de el en es hi ru th tr vi zh".split())
    assert len(render_report(report).encode()) < MAX_BYTES / 4
    many = small_report(2, examples=50, languages=[f"{a}{b}" for a in "abcdefghijk" for b in "abcdefghijk"])
    assert len(render_report(many).encode()) < 2 * MAX_BYTES


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(small_report(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
