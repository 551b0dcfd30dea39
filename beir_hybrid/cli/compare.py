"""The command ``beir-hybrid compare``: is the difference between two runs real, and is the new one good enough."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, shown, user_path, write_json
from beir_hybrid.subsets import SETTINGS
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    from beir_hybrid.interface.model_comparison import Gate, ModelComparison
    from beir_hybrid.leaderboard.inputs.settings import Unit


def compare(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="The model's run: a rank table, or the folder of `evaluate --out`.")
    ],
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="The same of the baseline.")],
    no_worse_than: Annotated[
        float | None,
        typer.Option(
            "--no-worse-than",
            metavar="MARGIN",
            help="The difference that does not matter, such as 0.01: exit with 1 unless the model is shown not to be "
            "worse than the baseline by it.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--setting",
            help="What --no-worse-than is asked of, all that both have by default; repeatable.",
            metavar="|".join(SETTINGS),
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="Such as ndcg_at_10; the main score of the task by default.")
    ] = None,
    unit: Annotated[
        str, typer.Option("--unit", help="What is independent of one another: article, question or query.")
    ] = "article",
    common_questions: Annotated[
        bool, typer.Option("--common-questions", help="Compare on the questions that both runs have.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a table for a pull request or $GITHUB_STEP_SUMMARY.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file; - prints them.", metavar="FILE")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; the exit code is the answer.")] = False,
) -> None:
    """Compare a model with a baseline: difference, interval, corrected p value and verdict of each setting.

    With --no-worse-than it is a gate: exit code 0 if the model was shown not to be worse, 1 if not; 2 for bad input,
    70 for an error of the program. docs/ci.md has a workflow.
    """
    if setting and no_worse_than is None:
        raise BeirHybridError("--setting says what --no-worse-than is asked of; add it, such as --no-worse-than 0.01")
    if no_worse_than is not None and not 0 < no_worse_than < math.inf:
        raise BeirHybridError(f"--no-worse-than {no_worse_than:g}: write a number above 0, such as 0.01")
    for name in setting or ():
        if name not in SETTINGS:
            raise BeirHybridError(f"--setting {shown(name)}: write {', '.join(SETTINGS[:-1])} or {SETTINGS[-1]}")
    if markdown and str(report) == "-":
        raise BeirHybridError("--json - and --markdown would both be printed; name a file with --json")
    file = None if report is None or str(report) == "-" else user_path(report, "--json ")
    if file is not None:
        check_writable(file.parent, hint="name another file with --json")
    from beir_hybrid.interface.model_comparison import MARGINS
    from beir_hybrid.interface.model_comparison import compare as compared
    from beir_hybrid.interface.runs import load_run

    model, other = (load_run(path, metric) for path in (run, baseline))
    margins = MARGINS if no_worse_than is None else {model.metric: no_worse_than}
    comparison = compared(model, other, unit=cast("Unit", unit), margins=margins, common_questions=common_questions)
    gate = None if no_worse_than is None else comparison.gate(no_worse_than, setting)
    if file is not None:
        write_json(file, _content(comparison, gate), ensure_ascii=False)
    if not quiet:
        if report is not None and file is None:
            print(json.dumps(_content(comparison, gate), indent=2, ensure_ascii=False))
        else:
            print("\n\n".join(_markdown(comparison, gate) if markdown else _text(comparison, gate)))
    if gate is not None and not gate.passed:
        raise typer.Exit(1)


def _rows(comparison: ModelComparison, gate: Gate | None) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the rows of the table, with a label in front."""
    table = comparison.summary
    table["verdict"] = list(comparison.decisions(gate).values())
    return ["", *table.columns], [[label, *row] for label, row in zip(table.index, table.to_numpy(), strict=True)]


def _untested(comparison: ModelComparison) -> str:
    """Say why figures were not tested, where some were not."""
    missing = len(comparison.frame) - len(comparison.comparisons)
    reason = "less than 90 % of the questions have these figures in both runs, as where answers were not returned"
    return f"Not tested: {reason}" if missing else ""


def _answer(gate: Gate) -> str:
    return f"Not worse than the baseline by {gate.margin:g}: {'shown' if gate.passed else 'not shown'}"


def _reasons(comparison: ModelComparison, gate: Gate) -> Iterator[str]:
    """Yield a line for each setting of a gate, and what a verdict beside it does not say."""
    from beir_hybrid.leaderboard.board.captions import FEW_UNITS
    from beir_hybrid.leaderboard.stats.cells import PLURALS

    decisions = comparison.decisions(gate)
    for setting, test in gate.settings.items():
        yield (
            f"{setting}: {'shown' if test.shown else 'not shown'}; the lower end of the interval is {test.bound:+.4f}, "
            f"and p at the margin {test.p:.2g}"
        )
        if test.shown and decisions[setting, comparison.metric] == "worse":
            yield f"{setting}: it is worse, and by less than {gate.margin:g}"
    if comparison.units < FEW_UNITS:
        yield (
            f"{comparison.units} {PLURALS[comparison.unit]} are few: what is lost on others is not seen, and only "
            "large differences can be told from none"
        )


def _text(comparison: ModelComparison, gate: Gate | None) -> Iterator[str]:
    """Yield the parts of what a terminal shows."""
    heads, rows = _rows(comparison, gate)
    yield comparison.caption
    yield text_table(rows, heads, left=1)
    if untested := _untested(comparison):
        yield untested
    if gate is not None:
        yield "\n".join([_answer(gate), *(f"  {line}" for line in _reasons(comparison, gate))])


def _markdown(comparison: ModelComparison, gate: Gate | None) -> Iterator[str]:
    """Yield the parts of what a pull request shows; names are no markup there."""
    from beir_hybrid.leaderboard.render.tables_markdown import escape

    heads, rows = _rows(comparison, gate)
    if gate is not None:
        yield f"### {escape(_answer(gate))}"
    yield escape(comparison.caption)
    lines = [heads, [":--", *["--:"] * (len(heads) - 1)], *([escape(cell) for cell in row] for row in rows)]
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if untested := _untested(comparison):
        yield escape(untested)
    if gate is not None:
        yield "\n".join(f"- {escape(line)}" for line in _reasons(comparison, gate))


def _content(comparison: ModelComparison, gate: Gate | None) -> dict[str, Any]:
    """Return everything for a program."""
    decisions = comparison.decisions(gate)
    figures = [
        {
            "setting": key[0],
            "metric": key[1],
            **{name: value if isinstance(value, str) or math.isfinite(value) else None for name, value in row.items()},
            "decision": decisions[key],
        }
        for key, row in comparison.frame.to_dict("index").items()
    ]
    return {
        "model": comparison.model,
        "baseline": comparison.baseline,
        "task": comparison.task,
        "unit": comparison.unit,
        "units": comparison.units,
        "tests": len(comparison.comparisons),
        "figures": figures,
        "gate": None if gate is None else {**asdict(gate), "passed": gate.passed},
    }
