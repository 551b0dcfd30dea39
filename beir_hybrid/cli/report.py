"""The command ``beir-hybrid report``: a page about one model, or about two side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, home, user_path

if TYPE_CHECKING:
    from beir_hybrid.corpora import ParallelCorpus
    from beir_hybrid.interface import RankTable


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="One run, or two to be shown side by side, the second as what the first is compared with: a rank "
            "table (.parquet), or the folder of `evaluate --keep-top --out` that holds it.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The page.")] = Path("report.html"),
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", help="Instead of runs: a model to evaluate, or two (-m A -m B).", show_default=False
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="The corpus, as for `beir-hybrid evaluate`; by default the registered one of the runs' task.",
        ),
    ] = None,
    examples: Annotated[int, typer.Option("--examples", help="Examples to read.")] = 50,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars, and print nothing.")] = False,
) -> None:
    """Write a page that shows what a model finds and what it loses: figures, heat maps of languages, and examples.

    The page is a single file that needs no network. It holds texts of the corpus, under the licence of the corpus.
    """
    if bool(runs) == bool(models):
        raise BeirHybridError("name one run or two, or models to evaluate with -m, and not both")
    named = runs or models or []
    if len(named) > 2:
        raise BeirHybridError(f"a report is of one model or of two side by side, not of {len(named)}")
    if models and data is None:
        raise BeirHybridError("-m needs the corpus to evaluate on: name it with --data")
    if examples < 0:
        raise BeirHybridError(f"--examples {examples}: write a whole number from 0")
    out = user_path(out, "--out ")
    if out.is_dir():
        raise BeirHybridError(f"--out {out} is a folder; name a file such as {out / 'report.html'}")
    check_writable(out.parent, hint="name another file with --out")

    from beir_hybrid.report.assemble import build_report
    from beir_hybrid.report.page import write_report

    tables, corpus = _evaluated(models, str(data), quiet) if models else _read(named, data, quiet)
    write_report(build_report(tables, corpus, examples), out)
    if not quiet:
        print(f"Report: {out}")


def _read(runs: Sequence[str], data: str | None, quiet: bool) -> tuple[list[RankTable], ParallelCorpus]:
    """Return the runs and their corpus."""
    from beir_hybrid.interface.runs import load_run
    from beir_hybrid.report.assemble import check_runs, corpus_of

    tables = [load_run(run) for run in runs]
    check_runs(tables)
    corpus = corpus_of(tables[0], data, progress=not quiet)
    assert corpus.spec is not None
    return [replace(table, metric=corpus.spec.metrics[0]) for table in tables], corpus


def _evaluated(models: Sequence[str], data: str, quiet: bool) -> tuple[list[RankTable], ParallelCorpus]:
    """Evaluate models, and keep their rank tables as `beir-hybrid evaluate` does; return them and the corpus."""
    from beir_hybrid.mteb.registration import check_mteb

    check_mteb()
    from beir_hybrid.interface.any_model import mteb_model
    from beir_hybrid.interface.evaluate_model import evaluate_on, read_corpus
    from beir_hybrid.quiet import silenced
    from beir_hybrid.report.assemble import KEEP_TOP

    check_writable(home() / "ranks")
    corpus = read_corpus(data, progress=not quiet)  # before a model is loaded
    progress = not quiet and sys.stderr is not None and sys.stderr.isatty()
    with silenced(notes=quiet):
        loaded = [mteb_model(model) for model in models]
        results = [evaluate_on(model, corpus, 32, progress, keep_top=KEEP_TOP) for model in loaded]
    return [result.stored(home()) for result in results], corpus
