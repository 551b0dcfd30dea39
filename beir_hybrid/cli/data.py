"""The commands ``beir-hybrid data ...``: the data sets, where they are, and how they get there."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beir_hybrid.cli.commands import COMMANDS, OPTIONS, FullHelp
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    from beir_hybrid.corpora import CorpusSpec
    from beir_hybrid.corpora.own.checks import Checked

_MOST_LISTED = 25
"""Languages up to which each has a row of its own, so that all is one screen."""

app = typer.Typer(name="data", cls=FullHelp, help=COMMANDS["data"].summary, no_args_is_help=True, **OPTIONS)


@app.command("list")
def list_data() -> None:
    """List the data sets and where their files are on this machine."""
    from beir_hybrid.corpora import specs

    rows = [
        (spec.name, " ".join(spec.languages), spec.licence, spec.revision[:12], _whereabouts(spec))
        for spec in specs()
        if spec.pairs or spec.read
    ]
    print(text_table(rows, ("data set", "languages", "licence", "revision", "files"), left=5))


@app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help="Name of the data set, e.g. xquad-r.")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Download the files of a data set, unless they are on this machine already."""
    from beir_hybrid.corpora import spec_of
    from beir_hybrid.corpora.own import folder_of
    from beir_hybrid.corpora.sources import fetch

    spec = spec_of(name)
    if spec.files is not None:
        summary = _folders(fetch(spec, progress=not quiet))
    elif (folder := folder_of(spec)) is not None:
        summary = f"in {folder}, there is nothing to download"
    elif spec.read is not None and spec.origin is None:
        summary = "generated where it is used, there is nothing to download"
    else:
        summary = "MTEB downloads it from the Hugging Face hub when the task is run"
    if not quiet:
        print(f"{name}: {summary}")


@app.command("check")
def check_data(
    source: Annotated[str, typer.Argument(help="A folder, beir:FOLDER, or any other data set.", show_default=False)],
) -> None:
    """Say what there is in a data set, and every fault of its files in a line; ends with 2 if there is any."""
    from beir_hybrid.corpora.own.checks import check

    checked = check(source)
    if checked.parts:
        print(checked.heading)
        print(_languages_table(checked))
        if len(checked.parts) > _MOST_LISTED:
            print(f"Listed are the {_MOST_LISTED} languages with most to look at")
        for line in checked.remarks():
            print(line)
    for fault in checked.faults:
        print(f"error: {fault}", file=sys.stderr)
    if checked.faults:
        raise typer.Exit(2)


def _languages_table(checked: Checked) -> str:
    """Return the counts of each language; where there are many, of those with most to look at."""
    from beir_hybrid.corpora.own.findings import Findings, find

    rows = list(find(checked.parts).items())
    total = sum((findings for _, findings in rows), Findings())
    if len(rows) > _MOST_LISTED:
        rows = sorted(rows, key=lambda row: -row[1].odd)[:_MOST_LISTED]
    rows.append((f"all {len(checked.parts)}", total))
    cells = [(language, *(f"{count:,}" for count in findings.counts)) for language, findings in rows]
    return text_table(cells, ("language", *(field.name for field in fields(Findings))), left=1)


def _whereabouts(spec: CorpusSpec) -> str:
    from beir_hybrid.corpora.own import folder_of
    from beir_hybrid.corpora.sources import locate

    if (folder := folder_of(spec)) is not None:
        return f"in {folder}"
    if spec.files is None:
        return "none: generated" if spec.origin is None else "on the Hugging Face hub, MTEB downloads them"
    parts = spec.files.parts
    paths = [path for part in parts if (path := locate(spec, part)) is not None]
    if not paths:
        return f"not here; `beir-hybrid data fetch {spec.name}` downloads them"
    missing = len(parts) - len(paths)
    return _folders(paths) + (f", {missing} missing" if missing else "")


def _folders(paths: Iterable[Path]) -> str:
    folders = [path.parent for path in paths]
    return ", ".join(f"{folders.count(folder)} files in {folder}" for folder in dict.fromkeys(folders))
