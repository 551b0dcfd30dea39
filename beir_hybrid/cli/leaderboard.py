"""The command ``beir-hybrid leaderboard``: tables with significance tests from anybody's rank tables and results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def leaderboard(
    ranks: Annotated[
        list[Path] | None,
        typer.Option(
            "--ranks",
            help="Folder of rank tables. Default, without any input: where runs put them; old ones are left out.",
        ),
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder of MTEB's results, shown without tests where no ranks are.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Folder of MTEB's predictions of any retrieval task.")
    ] = None,
    qrels: Annotated[
        list[str] | None,
        typer.Option(
            "--qrels",
            help="Judgments of the predictions: a TREC file or a BEIR folder. Default: mteb loads the task.",
            metavar="[TASK=]PATH",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="A corpus that is not listed and that ranks are of: its folder, mteb:TASK ...; repeat it for more.",
            metavar="SOURCE",
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option("--baseline", help="Model to compare all others with; repeat it for more.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("leaderboard-tables"),
    settings: Annotated[
        Path | None, typer.Option("--settings", help="A leaderboard.toml: rows, labels, groups, alpha, ...")
    ] = None,
    manifests: Annotated[
        Path | None, typer.Option("--manifests", help="Folder of files that say what models were trained on.")
    ] = None,
    common_questions: Annotated[
        bool, typer.Option("--common-questions", help="Compare models on the questions that both were evaluated on.")
    ] = False,
    unit: Annotated[
        str | None,
        typer.Option("--unit", help="What tests flip as a whole: article (default), question or query."),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            "--margin",
            help="The difference that does not matter, for tests of equivalence, e.g. map=0.01; repeat it for more.",
            metavar="METRIC=SIZE",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 if the tables are out of date.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no summary.")] = False,
) -> None:
    """Make a leaderboard: Markdown, CSV, LaTeX, JSON, plots and one HTML page, with paired significance tests.

    Ranks of any corpus have columns; --data says how its title is written, what it is scored by, and how it is judged.
    """
    from beir_hybrid.corpora import register, spec_of_source, specs
    from beir_hybrid.errors import BeirHybridError
    from beir_hybrid.files import home, shown, user_path
    from beir_hybrid.leaderboard.inputs.settings import Settings, read_settings
    from beir_hybrid.leaderboard.publish import Inputs, outdated, regenerate

    if ranks is not None and len(ranks) > 1:
        raise BeirHybridError("--ranks stands twice: name one folder, all rank tables below it are taken")
    ranks_folder, results, predictions, manifests, settings = (
        None if path is None else user_path(path)
        for path in (ranks[0] if ranks else None, results, predictions, manifests, settings)
    )
    for source in data or ():
        if (spec := spec_of_source(source)) not in specs():
            register(spec)
    everything = ranks_folder is None and results is None and predictions is None
    if everything:
        ranks_folder = home() / "ranks"
        if not ranks_folder.is_dir():
            raise BeirHybridError(
                f"no run has left a rank table in {shown(ranks_folder)}; evaluate a model first, or name by --ranks "
                "a folder that `beir-hybrid evaluate --out` wrote"
            )
    chosen = read_settings(settings) if settings is not None else Settings()
    chosen = chosen.with_options(baseline or (), common_questions, unit, dict(map(_margin, margin or ())))
    inputs = Inputs(ranks_folder, results, predictions, tuple(qrels or ()), manifests, lenient=everything)
    out = user_path(out, "--out ")
    if check:
        names = outdated(inputs, chosen, out, progress=not quiet)
        for name in names:
            print(f"{out / name} is out of date")
        if not (names or quiet):
            print(f"{out} is up to date")
        raise typer.Exit(1 if names else 0)
    board = regenerate(inputs, chosen, out, progress=not quiet)
    if not quiet:
        measured = [row for row in board["rows"].values() if not row["published"]]
        print(
            f"{out}: {len(measured)} models, {len(board['columns'])} columns, {len(board['comparisons'])} comparisons; "
            "open leaderboard.html or read leaderboard.md"
        )
        for note in board["notes"]:
            print(shown(note, most=2000))


def _margin(text: str) -> tuple[str, float]:
    """Read an option such as ``map=0.01``; whether there is such a metric and margin is for the settings to say."""
    from beir_hybrid.errors import BeirHybridError
    from beir_hybrid.files import shown

    metric, _, size = text.partition("=")
    try:
        return metric.strip(), float(size)
    except ValueError:
        raise BeirHybridError(f"--margin {shown(text)}: write a metric and a number, e.g. map=0.01") from None
