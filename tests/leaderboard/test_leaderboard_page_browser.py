"""The leaderboard's page in headless Chromium: what a reader sees and does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from beir_hybrid.leaderboard.render import board_views
from beir_hybrid.leaderboard.render import leaderboard_page as page
from beir_hybrid.pages.wording import number, p_value, signed
from tests.support.browser import Browser, opened, quiet
from tests.support.small_board import LATEX_NAME, SCRIPT_NAME, small_board


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("page")
    path = folder / "leaderboard & more.html"
    page.write_page(small_board(), path)
    with opened(path, folder / "profile") as browser:
        yield browser


@pytest.fixture(autouse=True)
def watched(browser: Browser) -> Iterator[None]:
    with quiet(browser):
        yield


def column_of(browser: Browser, task: str, setting: str, best: str = "high") -> int:
    """Return the place of a column in the results."""
    heads = f".results th[data-task={task}][data-setting={setting}][data-best={best}]"
    return browser.run("return arguments[0].cellIndex", browser.find(heads))


def values(browser: Browser, column: int, body: str = "tbody.sorted") -> list[str]:
    """Return the figures of a column of the results."""
    return [cell.text.split("\n")[0] for cell in browser.shown(f".results {body} td:nth-child({column + 1})")]


def test_names_do_nothing(browser):
    browser.open()
    labels = [element.text for element in browser.all(".results tbody th bdi:first-child")]
    assert SCRIPT_NAME in labels and LATEX_NAME in labels
    assert len(browser.all("script")) == 1 and not browser.all("img, main b b")


def test_sorting(browser):
    browser.open()
    column = column_of(browser, "XQuADR", "multilingual")
    head = f".results thead tr:last-child th:nth-child({column + 1})"
    before = [row.text for row in browser.all(".results tbody tr")]
    browser.click(f"{head} button")
    assert browser.find(head).get_attribute("aria-sort") == "descending"
    down = values(browser, column)
    assert len(down) == len(board_views.measured_rows(small_board()))
    assert [figure.rstrip("†‡◇") for figure in down] == sorted((one.rstrip("†‡◇") for one in down), reverse=True)
    published = values(browser, column, "tbody.published")
    assert len(published) == 2 and published == sorted(published, reverse=True)
    browser.find(f"{head} button").send_keys(Keys.ENTER)
    assert browser.find(head).get_attribute("aria-sort") == "ascending"
    assert values(browser, column) == down[::-1]
    browser.click(f"{head} button")
    assert browser.find(head).get_attribute("aria-sort") is None
    assert [row.text for row in browser.all(".results tbody tr")] == before


def test_sorting_where_lower_is_better_and_figures_are_missing(browser):
    browser.open()
    column = column_of(browser, "XQuADR", "multilingual", best="low")
    browser.click(f".results thead tr:last-child th:nth-child({column + 1}) button")
    distances = [float(figure.rstrip("†‡◇")) for figure in values(browser, column)]
    assert distances == sorted(distances)
    missing = column_of(browser, "MIRACLCL", "monolingual")
    for _ in range(2):
        browser.click(f".results thead tr:last-child th:nth-child({missing + 1}) button")
        assert values(browser, missing)[-1] == "–"


def test_filters_by_data_set_and_setting(browser):
    browser.open()
    every = len(browser.shown(".results th[data-task]"))
    assert every == len(small_board()["columns"])
    browser.click("[name=task][value=XQuADR]")
    browser.click("[name=setting][value=multilingual]")
    heads = browser.shown(".results th[data-task]")
    assert {(head.get_attribute("data-task"), head.get_attribute("data-setting")) for head in heads} == {
        ("XQuADR", "multilingual")
    }
    assert len(heads) == 5
    assert all(
        len(row.find_elements(By.CSS_SELECTOR, "td:not([hidden])")) == 5
        for row in browser.all(".results tbody tr:not(.group)")
    )
    groups = {group.text: group.get_attribute("colspan") for group in browser.shown(".results [scope=colgroup]")}
    assert groups == {"XQuAD-R": "1", "XQuAD-R language bias": "4"}
    assert len(browser.shown("#tests details")) == 5
    assert browser.find("output").text == f"5 of {every} columns"
    browser.click("[type=reset]")
    browser.driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert len(browser.shown(".results th[data-task]")) == every
    assert browser.find(".results [scope=colgroup]").get_attribute("colspan") == "3"


def test_filter_by_question_language(browser):
    browser.open()
    assert not browser.shown("#languages table")
    browser.click("[name=language][value=el]")
    browser.click("[name=language][value=zh]")
    tables = browser.shown("#languages table")
    assert len(tables) == 6
    heads = [
        [head.text for head in table.find_elements(By.CSS_SELECTOR, "th[data-language]") if head.is_displayed()]
        for table in tables
    ]
    assert heads == [["el", "zh"]] * 3 + [["zh"]] * 3
    assert all(
        row.get_attribute("data-language") in ("el", "zh") for row in browser.all(".heat tbody tr:not([hidden])")
    )
    assert browser.find("[name=language][value=el]").find_element(By.XPATH, "..").get_attribute("title") == "Greek"


def test_the_detail_of_a_cell(browser):
    board = small_board()
    key, row = "XQuADR/multilingual/map", "e5-hybrid"
    fragment = f"#{key}%3A{row}"
    browser.open()
    link = browser.find(f'.results a[href="{fragment}"]')
    link.send_keys(Keys.ENTER)
    dialog = browser.find("dialog[open]")
    cell = board["rows"][row]["cells"][key]
    assert dialog.find_element(By.TAG_NAME, "h2").text == "small encoder, hybrid"
    facts = dict(
        zip(*([one.text for one in dialog.find_elements(By.TAG_NAME, tag)] for tag in ("dt", "dd")), strict=True)
    )
    assert facts["Value"] == number(cell["value"])
    assert facts["95 % interval"] == f"{number(cell['low'])} to {number(cell['high'])}"
    assert (facts["Seeds"], facts["Rank"], facts["Units"]) == ("3", "2 to 4", "48 articles (1,190 questions)")
    own = [one for one in board["comparisons"] if one["column"] == key and row in (one["row"], one["baseline"])]
    lines = dialog.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert len(lines) == len(own)
    first = next(one for one in own if one["row"] == row and one["baseline"] == "e5-x-x")
    (line,) = (one for one in lines if one.get_attribute("data-row") == row and "X-X" in one.text)
    expected = [
        signed(first["difference"]),
        *(p_value(first[p]) for p in ("p", "p_corrected", "p_t", "p_wilcoxon")),
        signed(first["effect_size"], 2),
        "48 articles (1,190 questions)",
    ]
    assert all(text in line.text for text in expected)
    assert browser.run("return location.hash") == fragment
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.all("dialog[open]")
    assert browser.run("return location.hash") == ""
    assert browser.driver.switch_to.active_element == link


def test_a_detail_can_be_linked_to_and_left_with_the_back_button(browser):
    browser.open(fragment="#MLQAR/monolingual/map%3Ascript")
    assert browser.find("dialog[open] h2").text == SCRIPT_NAME
    browser.open()
    browser.click(".results td a")
    assert browser.all("dialog[open]")
    browser.driver.back()
    browser.driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert not browser.all("dialog[open]")


def test_light_and_dark(browser):
    colour = "return getComputedStyle(document.body).backgroundColor"
    browser.open(dark=True)
    dark = browser.run(colour)
    browser.open(dark=False)
    light = browser.run(colour)
    assert dark != light
    assert browser.find("#theme").text == "Dark"
    browser.click("#theme")
    assert browser.run(colour) == dark
    browser.open(dark=False)  # it is remembered
    assert browser.run(colour) == dark
    browser.click("#theme")
    assert browser.run(colour) == light
    browser.run("localStorage.clear()")


@pytest.mark.parametrize("dark", [False, True])
def test_contrast(browser, dark):
    browser.open(dark=dark)
    assert browser.low_contrasts() == {}


def test_a_phone(browser):
    browser.open(width=400)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.run("return document.documentElement.scrollWidth") == 400
    first = browser.find(".results tbody tr:nth-child(2) th")
    browser.run("document.querySelector('#results .scroll').scrollLeft = 500")
    assert browser.run("return document.querySelector('#results .scroll').scrollLeft") == 500
    left, width = browser.run("const box = arguments[0].getBoundingClientRect(); return [box.left, box.width]", first)
    assert 0 <= left <= 20 and width < 200
    size = browser.run("return parseFloat(getComputedStyle(document.querySelector('.results td')).fontSize)")
    assert size >= 12
    browser.click(".results td a")
    assert browser.run("return document.querySelector('dialog').getBoundingClientRect().right") <= 400


def test_without_javascript(browser):
    browser.without_scripts()
    try:
        browser.open()
        assert not browser.shown("#theme, #filters")
        board = small_board()
        key = board_views.measured_rows(board)[0]
        for column in board["columns"]:
            link = browser.find(f'.results a[href="#{column["key"]}%3A{key}"]')
            assert link.text == number(board["rows"][key]["cells"][column["key"]]["value"], column["decimals"])
        assert not browser.shown("#tests table")
        link.click()
        assert browser.shown("#tests tr:target"), "the browser opens the tests of the column"
    finally:
        browser.without_scripts(False)
