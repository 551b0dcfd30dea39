"""The command ``beir-hybrid merge``: the counts of several processes become one result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from beir_hybrid.files import check_writable, user_path


def merge(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run that was counted in shards, or one above it.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder that gets the rank table, the heat map and MTEB's result; that above runs/ by default.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no summary.")] = False,
) -> None:
    """Merge the shards of a run: scores and rank table are those of one process.

    All shards must be there, of one model, revision and data. The data are read, and the model is not. The folder of
    the run stays; delete it when you have what you want.
    """
    from beir_hybrid.cli.evaluate import print_result
    from beir_hybrid.cluster.merging import runs_below
    from beir_hybrid.quiet import silenced

    runs = runs_below(user_path(run))
    folders = [shared.root for shared in runs] if out is None else [user_path(out, "--out ")] * len(runs)
    for folder in folders:
        check_writable(folder, hint="name another folder with --out")
    for shared in runs:
        assert shared.parts  # before the first is merged, which takes a while
    for shared, folder in zip(runs, folders, strict=True):
        with silenced(notes=quiet):
            result = shared.merge(progress=not quiet and sys.stderr is not None and sys.stderr.isatty())
        files = result.save(folder)
        if not quiet:
            print_result(result, files)
