"""Writes the tables with figures of README.md and docs/ from the records under leaderboard/published.

`python -m tools.doc_figures` (`make docs-figures`) writes them anew; `--check` only names the documents that are not
current, with the exit code 1. A table stands between two comments that a reader of the page does not see. The first
names the records, a file and JSON pointers into it (RFC 6901), and holds a template:

    <!-- figures: leaderboard/published/measurements/evaluation.json#/figures/XQuADR/ways/*
    | XQuADR, {figures[XQuADR][subsets]} subsets | seconds | texts encoded |
    |---|---|---|
    | {way} | {seconds:.1f} | {texts_encoded:,} |
    -->
    <!-- end of figures -->

The last line of the template is written once for each record; `/*` at the end of a pointer stands for every entry of a
list or an object, whose key is `{key}`. Fields of the lines above are looked up in the whole file. Fields are those of
Python's str.format: `{a[b]:.3f}` is the entry b of the entry a, with three decimals. `%` stands behind a space, null is
empty, and `{a:interval}` shows an object of share, low and high as 4.4 % (3.5 to 5.4).
"""

from __future__ import annotations

import argparse
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import atomic_path, read_json, read_text

REPOSITORY = Path(__file__).parents[1]
_MARKED = re.compile(
    r"""
    ^(?P<head> <!--\ figures:\ (?P<file>[^\s#]+) (?P<pointers>[^\n]*) \n
      (?P<template> (?:(?!-->|<!--)[^\n]+\n)+ )
    -->\n)
    (?P<table> (?:(?!<!--)[^\n]*\n)* )
    (?P<end> <!--\ end\ of\ figures\ -->)$
    """,
    re.MULTILINE | re.VERBOSE,
)
_MARK = re.compile(r"^<!-- (?:end of )?figures\b", re.MULTILINE)


class DocumentError(BeirHybridError):
    """A document whose tables cannot be made."""


def documents(root: Path = REPOSITORY) -> list[Path]:
    """Return README.md and the pages of docs/."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def with_figures(document: Path, root: Path = REPOSITORY) -> str:
    """Return a document with all its tables made anew.

    Args:
        document: The Markdown file.
        root: The folder that the names of records are relative to.

    Raises:
        DocumentError: A mark is not closed or not well formed, or a record or one of its entries is missing.
    """
    content = read_text(document, DocumentError)

    def renewed(marked: re.Match[str]) -> str:
        line = content.count("\n", 0, marked.start()) + 1
        try:
            table = "".join(f"{row}\n" for row in _table(marked, root))
        except (DocumentError, KeyError, IndexError, TypeError, ValueError) as error:
            reason = f"there is no {error} in the record" if isinstance(error, KeyError) else error
            raise DocumentError(f"{document.name}:{line}: {reason}") from error
        return f"{marked['head']}{table}{marked['end']}"

    rest = _MARKED.sub(lambda marked: "\n" * marked[0].count("\n"), content)
    if leftover := _MARK.search(rest):
        line = rest.count("\n", 0, leftover.start()) + 1
        raise DocumentError(f"{document.name}:{line}: figures need a comment with a template, and one at their end")
    return _MARKED.sub(renewed, content)


def _table(marked: re.Match[str], root: Path) -> Iterator[str]:
    file = read_json(root / marked["file"], DocumentError)
    *head, row = marked["template"].splitlines()
    for line in head:
        yield _FORMATTER.vformat(line, (), file)
    for pointer in marked["pointers"].split():
        for record in _records(file, pointer):
            yield _FORMATTER.vformat(row, (), record)


def _records(file: Any, pointer: str) -> Iterator[dict[str, Any]]:
    *keys, last = [key.replace("~1", "/").replace("~0", "~") for key in pointer.removeprefix("#").split("/")[1:]]
    for key in keys if last == "*" else [*keys, last]:
        file = file[int(key)] if isinstance(file, list) else file[key]
    if last != "*":
        yield {"key": last, **file}
        return
    entries = dict(enumerate(file)) if isinstance(file, list) else file
    yield from ({"key": key, **record} for key, record in entries.items())


class _Formatter(string.Formatter):
    """str.format with a space before the per cent sign, empty nulls, and intervals."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None:
            return ""
        if format_spec == "interval":
            share, low, high = (f"{100 * value[key]:.1f}" for key in ("share", "low", "high"))
            return f"{share} % ({low} to {high})"
        return str(super().format_field(value, format_spec)).replace("%", " %")


_FORMATTER = _Formatter()


def main(arguments: list[str] | None = None) -> int:
    """Write the tables, or check them; the exit code is 1 where one is not current."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, name the documents that are not current")
    check = parser.parse_args(arguments).check
    code = 0
    for document in documents():
        try:
            content = with_figures(document, REPOSITORY)
        except BeirHybridError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        if content == document.read_text(encoding="utf-8"):
            continue
        name = document.relative_to(REPOSITORY)
        print(f"{name}: not current; run: make docs-figures" if check else f"{name} written")
        code = 1 if check else code
        if not check:
            with atomic_path(document) as temporary:
                temporary.write_text(content, encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
