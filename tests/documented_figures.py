"""Figures in Markdown, and the records under leaderboard/published that they come from.

A comment on the line above a block (a paragraph, list, table or fence) names the records of the block's figures, each
relative to the root of the repository and optionally narrowed to a part by a JSON pointer (RFC 6901):

    <!-- figures: leaderboard/published/measurements/chunked.json#/figures -->

A number **looks measured** if it has decimals, is a percentage, has a unit of time or memory, or is 1000 or more; in a
table below a comment every number does. Inline code, targets of links, versions and licences are left out, and so are
fences and lines of console fences that show source or commands.

- Below a comment, every number that looks measured must be a number of the records, rounded to the digits shown. A
  percentage is a hundred times the record's number; "about" rounds an integer to its last digit that is not 0. The
  numbers of a table must stand in the record in the order of the table, so that figures that changed places are found.
- Without a comment, no number may look measured, but for integers without a unit, which mostly are sizes of data sets
  and settings, and for integers with "about", which are estimates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

BLOCK = re.compile(
    r"""
    ^(?: <!--\ figures:\ (?P<sources>[^\n]+)\ -->$ \n? )?
    (?P<text>
        ``` (?s:.)*? (?:\n```$ | \Z)                                # a fence, blank lines included
      | (?: (?!```|<!--\ figures:) [^\n]*\S[^\n]* (?:\n|\Z) )+      # lines up to a blank one
    )?
    """,
    re.VERBOSE | re.MULTILINE,
)
NOT_FIGURES = re.compile(
    r"""
    `[^`]*`                         # inline code
    | \]\([^)]*\) | https?://\S+    # targets of links
    | \b(?:Apache|arXiv|BEIR|BY-NC|BY-SA|mteb|numpy|Python|ranx|scipy|torch)\ \d+\.\d+(?:\ to\ \d+\.\d+)?\b
    """,
    re.VERBOSE,
)
NUMBER = re.compile(
    r"""
    (?P<about>\babout\ )?
    (?<![\w.@]) (?<![A-Za-z]-)      # not a part of a name, a version or a cut-off
    (?P<digits>[-+]? (?:\d{1,3}(?:,\d{3})+ | \d+) (?:\.(?P<decimals>\d+))?)
    (?! \w | [.,]\d)
    (?:\ ?(?P<unit>%|(?:ns|ms|s|seconds|minutes|hours|kB|MB|GB|TB)\b))?
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Figure:
    """A number as it is shown.

    Attributes:
        text: The number and its unit.
        value: What it says, a percentage divided by 100.
        step: What one more in the last digit shown would add.
        is_plain: Whether it is an integer without a unit.
        is_estimate: Whether it is an integer after "about".
    """

    text: str
    value: Decimal
    step: Decimal
    is_plain: bool
    is_estimate: bool

    @property
    def looks_measured(self) -> bool:
        return not self.is_plain or abs(self.value) >= 1000

    def shows(self, number: Decimal) -> bool:
        """Whether a number of a record, rounded to the digits shown, is this one."""
        return 2 * abs(self.value - number) <= self.step


def wrong_figures(document: Path, root: Path, settings: Sequence[str] = ()) -> list[str]:
    """Check the figures of a document.

    Args:
        document: The Markdown file.
        root: The repository, which comments name records in.
        settings: Fragments of the document whose numbers are settings and definitions; they may stand on several lines.

    Returns:
        One line for each figure that is not in its record, block of figures without a comment, comment without figures,
        and record that is not there.
    """
    content = document.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(content):
        text = match["text"] or ""
        if match["sources"]:
            problems = _not_in_records(text, match["sources"].split(), root)
        else:
            problems = _without_record(text, settings)
        line = content.count("\n", 0, match.start()) + 1
        found += [f"{document.relative_to(root).as_posix()}:{line}: {problem}" for problem in problems]
    return found


def pattern_of(fragment: str) -> re.Pattern[str]:
    """Return a pattern that finds a fragment of a document across its line breaks."""
    return re.compile(r"\s+".join(map(re.escape, fragment.split())))


def numbers_of(source: str, root: Path) -> list[Decimal]:
    """Return all numbers of a record, or of the part of it that a JSON pointer names, in their order.

    Raises:
        ValueError: The file or the part is not there.
    """
    name, _, pointer = source.partition("#")
    if not (root / name).is_file():
        raise ValueError(f"there is no file {name}")
    part = json.loads((root / name).read_text(encoding="utf-8"), parse_float=Decimal, parse_int=Decimal)
    for key in (escaped.replace("~1", "/").replace("~0", "~") for escaped in pointer.split("/")[1:]):
        try:
            part = part[int(key)] if isinstance(part, list) else part[key]
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{name} has nothing at {pointer}") from error
    return list(_leaves(part))


def _leaves(part: Any) -> Iterator[Decimal]:
    if isinstance(part, Decimal):
        yield part
    elif isinstance(part, dict | list):
        for value in part.values() if isinstance(part, dict) else part:
            yield from _leaves(value)


def _not_in_records(text: str, sources: Sequence[str], root: Path) -> Iterator[str]:
    try:
        numbers = [number for source in sources for number in numbers_of(source, root)]
    except ValueError as error:
        yield str(error)
        return
    is_table = text.startswith("|")
    figures = [figure for figure in _figures(text) if is_table or figure.looks_measured]
    if not figures:
        yield f"no figures follow the comment that names {' '.join(sources)}"
    rest = iter(numbers)
    for figure in figures:
        # In a table, each number is looked for behind the one before it.
        if not any(figure.shows(number) for number in (rest if is_table else numbers)):
            yield f"{figure.text} is not {'at its place ' if is_table else ''}in {' '.join(sources)}"
            if is_table:
                return


def _without_record(text: str, settings: Sequence[str]) -> Iterator[str]:
    for fragment in settings:
        text = pattern_of(fragment).sub("", text)
    measured = [figure.text for figure in _figures(text) if not (figure.is_plain or figure.is_estimate)]
    if measured:
        yield f"{', '.join(measured[:5])}: looks measured, and no comment names a record (see docs/architecture.md)"


def _figures(text: str) -> Iterator[Figure]:
    for match in NUMBER.finditer(_shown(text)):
        digits, decimals = match["digits"].replace(",", ""), len(match["decimals"] or "")
        is_percentage = match["unit"] == "%"
        is_estimate = bool(match["about"]) and not (decimals or is_percentage)
        zeros = len(digits) - len(digits.rstrip("0")) if is_estimate else 0
        scale = Decimal("0.01") if is_percentage else Decimal(1)
        yield Figure(
            text=match[0].removeprefix("about "),
            value=Decimal(digits) * scale,
            step=Decimal(10) ** (zeros - decimals) * scale,
            is_plain=not (decimals or match["unit"]),
            is_estimate=is_estimate,
        )


def _shown(text: str) -> str:
    """Return what a block shows, in one line and without what is no figure."""
    if text.startswith("```"):
        language, *lines = text.removeprefix("```").splitlines()
        # Other fences show source.
        text = "\n".join(line for line in lines if language == "console" and not line.startswith("$"))
    text = NOT_FIGURES.sub("", " ".join(text.replace("\u2212", "-").split()))
    # The interval behind a percentage and the lower end of a range are percentages, too.
    text = re.sub(r"% \(([\d.]+) to ([\d.]+)\)", r"% (\1 % to \2 %)", text)
    return re.sub(r"([\d.]+) to ([\d.]+ ?%)", r"\1 % to \2", text)
