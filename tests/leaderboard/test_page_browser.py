"""The leaderboard's page in headless Chromium: what a reader sees and does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from beir_hybrid.leaderboard.render import board_views, page
from tests.support.small_board import LATEX_NAME, SCRIPT_NAME, small_board
from tests.support.tools import needed

OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)
LOWEST_CONTRAST = 4.5
"""Of text, as WCAG 2 AA asks for."""


class Browser:
    """Chromium with the page open.

    Args:
        driver: The driver.
        url: Address of the page.
    """

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, width: int = 1280, dark: bool = False, fragment: str = "") -> None:
        """Open the page afresh."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")
        self.driver.get(self.url + fragment)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def shown(self, selector: str) -> list[WebElement]:
        return [element for element in self.all(selector) if element.is_displayed()]

    def click(self, selector: str) -> None:
        """Click as a reader who has scrolled there."""
        self.driver.execute_script("arguments[0].click()", self.find(selector))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def column(self, task: str, setting: str, best: str = "high") -> int:
        """Return the place of a column in the results."""
        heads = f".results th[data-task={task}][data-setting={setting}][data-best={best}]"
        return self.run("return arguments[0].cellIndex", self.find(heads))

    def values(self, column: int, body: str = "tbody.sorted") -> list[str]:
        """Return the figures of a column of the results."""
        return [cell.text.split("\n")[0] for cell in self.shown(f".results {body} td:nth-child({column + 1})")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium, driver_path = needed("chromium"), needed("chromedriver")
    folder = tmp_path_factory.mktemp("page")
    path = folder / "leaderboard & more.html"
    page.write_page(small_board(), path)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*OPTIONS.split(), f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    driver.get("about:blank")  # leaves the page for new tabs, which loads parts of its own
    try:
        yield Browser(driver, path.as_uri())
    finally:
        driver.quit()


@pytest.fixture(autouse=True)
def quiet(browser: Browser) -> Iterator[None]:
    """After each test: nothing on the console, and no request but for the page itself."""
    browser.driver.get_log("browser")
    browser.driver.get_log("performance")
    yield
    assert browser.driver.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.driver.get_log("performance")]
    urls = {one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"}
    assert {url for url in urls if not url.startswith(("data:", "about:"))} == {browser.url}


def test_names_do_nothing(browser):
    browser.open()
    labels = [element.text for element in browser.all(".results tbody th bdi:first-child")]
    assert SCRIPT_NAME in labels and LATEX_NAME in labels
    assert len(browser.all("script")) == 1 and not browser.all("img, main b b")


def test_sorting(browser):
    browser.open()
    column = browser.column("XQuADR", "multilingual")
    head = f".results thead tr:last-child th:nth-child({column + 1})"
    before = [row.text for row in browser.all(".results tbody tr")]
    browser.click(f"{head} button")
    assert browser.find(head).get_attribute("aria-sort") == "descending"
    down = browser.values(column)
    assert len(down) == len(board_views.measured_rows(small_board()))
    assert [figure.rstrip("†‡◇") for figure in down] == sorted((one.rstrip("†‡◇") for one in down), reverse=True)
    published = browser.values(column, "tbody.published")
    assert len(published) == 2 and published == sorted(published, reverse=True)
    browser.find(f"{head} button").send_keys(Keys.ENTER)
    assert browser.find(head).get_attribute("aria-sort") == "ascending"
    assert browser.values(column) == down[::-1]
    browser.click(f"{head} button")
    assert browser.find(head).get_attribute("aria-sort") is None
    assert [row.text for row in browser.all(".results tbody tr")] == before


def test_sorting_where_lower_is_better_and_figures_are_missing(browser):
    browser.open()
    column = browser.column("XQuADR", "multilingual", best="low")
    browser.click(f".results thead tr:last-child th:nth-child({column + 1}) button")
    distances = [float(figure.rstrip("†‡◇")) for figure in browser.values(column)]
    assert distances == sorted(distances)
    missing = browser.column("MIRACLCL", "monolingual")
    for _ in range(2):
        browser.click(f".results thead tr:last-child th:nth-child({missing + 1}) button")
        assert browser.values(missing)[-1] == "–"


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
    assert facts["Value"] == page.number(cell["value"])
    assert facts["95 % interval"] == f"{page.number(cell['low'])} to {page.number(cell['high'])}"
    assert (facts["Seeds"], facts["Rank"], facts["Units"]) == ("3", "2 to 4", "48 articles (1,190 questions)")
    own = [one for one in board["comparisons"] if one["column"] == key and row in (one["row"], one["baseline"])]
    lines = dialog.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert len(lines) == len(own)
    first = next(one for one in own if one["row"] == row and one["baseline"] == "e5-x-x")
    (line,) = (one for one in lines if one.get_attribute("data-row") == row and "X-X" in one.text)
    expected = [
        page.signed(first["difference"]),
        *(page.p_value(first[p]) for p in ("p", "p_corrected", "p_t", "p_wilcoxon")),
        page.signed(first["effect_size"], 2),
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
    found = browser.run(
        """
        for (const one of document.querySelectorAll("details")) one.open = true;
        const parse = colour => colour.match(/[\\d.]+/g).map(Number);
        const luminance = colour => parse(colour).slice(0, 3).map(c => c / 255)
          .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
          .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = one => {
          const colour = getComputedStyle(one).backgroundColor;
          return (parse(colour)[3] ?? 1) ? colour : behind(one.parentElement);
        };
        const found = {};
        for (const one of document.querySelectorAll("main *:not(svg *), header *")) {
          const hasText = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
          if (!hasText || !one.checkVisibility()) continue;
          const style = getComputedStyle(one), pair = [style.color, behind(one)];
          const [low, high] = pair.map(luminance).sort((a, b) => a - b);
          found[pair.join(" on ")] = (high + 0.05) / (low + 0.05);
        }
        return found;
        """
    )
    assert len(found) > 10
    assert {pair: ratio for pair, ratio in found.items() if ratio < LOWEST_CONTRAST} == {}


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
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open()
        assert not browser.shown("#theme, #filters")
        board = small_board()
        key = board_views.measured_rows(board)[0]
        for column in board["columns"]:
            link = browser.find(f'.results a[href="#{column["key"]}%3A{key}"]')
            assert link.text == page.number(board["rows"][key]["cells"][column["key"]]["value"], column["decimals"])
        assert not browser.shown("#tests table")
        link.click()
        assert browser.shown("#tests tr:target"), "the browser opens the tests of the column"
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
