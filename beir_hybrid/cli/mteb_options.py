"""Our options of ``beir-hybrid mteb run``, among those of MTEB's own parser."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from beir_hybrid.cli import engines
from beir_hybrid.errors import BeirHybridError

_OF_ENGINE = {
    "engine": (str, "ENGINE"),
    "address": (str, "ADDRESS"),
    "workers": (int, "N"),
    "gpus_per_worker": (float, "N"),
}
"""Name of an option that says who counts -> its type, and its value in --help."""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise BeirHybridError(f"beir-hybrid mteb run: {message}")


def _parser() -> _Parser:
    parser = _Parser(
        prog="beir-hybrid mteb run", usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False, argument_default=None
    )
    ours = parser.add_argument_group("options of BEIR-Hybrid, for its own tasks")
    ours.add_argument(
        "--shard",
        metavar="I/N",
        help="Count one of N equal parts of each pass, as one of N processes, or what a launcher says: auto. "
        "`beir-hybrid merge` makes the scores of all parts.",
    )
    for name, (kind, metavar) in _OF_ENGINE.items():
        ours.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=engines.HELP[name])
    return parser


def taken_out(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Take our options out of the arguments of ``mteb``.

    Args:
        arguments: What stands behind ``beir-hybrid mteb``.

    Returns:
        Our options, None where they were not asked for, and MTEB's arguments as they were.

    Raises:
        BeirHybridError: A value is missing.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    if arguments[:1] != ["run"]:
        return _parser().parse_args([]), [*arguments]
    ours, theirs = _parser().parse_known_args(arguments[:end])
    return ours, [*theirs, *arguments[end:]]


def help_text() -> str:
    """Return what is shown of our options below MTEB's."""
    return _parser().format_help()
