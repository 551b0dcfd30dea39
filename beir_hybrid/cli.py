"""The command line: ``beir-hybrid``, also ``python -m beir_hybrid``.

Nothing heavy is imported here: MTEB, torch and the data modules are loaded by the commands that need them.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, NoReturn

import typer

from beir_hybrid import __version__
from beir_hybrid.cli_bias import bias
from beir_hybrid.cli_export import export
from beir_hybrid.cli_leaderboard import leaderboard
from beir_hybrid.cli_overlap import overlap
from beir_hybrid.cli_quickstart import quickstart
from beir_hybrid.cli_study import study
from beir_hybrid.cli_train import train
from beir_hybrid.errors import BeirHybridError, one_line
from beir_hybrid.settings import SETTINGS, setting_of

_SUBSET = re.compile(r"(?P<question>[a-z]{2})-(?P<pool>[a-z]{2}|multi)")

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
app.command()(train)
app.command()(leaderboard)
app.command()(overlap)
app.command()(study)
app.command()(quickstart)


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
def run_mteb(context: typer.Context) -> None:
    """Run MTEB's command line with our tasks and models registered, e.g. `beir-hybrid mteb run -m ... -t XQuADR`."""
    from beir_hybrid.registration import register

    register()
    from mteb.cli import main as mteb_main

    sys.argv = ["beir-hybrid mteb", *context.args]
    mteb_main()


@data_app.command("list")
def list_data() -> None:
    """List the data sets and where their files are on this machine."""
    from beir_hybrid.corpora import DATA_SETS, atlas

    rows = [
        (data.name, " ".join(data.languages), data.licence, data.revision[:12], _whereabouts(data.name, data.parts))
        for data in DATA_SETS.values()
    ]
    rows.append((atlas.NAME, " ".join(atlas.LANGUAGES), atlas.LICENCE, atlas.revision()[:12], "none: generated"))
    print(_table(rows, ("data set", "languages", "licence", "revision", "files")))


@data_app.command("fetch")
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


@app.command()
def scores(
    paths: Annotated[list[Path], typer.Argument(help="MTEB result files, or folders of them (results/).")],
    languages: Annotated[bool, typer.Option("--languages", help="Add a table by question language.")] = False,
) -> None:
    """Print the setting averages of results: plain means of the main score over the subsets of each setting."""
    results = [result for path in paths for result in _read_results(path)]
    print(_settings_table(results))
    if languages:
        print()
        print(_languages_table(results))


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


@dataclass(frozen=True)
class TaskScores:
    """The main scores of one model on one task.

    Attributes:
        model: Name of the model, from the folder its results are in.
        revision: Its revision, from the folder too.
        task: Name of the task; the split follows in brackets where it is not ``test``.
        by_subset: Subset, e.g. ``en-de``, -> main score.
    """

    model: str
    revision: str
    task: str
    by_subset: Mapping[str, float]

    def of_setting(self, setting: str, question_language: str | None = None) -> list[float]:
        """Return the scores of a setting, of all question languages or of one."""
        return [
            score
            for subset, score in self.by_subset.items()
            if setting_of(subset) == setting and question_language in (None, subset.split("-")[0])
        ]


def _read_results(path: Path) -> Iterator[TaskScores]:
    """Yield the results of our tasks in a file, or in all files below a folder.

    Raises:
        BeirHybridError: There are none, or a file cannot be read.
    """
    if path.is_dir():
        # Predictions can be kept in the same folder, and are much larger.
        files = sorted(file for file in path.rglob("*.json") if not file.name.endswith("_predictions.json"))
    else:
        files = [path]
    results = [result for file in files for result in _read_result(file)]
    if not results:
        raise BeirHybridError(f"{path}: no result of a BEIR-Hybrid task here; `mteb run --output-folder` writes them")
    yield from results


def _read_result(file: Path) -> Iterator[TaskScores]:
    """Yield the result of each split in a file, if all its subsets are pairs of a question language and a pool."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BeirHybridError(f"cannot read {file}: {error.strerror or error}") from error
    except ValueError as error:
        raise BeirHybridError(f"{file} is not a whole JSON file ({error}); run the evaluation again") from error
    if not isinstance(content, dict) or "task_name" not in content or "scores" not in content:
        return
    for split, subsets in content["scores"].items():
        by_subset = {entry["hf_subset"]: entry["main_score"] for entry in subsets}
        if by_subset and all(map(_SUBSET.fullmatch, by_subset)):
            task = content["task_name"] + ("" if split == "test" else f" ({split})")
            revision_folder = file.resolve().parent
            model = revision_folder.parent.name.replace("__", "/")
            yield TaskScores(model, revision_folder.name, task, by_subset)


def _settings_table(results: Sequence[TaskScores]) -> str:
    rows = []
    for result in results:
        by_setting = [result.of_setting(setting) for setting in SETTINGS]
        counts = " / ".join(str(len(values)) for values in by_setting)
        rows.append((result.model, result.revision[:20], result.task, *map(_mean, by_setting), counts))
    return _table(rows, ("model", "revision", "task", *SETTINGS, "subsets"))


def _languages_table(results: Sequence[TaskScores]) -> str:
    rows = []
    for result in results:
        for language in dict.fromkeys(subset.split("-")[0] for subset in result.by_subset):
            means = (_mean(result.of_setting(setting, language)) for setting in SETTINGS)
            rows.append((result.model, result.revision[:20], result.task, language, *means))
    return _table(rows, ("model", "revision", "task", "questions in", *SETTINGS))


def _mean(values: Sequence[float]) -> str:
    return f"{fmean(values):.4f}" if values else "-"


def _table(rows: Sequence[tuple[str, ...]], headers: Sequence[str]) -> str:
    from tabulate import tabulate

    # Numbers come formatted: a revision of digits only must not be taken for one.
    align = ["right" if header in SETTINGS else "left" for header in headers]
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=align)
