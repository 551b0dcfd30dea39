"""The commands of ``beir-hybrid``, each in a module of its own that is imported when the command is called."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

OPTIONS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,  # rich would be half of what it takes to show a help
}
"""What all our apps of typer have in common."""


class Command(NamedTuple):
    """What is known of a command before its module is imported.

    Attributes:
        summary: The first line of its docstring.
        needs_mteb: Whether to look first if the mteb installed here is supported.
        module: Where it is, if not in a module of its name; there it is a function of its name, or ``app``.
    """

    summary: str
    needs_mteb: bool = False
    module: str = ""


COMMANDS = {
    "evaluate": Command(
        "Evaluate a model on a corpus: monolingual, cross-lingual, and in the pool of all languages.", True
    ),
    "bias": Command(
        "Print language-bias figures, one column a model: plain means over question languages of means over their "
        "queries."
    ),
    "compare": Command(
        "Compare a model with a baseline: difference, interval, corrected p value and verdict of each setting."
    ),
    "export": Command("Write a data set as a folder that --data and BEIR read, or as TREC qrels and runs."),
    "interleave": Command(
        "Interleave the rankings of the single languages, round robin, and write rank tables of MODEL+interleaved."
    ),
    "merge": Command("Merge the shards of a run: scores and rank table are those of one process.", True),
    "scores": Command(
        "Print the setting averages of results: plain means of the main score over the subsets of each setting."
    ),
    "train": Command(
        "Train a Sentence Transformers model on hybrid batches: full tuning, or a head on a frozen encoder.", True
    ),
    "mine": Command("Find hard negatives: in each language, the likeliest answers of other questions.", True),
    "debias": Command(
        "Take the language out of a model's embeddings: a linear layer, fitted in seconds on sentences of each "
        "language.",
        True,
    ),
    "leaderboard": Command(
        "Make a leaderboard: Markdown, CSV, LaTeX, JSON, plots and one HTML page, with paired significance tests.",
        True,
    ),
    "report": Command(
        "Write a page that shows what a model finds and what it loses: figures, heat maps of languages, and examples."
    ),
    "overlap": Command(
        "Compare training data with evaluations; exit code 1 if more than --max-share of any language overlaps."
    ),
    "study": Command(
        "Train and evaluate what a study.toml lists, skip what is done, and judge the claims of arXiv 2408.10536.",
        True,
    ),
    "quickstart": Command(
        "Compare a cure without training and heads trained with X-X, X-Y and hybrid batches, on Atlas-R; no network.",
        True,
    ),
    "mteb": Command(
        "Run MTEB's command line with our tasks and models registered, e.g. `beir-hybrid mteb run -m ... -t XQuADR`.",
        True,
        "run_mteb",
    ),
    "data": Command("The data sets: where they are, and how they get there."),
}
"""Name of a command -> what is known of it, in the order of the help."""


class FullHelp(TyperGroup):
    """A group of commands whose help has the whole summary of each."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands and their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summary(ctx, name)) for name in self.list_commands(ctx)])

    def summary(self, ctx: Any, name: str) -> str:
        """Return the first line of a command's docstring."""
        command: Any = self.get_command(ctx, name)
        return str(command.help).partition("\n")[0]


class CommandGroup(FullHelp):
    """The commands of `COMMANDS`: lists all of them, and imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; of a name that is none, all of them, among which typer finds the nearest."""
        for name in [cmd_name] if cmd_name in COMMANDS else COMMANDS:
            if name not in self.commands:
                self.commands[name] = _imported(name)
        return self.commands.get(cmd_name)

    def summary(self, ctx: Any, name: str) -> str:
        """Return the first line of a command's docstring, without importing it."""
        return COMMANDS[name].summary


def _imported(name: str) -> Any:
    known = COMMANDS[name]
    module = import_module(f"beir_hybrid.cli.{known.module or name}")
    app = getattr(module, "app", None)
    if app is None:
        function = getattr(module, name)
        app = typer.Typer(**OPTIONS)
        app.command(name)(needing_mteb(function) if known.needs_mteb else function)
    return get_command(app)


def needing_mteb(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command say in one line that the mteb installed here is not supported."""

    @wraps(command)
    def checked(*args: object, **kwargs: object) -> None:
        from beir_hybrid.mteb.registration import check_mteb

        check_mteb()
        command(*args, **kwargs)

    return checked
