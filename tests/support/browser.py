"""Headless Chromium with one page open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

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

    def low_contrasts(self) -> dict[str, float]:
        """Return the pairs of text and ground with less contrast than text needs, all that is folded unfolded."""
        found = self.run(
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
        return {pair: ratio for pair, ratio in found.items() if ratio < LOWEST_CONTRAST}

    def without_scripts(self, disabled: bool = True) -> None:
        """Have the browser run no scripts of pages, or have it run them again."""
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": disabled})


@contextmanager
def opened(path: Path, profile: Path) -> Iterator[Browser]:
    """Start a browser for a page.

    Args:
        path: The page.
        profile: A folder for the browser's own files.
    """
    chromium, driver_path = needed("chromium"), needed("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*OPTIONS.split(), f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    driver.get("about:blank")  # leaves the page for new tabs, which loads parts of its own
    try:
        yield Browser(driver, path.as_uri())
    finally:
        driver.quit()


@contextmanager
def quiet(browser: Browser) -> Iterator[None]:
    """Check that nothing is said on the console in the block, and nothing requested but the page itself."""
    browser.driver.get_log("browser")
    browser.driver.get_log("performance")
    yield
    assert browser.driver.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.driver.get_log("performance")]
    urls = {one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"}
    assert {url for url in urls if not url.startswith(("data:", "about:"))} == {browser.url}
