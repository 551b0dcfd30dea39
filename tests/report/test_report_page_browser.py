"""A report in headless Chromium: what a reader sees and does, and that hostile texts do nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from beir_hybrid import evaluate, load
from beir_hybrid.report.assemble import build_report
from beir_hybrid.report.content import Report
from beir_hybrid.report.page import write_report
from tests.support.browser import Browser, opened, quiet
from tests.support.small_folder import HEADING, write_lines
from tests.support.small_report import HOSTILE_LANGUAGE, HOSTILE_TEXTS, LANGUAGES, hostile_report, small_report

MANY = sorted({a + b for a in "abcdefghijkl" for b in "aeiou"})
REPORTS = {
    "one": small_report(1),
    "two": small_report(2),
    "hostile": hostile_report(),
    "many": small_report(1, 1, MANY),
}


def hostile_corpus(folder: Path) -> Path:
    """Write a corpus of harmful ids and texts in two languages; the first passages answer the questions."""
    folder.mkdir()
    toml = 'name = "harm"\ntitle = "<i>Harm</i>"\nlicence = "</style><script>"\nlanguages = ["ar", "en"]\n'
    (folder / "corpus.toml").write_text(toml, encoding="utf-8")
    texts = [text for text in HOSTILE_TEXTS if text and "surrogate" not in text]
    for language in ("ar", "en"):
        passages = [{"_id": f"<b>{n}</b>", "text": f"{text} {language} {n}"} for n, text in enumerate(texts * 3)]
        questions = [{"_id": f"<u>{n}</u>", "text": text} for n, text in enumerate(texts)]
        write_lines(folder / language / "corpus.jsonl", map(json.dumps, passages))
        write_lines(folder / language / "queries.jsonl", map(json.dumps, questions))
        qrels = [f"{question['_id']}\t<b>{n}</b>\t1" for n, question in enumerate(questions)]
        write_lines(folder / language / "qrels" / "test.tsv", [HEADING, *qrels])
    return folder


def vectors_by_chance(seed: int) -> Callable[[list[str]], NDArray[np.float64]]:
    """Return a model that knows nothing."""
    return lambda texts: np.stack([np.random.default_rng([seed, *text.encode()]).normal(size=8) for text in texts])


def corpus_report(folder: Path) -> Report:
    """Make the report of two models on a corpus that means harm."""
    corpus = load(hostile_corpus(folder / "corpus"))
    results = [
        evaluate(vectors_by_chance(seed), corpus, name=f"me/{seed}", out=folder, keep_top=10, progress=False)
        for seed in (1, 2)
    ]
    return build_report(results, corpus)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("reports")
    REPORTS["corpus"] = corpus_report(folder)
    for name, report in REPORTS.items():
        write_report(report, folder / f"{name} & more.html")
    with opened(folder / "two & more.html", folder / "profile") as browser:
        yield browser


@pytest.fixture(autouse=True)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A report of two runs, or the one that a test names; afterwards: nothing on the console, no request."""
    name = getattr(request, "param", "two")
    folder = browser.url.rpartition("/")[0]
    browser.url = f"{folder}/{name}%20&%20more.html"
    with quiet(browser):
        yield browser


def shown(page: Browser, attribute: str) -> list[str]:
    """Return an attribute of the examples that are shown, in their order."""
    return [one.get_attribute(attribute) or "" for one in page.shown(".example")]


def choose(page: Browser, field: str, value: str) -> None:
    select = Select(page.find(f"[name={field}]"))
    select.select_by_index([option.get_attribute("value") for option in select.options].index(value))


def unfold(page: Browser) -> None:
    page.run("for (const one of document.querySelectorAll('details')) one.open = true")


def test_filters(page):
    page.open()
    examples = REPORTS["two"].examples
    assert len(page.shown(".example")) == len(examples)
    assert page.find("#filters output").text == f"{len(examples)} of {len(examples)} examples"
    assert not page.shown("#filters button, #nothing")
    choose(page, "question", "de")
    of_german = [one for one in examples if one.question_language == "de"]
    assert shown(page, "data-question") == ["de"] * len(of_german) and 0 < len(of_german) < len(examples)
    choose(page, "kind", of_german[0].kinds[0])
    both = [one for one in of_german if of_german[0].kinds[0] in one.kinds]
    assert len(page.shown(".example")) == len(both)
    assert page.find("#filters output").text == f"{len(both)} of {len(examples)} examples"
    other = next(code for code in LANGUAGES if all(one.answer_language != code for one in both))
    choose(page, "answer", other)
    assert page.shown("#nothing") and not page.shown(".example")
    page.click("#filters [type=reset]")
    page.driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert len(page.shown(".example")) == len(examples) and not page.shown("#nothing")


def test_filters_name_what_there_is(page):
    page.open()
    options = [option.text for option in Select(page.find("[name=question]")).options]
    counts = {code: sum(one.question_language == code for one in REPORTS["two"].examples) for code in LANGUAGES}
    assert options == ["any language", *(f"{code} ({count})" for code, count in counts.items())]
    kinds = [option.text for option in Select(page.find("[name=kind]")).options]
    assert kinds[1:] == [
        "found in its own language, lost in the pool (3)",
        "lost in both (3)",
        "won against bm25 (3)",
        "lost against bm25 (3)",
    ]
    assert page.find("bdi.language[data-language=zh]").get_attribute("title") == "Chinese"


def test_order(page):
    page.open()
    lost = [float(value) for value in shown(page, "data-lost")]
    assert lost == sorted(lost, reverse=True)
    choose(page, "order", "rank")
    ranks = [int(value) for value in shown(page, "data-rank")]
    assert ranks == sorted(ranks, reverse=True) and sorted(lost, reverse=True) != [
        float(value) for value in shown(page, "data-lost")
    ]
    for field in ("question", "answer"):
        choose(page, "order", field)
        languages = shown(page, f"data-{field}")
        assert languages == sorted(languages)
        of_first = [
            float(value)
            for value, code in zip(shown(page, "data-lost"), languages, strict=True)
            if code == languages[0]
        ]
        assert of_first == sorted(of_first, reverse=True)
    choose(page, "order", "lost")
    assert [float(value) for value in shown(page, "data-lost")] == lost


def test_heat_maps_are_chosen_by_keyboard(page):
    page.open()
    titles = [one.title for one in REPORTS["two"].heat_maps]
    assert [one.text for one in page.shown(".tabs label")] == titles
    assert len(page.shown(".panel")) == 1 and len(page.shown(".panel table")) == 3
    page.find(".tabs input").send_keys(Keys.ARROW_RIGHT)
    (panel,) = page.shown(".panel")
    assert panel.get_attribute("data-map") == "2"
    assert page.run("return getComputedStyle(document.querySelector('.tabs :checked + span')).outlineStyle") == "solid"
    page.find(".tabs :checked").send_keys(Keys.ARROW_RIGHT)
    assert page.shown(".panel")[0].get_attribute("data-map") == "3"


def test_significant_differences_are_framed_and_bold(page):
    page.open()
    one = REPORTS["two"].heat_maps[0]
    assert one.significant is not None
    table = page.all(".panel table")[2]
    is_marked = "!!cell.querySelector('b') && getComputedStyle(cell).boxShadow !== 'none'"
    cells = "[...arguments[0].tBodies[0].rows].map(row => [...row.cells].slice(1)"
    bold = page.run(f"return {cells}.map(cell => {is_marked}))", table)
    assert bold == [[*map(bool, row)] for row in one.significant]
    assert any(map(any, bold)) and not all(map(all, bold))


def test_a_cell_says_what_it_is(page):
    page.open()
    cell = page.find(".heat tbody tr:nth-child(2) td:nth-child(2)")
    page.run("arguments[0].dispatchEvent(new PointerEvent('pointerover', { bubbles: true }))", cell)
    assert cell.get_attribute("title") == f"questions in de, answers in ar: {cell.text}"


def test_the_passages_above(page):
    page.open()
    example = next(one for one in REPORTS["two"].examples if len(one.above[0]) > 3 and not one.above[1])
    (article,) = (one for one in page.shown(".example") if one.get_attribute("data-lost") == str(example.lost))
    first, second = article.find_elements(By.CSS_SELECTOR, ".runs > section")
    assert len([one for one in first.find_elements(By.CSS_SELECTOR, "li") if one.is_displayed()]) == 3
    first.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    lines = [one.text for one in first.find_elements(By.CSS_SELECTOR, "li") if one.is_displayed()]
    assert len(lines) == len(example.above[0])
    for line, passage in zip(lines, example.above[0], strict=True):
        assert passage.text in line and passage.language in line and f"{passage.score:.3f}" in line
    assert "nothing above it" in second.text
    assert first.location["x"] < second.location["x"] and first.location["y"] == second.location["y"]


def test_right_to_left_texts(page):
    page.open()
    direction = "return getComputedStyle(arguments[0]).direction"
    headings = {code: page.find(f".example[data-question={code}] h3") for code in ("ar", "zh")}
    assert page.run(direction, headings["ar"]) == "rtl" and page.run(direction, headings["zh"]) == "ltr"
    assert headings["zh"].get_attribute("lang") == "zh"


def test_light_and_dark(page):
    colour = "return getComputedStyle(document.body).backgroundColor"
    page.open(dark=True)
    dark = page.run(colour)
    page.open()
    light = page.run(colour)
    assert dark != light and page.find("#theme").text == "Dark"
    page.find("#theme").send_keys(Keys.ENTER)
    assert page.run(colour) == dark
    page.open()  # it is remembered
    assert page.run(colour) == dark
    page.run("localStorage.clear()")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("page", ["one", "two"], indirect=True)
def test_contrast(page, dark):
    page.open(dark=dark)
    page.run("for (const one of document.querySelectorAll('.panel')) one.hidden = false")
    assert page.low_contrasts() == {}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("page", [*REPORTS, "corpus"], indirect=True)
def test_the_page_does_not_scroll_sideways(page, width, dark):
    page.open(width=width, dark=dark)
    unfold(page)
    page.run("for (const one of document.querySelectorAll('.panel')) one.hidden = false")
    assert page.run("return document.documentElement.scrollWidth") <= width
    smallest = page.run(
        "return Math.min(...[...document.querySelectorAll('main *')].filter(one => one.checkVisibility() &&"
        " [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()))"
        ".map(one => parseFloat(getComputedStyle(one).fontSize)))"
    )
    assert smallest >= 11


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("page", ["many"], indirect=True)
def test_a_map_of_many_languages_scrolls_in_its_own_box(page, width):
    page.open(width=width)
    box = page.find(".panel .scroll")
    assert box.size["height"] <= 900
    places = """
        const box = arguments[0], table = box.querySelector("table"), outer = box.getBoundingClientRect();
        box.scrollTo({ left: 300, top: 300, behavior: "instant" });
        const row = table.tBodies[0].rows[20].cells[0], column = table.tHead.rows[0].cells[20];
        return [box.scrollLeft, box.scrollTop, row.getBoundingClientRect().left - outer.left,
                column.getBoundingClientRect().top - outer.top, document.documentElement.scrollWidth];
        """
    left, top, row, column, whole = page.run(places, box)
    assert (left, top) == (300, 300), "it scrolls"
    assert abs(row) < 2 and abs(column) < 2, "its heads stay"
    assert whole <= width, "the page does not"


@pytest.mark.parametrize("page", ["hostile"], indirect=True)
def test_hostile_texts_do_nothing(page):
    page.open()
    unfold(page)
    assert page.driver.title != "harm"
    assert len(page.all("script")) == len(page.all("style")) == 1 and not page.all("img, main style, [onclick]")
    assert page.shown("#about")
    questions = [one.find_element(By.TAG_NAME, "h3").text for one in page.shown(".example")]
    assert HOSTILE_TEXTS[0] in questions and any(text.startswith("wwww") for text in questions)
    choose(page, "question", HOSTILE_LANGUAGE)
    assert 0 < len(page.shown(".example")) < len(REPORTS["hostile"].examples)
    choose(page, "order", "question")
    page.click(".tabs label:last-child input")
    assert not page.all("main a[href^=javascript]")


@pytest.mark.parametrize("page", ["corpus"], indirect=True)
def test_a_hostile_corpus_is_harmless(page):
    page.open()
    unfold(page)
    assert page.driver.title.startswith("1 against 2 on <i>Harm</i>")
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert not page.all("img, main style, main s, main u, main i:not(.scale i), td b b")
    report = REPORTS["corpus"]
    examples = page.shown(".example")
    assert len(examples) == len(report.examples) > 10
    for element, example in zip(examples, report.examples, strict=True):
        assert element.get_attribute("data-question") == example.question_language
        assert "</u>" in element.find_element(By.CSS_SELECTOR, "header small").text
    assert any(passage.text.startswith("<script>") for one in report.examples for passage in one.above[0])
    choose(page, "question", "ar")
    assert set(shown(page, "data-question")) == {"ar"}
    for line in page.shown(".passages p[lang=ar]"):
        assert line.get_attribute("dir") == "auto"


def test_without_javascript(page):
    page.without_scripts()
    try:
        page.open()
        assert not page.shown("#theme, #filters, .tabs, #nothing")
        assert len(page.shown(".panel")) == 3 and len(page.shown(".example")) == 12
        page.find(".rest summary").send_keys(Keys.ENTER)
        assert page.shown(".rest li")
    finally:
        page.without_scripts(False)
