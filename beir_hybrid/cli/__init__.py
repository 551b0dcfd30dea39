"""The command line: ``beir-hybrid``, also ``python -m beir_hybrid``.

Nothing heavy is imported here: MTEB, torch and the data modules are loaded by the commands that need them.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import Annotated, NoReturn

import typer

from beir_hybrid import __version__
from beir_hybrid.cli import data
from beir_hybrid.cli.bias import bias
from beir_hybrid.cli.compare import compare
from beir_hybrid.cli.debias import debias
from beir_hybrid.cli.evaluate import evaluate
from beir_hybrid.cli.export import export
from beir_hybrid.cli.interleave import interleave
from beir_hybrid.cli.leaderboard import leaderboard
from beir_hybrid.cli.merge import merge
from beir_hybrid.cli.mine import mine
from beir_hybrid.cli.overlap import overlap
from beir_hybrid.cli.quickstart import quickstart
from beir_hybrid.cli.report import report
from beir_hybrid.cli.scores import scores
from beir_hybrid.cli.study import study
from beir_hybrid.cli.train import train
from beir_hybrid.errors import BeirHybridError, one_line

PROGRAM_ERROR = 70
"""Exit code of an error of the program, whatever the command."""


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
app.add_typer(data.app, name="data")
app.command()(_needs_mteb(evaluate))
app.command()(bias)
app.command()(compare)
app.command()(export)
app.command()(interleave)
app.command()(_needs_mteb(merge))
app.command()(scores)
app.command()(_needs_mteb(train))
app.command()(_needs_mteb(mine))
app.command()(_needs_mteb(debias))
app.command()(_needs_mteb(leaderboard))
app.command()(report)
app.command()(overlap)
app.command()(_needs_mteb(study))
app.command()(_needs_mteb(quickstart))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what the user can mend becomes one line and exit code 2.

    An error of the program ends it with 70 (EX_SOFTWARE of sysexits.h) and Ctrl-C with 130: 1 is never anything but a
    verdict, and a crash is no bad input.

    Args:
        arguments: Command and options; None for those of the process.
    """
    # Threads that spin while they wait make everything several times slower where other programs use the cores, too.
    # torch reads this once, when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # arrows and daggers where the output is ASCII or cp1252
    try:
        try:
            app(arguments, prog_name="beir-hybrid")
        finally:
            _flush()
    except SystemExit as end:
        if isinstance(end.__context__, typer.Abort):  # typer's end of an EOFError, with 1
            traceback.print_exception(end.__context__)
            sys.exit(PROGRAM_ERROR)
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        _fail("nobody reads the output any more")  # typer ends with 1 for it
    except BeirHybridError as error:
        _fail(str(error))
    except (OSError, UnicodeError) as error:
        _fail(one_line(error))
    except Exception:
        traceback.print_exc()
        sys.exit(PROGRAM_ERROR)


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
    from beir_hybrid.cli.engines import Engine
    from beir_hybrid.cli.mteb_options import help_text, taken_out
    from beir_hybrid.mteb.registration import register
    from beir_hybrid.scoring.shards import asked_for, asked_shard

    ours, theirs = taken_out(context.args)
    engine = Engine(ours.engine, ours.address, ours.workers, ours.gpus_per_worker)
    with asked_for(ours.shard):
        engine.check(shard=asked_shard(), device=next((name for name in theirs if name.startswith("--device")), None))
        register()
        from mteb.cli import main as mteb_main

        sys.argv = ["beir-hybrid mteb", *theirs]
        try:
            with engine.in_place_of_models():
                mteb_main()
        finally:
            if theirs[:1] == ["run"] and {"-h", "--help"} & {*theirs}:
                print(help_text())
