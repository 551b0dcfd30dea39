"""The commands ``beir-hybrid data ...``: the data sets, where they are, and how they get there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from beir_hybrid.text_tables import text_table

app = typer.Typer(help="The data sets: where they are, and how they get there.", no_args_is_help=True)


@app.command("list")
def list_data() -> None:
    """List the data sets and where their files are on this machine."""
    from beir_hybrid.corpora import DATA_SETS, atlas

    rows = [
        (data.name, " ".join(data.languages), data.licence, data.revision[:12], _whereabouts(data.name, data.parts))
        for data in DATA_SETS.values()
    ]
    rows.append((atlas.NAME, " ".join(atlas.LANGUAGES), atlas.LICENCE, atlas.REVISION[:12], "none: generated"))
    print(text_table(rows, ("data set", "languages", "licence", "revision", "files"), left=5))


@app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help="Name of the data set, e.g. xquad-r.")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Download the files of a data set, unless they are on this machine already."""
    from beir_hybrid.corpora import atlas
    from beir_hybrid.corpora.sources import fetch

    if name == atlas.NAME:
        if not quiet:
            print(f"{name}: generated where it is used, there is nothing to download")
        return
    paths = fetch(name, progress=not quiet)
    if not quiet:
        print(f"{name}: {_folders(paths)}")


def _whereabouts(name: str, parts: Sequence[str]) -> str:
    from beir_hybrid.corpora.sources import locate

    paths = [path for part in parts if (path := locate(name, part)) is not None]
    if not paths:
        return f"not here; `beir-hybrid data fetch {name}` downloads them"
    missing = len(parts) - len(paths)
    return _folders(paths) + (f", {missing} missing" if missing else "")


def _folders(paths: Iterable[Path]) -> str:
    folders = [path.parent for path in paths]
    return ", ".join(f"{folders.count(folder)} files in {folder}" for folder in dict.fromkeys(folders))
