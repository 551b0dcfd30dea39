"""The commands ``beir-hybrid data ...``: the data sets, where they are, and how they get there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    from beir_hybrid.corpora import CorpusSpec

app = typer.Typer(help="The data sets: where they are, and how they get there.", no_args_is_help=True)


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
    from beir_hybrid.corpora.sources import fetch

    spec = spec_of(name)
    if spec.files is not None:
        summary = _folders(fetch(spec, progress=not quiet))
    elif spec.read is not None and spec.origin is None:
        summary = "generated where it is used, there is nothing to download"
    else:
        summary = "MTEB downloads it from the Hugging Face hub when the task is run"
    if not quiet:
        print(f"{name}: {summary}")


def _whereabouts(spec: CorpusSpec) -> str:
    from beir_hybrid.corpora.sources import locate

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
