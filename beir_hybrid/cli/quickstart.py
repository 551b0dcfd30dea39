"""The command ``beir-hybrid quickstart``: train, evaluate and compare on data that need no download."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from beir_hybrid.files import user_path


def quickstart(
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("beir-hybrid-quickstart"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
) -> None:
    """Compare a cure without training and heads trained with X-X, X-Y and hybrid batches, on Atlas-R; no network.

    Four languages of generated texts are embedded once; a projection is fitted and three heads are trained on the one
    half, and all are evaluated on the other and tested on a leaderboard page, in about a minute on two idle cores.
    """
    # Before anything imports the hub's client, which reads it once.
    os.environ["HF_HUB_OFFLINE"] = "1"
    from beir_hybrid.leaderboard.render.table_contents import main_table
    from beir_hybrid.leaderboard.render.terminal import print_table
    from beir_hybrid.study.quickstart import quickstart as run

    outcome = run(user_path(out, "--out "), quiet)
    if not quiet:
        print_table(main_table(outcome.board))
        parts = ", ".join(f"{name} {number:.0f} s" for name, number in outcome.seconds.items())
        print(f"{sum(outcome.seconds.values()):.0f} seconds: {parts}\nOpen {outcome.page.resolve()}")
