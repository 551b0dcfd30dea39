"""The command line: ``beir-hybrid``, also ``python -m beir_hybrid``.

Nothing heavy is imported here: MTEB, torch and the data modules are loaded by the commands that need them.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from beir_hybrid import __version__
from beir_hybrid.cli.bias import bias
from beir_hybrid.cli.export import export
from beir_hybrid.cli.leaderboard import leaderboard
from beir_hybrid.cli.overlap import overlap
from beir_hybrid.cli.quickstart import quickstart
from beir_hybrid.cli.study import study
from beir_hybrid.cli.train import train
from beir_hybrid.errors import BeirHybridError, one_line
from beir_hybrid.files import shown
from beir_hybrid.subsets import SETTINGS, Subset, setting_of
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    from beir_hybrid.corpora import CorpusSpec
    from beir_hybrid.leaderboard.inputs.evaluations import ResultSource


def _needs_mteb(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command say in one line that the mteb installed here is not supported."""

    @wraps(command)
    def checked(*args: object, **kwargs: object) -> None:
        from beir_hybrid.mteb.registration import check_mteb

        check_mteb()
        command(*args, **kwargs)

    return checked


app = typer.Typer(
    help="Monolingual, cross-lingual and multilingual retrieval with MTEB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="The data sets: where they are, and how they get there.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.command()(bias)
app.command()(export)
app.command()(_needs_mteb(train))
app.command()(_needs_mteb(leaderboard))
app.command()(overlap)
app.command()(_needs_mteb(study))
app.command()(_needs_mteb(quickstart))


def main() -> None:
    """Run the command line; what the user can mend becomes one line and exit code 2.

    Whatever ends a command early ends it with 2 (or 130 for Ctrl-C), so that 1 is never anything but a verdict.
    """
    # Threads that spin while they wait make everything several times slower where other programs use the cores, too.
    # torch reads this once, when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # arrows and daggers where the output is ASCII or cp1252
    try:
        try:
            app(prog_name="beir-hybrid")
        finally:
            _flush()
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        _fail("nobody reads the output any more")  # typer ends with 1 for it
    except BeirHybridError as error:
        _fail(str(error))
    except (OSError, UnicodeError) as error:
        _fail(one_line(error))
    except Exception:
        traceback.print_exc()
        sys.exit(2)


def _fail(reason: str) -> NoReturn:
    try:
        _flush()
    except (OSError, ValueError):  # what could not be written is not tried again when Python ends
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    with suppress(OSError, ValueError):
        print(f"error: {reason}", file=sys.stderr)
    sys.exit(2)


def _flush() -> None:
    if sys.stdout is not None:  # it was closed before Python began
        sys.stdout.flush()


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"beir-hybrid {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(
    "mteb",
    add_help_option=False,
    # Everything belongs to MTEB's own parser, --help included.
    context_settings={"allow_extra_args": True, "allow_interspersed_args": False, "ignore_unknown_options": True},
)
@_needs_mteb
def run_mteb(context: typer.Context) -> None:
    """Run MTEB's command line with our tasks and models registered, e.g. `beir-hybrid mteb run -m ... -t XQuADR`."""
    from beir_hybrid.mteb.registration import register

    register()
    from mteb.cli import main as mteb_main

    sys.argv = ["beir-hybrid mteb", *context.args]
    mteb_main()


@data_app.command("list")
def list_data() -> None:
    """List the data sets and where their files are on this machine."""
    from beir_hybrid.corpora import specs

    rows = [
        (spec.name, " ".join(spec.languages), spec.licence, spec.revision[:12], _whereabouts(spec))
        for spec in specs()
        if spec.pairs or spec.read
    ]
    print(text_table(rows, ("data set", "languages", "licence", "revision", "files"), left=5))


@data_app.command("fetch")
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
    elif spec.read is not None:
        summary = "generated where it is used, there is nothing to download"
    else:
        summary = "MTEB downloads it from the Hugging Face hub when the task is run"
    if not quiet:
        print(f"{name}: {summary}")


@app.command()
def scores(
    paths: Annotated[list[Path], typer.Argument(help="MTEB result files, or folders of them (results/).")],
    languages: Annotated[bool, typer.Option("--languages", help="Add a table by question language.")] = False,
) -> None:
    """Print the setting averages of results: plain means of the main score over the subsets of each setting."""
    results = [result for path in paths for result in _read_results(path)]
    _print_missing(results)
    print(_settings_table(results))
    if languages:
        print()
        print(_languages_table(results))


def _whereabouts(spec: CorpusSpec) -> str:
    from beir_hybrid.corpora.sources import locate

    if spec.files is None:
        return "none: generated"
    parts = spec.files.parts
    paths = [path for part in parts if (path := locate(spec, part)) is not None]
    if not paths:
        return f"not here; `beir-hybrid data fetch {spec.name}` downloads them"
    missing = len(parts) - len(paths)
    return _folders(paths) + (f", {missing} missing" if missing else "")


def _folders(paths: Iterable[Path]) -> str:
    folders = [path.parent for path in paths]
    return ", ".join(f"{folders.count(folder)} files in {folder}" for folder in dict.fromkeys(folders))


def _read_results(path: Path) -> list[ResultSource]:
    """Return the results of our tasks in a file, or in all files below a folder.

    Raises:
        BeirHybridError: There are none, or a file cannot be read.
    """
    from beir_hybrid.leaderboard.inputs.evaluations import find_results

    results = [result for result in find_results(path) if result.by_setting]
    if not results:
        raise BeirHybridError(
            f"{shown(path)}: no result of a BEIR-Hybrid task here; `mteb run --output-folder` writes them"
        )
    return results


def _settings_table(results: Sequence[ResultSource]) -> str:
    rows = []
    for result in results:
        by_setting = [_main_scores(result, setting) for setting in SETTINGS]
        counts = " / ".join(str(len(values)) for values in by_setting)
        rows.append((*_names(result), *map(_mean, by_setting), counts))
    return text_table(rows, ("model", "revision", "task", *SETTINGS, "subsets"), left=3)


def _languages_table(results: Sequence[ResultSource]) -> str:
    rows = []
    for result in results:
        for language in dict.fromkeys(Subset.parse(subset).questions for subset in result.scores):
            means = (_mean(_main_scores(result, setting, language)) for setting in SETTINGS)
            rows.append((*_names(result), language, *means))
    return text_table(rows, ("model", "revision", "task", "questions in", *SETTINGS), left=4)


def _names(result: ResultSource) -> tuple[str, str, str]:
    from beir_hybrid.leaderboard.inputs.evaluations import short_revision

    return result.model, short_revision(result.revision), result.task


def _main_scores(result: ResultSource, setting: str, question_language: str | None = None) -> list[float | None]:
    """Return the main scores of a setting, of all question languages or of one; None for what is not a number."""
    from beir_hybrid.leaderboard.inputs.evaluations import MAIN_SCORE

    return [
        result.value(subset, MAIN_SCORE)
        for subset in result.scores
        if setting_of(subset) == setting and question_language in (None, Subset.parse(subset).questions)
    ]


def _print_missing(results: Sequence[ResultSource]) -> None:
    """Say which scores are missing: a mean over the others would be a figure of something else."""
    from beir_hybrid.leaderboard.inputs.evaluations import MAIN_SCORE

    for result in results:
        missing = [subset for subset in result.scores if result.value(subset, MAIN_SCORE) is None]
        if missing:
            print(f"{result.file}: no main score of {', '.join(missing[:5])}; evaluate it again", file=sys.stderr)


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.4f}" if known and len(known) == len(values) else "-"
