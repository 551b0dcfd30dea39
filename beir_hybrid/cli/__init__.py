"""The command line: ``beir-hybrid``, also ``python -m beir_hybrid``.

Nothing heavy is imported here: a command is imported when it is called, and loads MTEB, torch and the data if it needs
them.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from beir_hybrid import __version__
from beir_hybrid.cli.commands import OPTIONS, CommandGroup
from beir_hybrid.errors import BeirHybridError, one_line

PROGRAM_ERROR = 70
"""Exit code of an error of the program, whatever the command."""


app = typer.Typer(
    help="Monolingual, cross-lingual and multilingual retrieval with MTEB.",
    cls=CommandGroup,
    no_args_is_help=True,
    **OPTIONS,
)


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
