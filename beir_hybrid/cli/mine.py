"""The command ``beir-hybrid mine``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import user_path
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    from beir_hybrid.training.mining import Mined


def mine(
    model: Annotated[str, typer.Argument(help="Folder, Hugging Face hub id, or `offline`.", show_default=False)],
    data: Annotated[str, typer.Option("--data", help="Pairs: mlqa-r, ntrex, a .jsonl file ...", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="File: .jsonl, .jsonl.gz or .parquet.", show_default=False)],
    k: Annotated[int, typer.Option("-k", help="Hard negatives of each question in each language.")] = 4,
    languages: Annotated[str | None, typer.Option(help="Languages such as en,de; all of the data by default.")] = None,
    margin: Annotated[
        float | None, typer.Option(help="Leave out what scores above the answer's score less this share of it.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Find hard negatives: in each language, the likeliest answers of other questions.

    Writes the pairs with a field `negative`; `beir-hybrid train --data FILE` trains on it.
    """
    out = user_path(out, "--out ")
    asked = None if languages is None else [code.strip() for code in languages.split(",") if code.strip()]
    if asked == []:
        raise BeirHybridError(f"--languages {languages!r}: name at least one, such as en,de")
    if k < 1:
        raise BeirHybridError(f"-k {k}: ask for 1 or more hard negatives")
    if margin is not None and not 0 <= margin < 1:
        raise BeirHybridError(f"--margin {margin:g}: it is a share of the answer's score, from 0 to below 1")
    from beir_hybrid.finetune.mined import mine_to_file

    mined = mine_to_file(model, data, out, k, asked, margin, progress=not quiet)
    if not quiet:
        print(_table(mined))
        print(f"{out}: {mined.summary()}")


def _table(mined: Mined) -> str:
    pairs, rows = mined.pairs, []
    for language, columns in pairs.negatives.items():
        found = len(columns[0]) - columns[0].null_count
        answers = set(pairs.answers[language].unique().drop_null().to_pylist())
        used = {text for column in columns for text in column.unique().drop_null().to_pylist()}
        share = f"{len(used) / len(answers):.1%}" if answers else "-"
        rows.append((language, found + mined.left_short[language], mined.left_short[language], len(answers), share))
    headers = ("language", "questions", "left short", "different answers", "of which negatives")
    return text_table(rows, headers, left=1)
