"""The command ``beir-hybrid overlap``: whether texts of an evaluation were in the training data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beir_hybrid.files import check_writable, shown, user_path
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    from beir_hybrid.overlap.check import Example, Overlap, TrainingData

_WIDTH = 100  # characters of a text that an example shows


def overlap(
    train: Annotated[
        list[str],
        typer.Option("--train", help="A source of pairs, or a folder that `beir-hybrid train` wrote; repeatable."),
    ],
    evaluations: Annotated[
        list[str],
        typer.Option("--eval", help="A task (XQuADR, MLQAR), a data set or a source of pairs; repeatable."),
    ],
    max_share: Annotated[
        float, typer.Option(min=0, max=1, help="Exit with 1 if a larger share of a language's texts of a kind matches.")
    ] = 0.01,
    near: Annotated[
        float, typer.Option(min=0.1, max=1, help="Jaccard similarity of shingles from which texts are near-duplicates.")
    ] = 0.5,
    examples: Annotated[int, typer.Option(min=0, help="Examples to show of each language and kind.")] = 3,
    report: Annotated[
        Path | None, typer.Option("--json", help="Write the whole report to this file.", metavar="FILE")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; the exit code is the answer.")] = False,
) -> None:
    """Compare training data with evaluations; exit code 1 if more than --max-share of any language overlaps."""
    from beir_hybrid.overlap.outcome import compare

    if report is not None:
        report = user_path(report, "--json ")
        check_writable(report.parent, hint="name another file with --json")
    outcome = compare(train, evaluations, max_share, near, examples, progress=not quiet)
    if report is not None:
        outcome.write(report)
    if not quiet:
        for evaluation in dict.fromkeys(part.evaluation for part in outcome.overlap):
            _print_evaluation([part for part in outcome.overlap if part.evaluation == evaluation], outcome.training)
        worst = (f"{shown(p.evaluation)} {shown(p.language)} {p.kind}s ({p.share:.2%})" for p in outcome.above)
        print(f"Above {max_share:.2%}: {', '.join(worst) or 'none'}")
    if outcome.above:
        raise typer.Exit(1)


def _print_evaluation(found: Sequence[Overlap], training: Sequence[TrainingData]) -> None:
    matches = tuple(found[0].matches)
    rows = [
        (one.language, one.kind, one.texts, one.training_texts, *one.matches.values(), f"{one.share:.2%}")
        for one in found
    ]
    total, counts = sum(one.texts for one in found), [sum(one.matches[name] for one in found) for name in matches]
    rows.append(("all", "", total, "", *counts, f"{sum(counts) / total:.2%}"))
    headers = ("language", "kind", "texts", "training texts", *matches, "share")
    names = shown(", ".join(data.name for data in training), most=1000)
    print(f"{shown(found[0].evaluation)} against {names}, texts of the same language\n")
    print(text_table(rows, headers, left=2))
    print()
    examples = [example for one in found for example in one.examples]
    for example in examples:
        print(_describe(example))
    if examples:
        print()


def _describe(example: Example) -> str:
    known = example.training_text
    training = f"row {example.row} of its fingerprints" if known is None else _shortened(known)
    return (
        f"{example.match} {example.similarity:.2f}  {shown(example.id)}: {_shortened(example.text)}\n"
        f"    {shown(example.source)}: {training}"
    )


def _shortened(text: str) -> str:
    line = shown(" ".join(text.split()), most=len(text))
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."
