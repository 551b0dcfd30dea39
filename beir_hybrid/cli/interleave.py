"""The command ``beir-hybrid interleave``: rank tables of the single languages' rankings, interleaved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_exists, check_writable, shown, user_path
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    import pyarrow as pa

    from beir_hybrid.ranks.schema import TableInfo


def interleave(
    paths: Annotated[list[Path], typer.Argument(help="Rank tables (.parquet), or folders of them.")],
    out: Annotated[Path, typer.Option("--out", help="Folder that gets ranks/.", show_default=False)],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
) -> None:
    """Interleave the rankings of the single languages, round robin, and write rank tables of MODEL+interleaved.

    Needs rank tables of all subsets and the languages of the passages, nothing else: no model runs.
    """
    from beir_hybrid.ranks import rank_table
    from beir_hybrid.scoring.interleaving import SUFFIX, interleaved

    out = user_path(out, "--out ")
    for path in paths:
        check_exists(path)
    check_writable(out, hint="name another folder with --out")
    tables = [rank_table.read(file) for path in paths for file in rank_table.rank_tables_below(path)]
    tables = [(table, info) for table, info in tables if not info.model.endswith(SUFFIX)]
    if not tables:
        raise BeirHybridError(f"{shown(paths[0])}: there is no rank table here that is not interleaved already")
    made = [interleaved(table, info) for table, info in tables]  # all of them, before the first is written
    for table, info in made:
        path = rank_table.default_path(info.task, info.model, info.model_revision, out)
        path = rank_table.store(path, table, info, info.pairs)
        if not quiet:
            print(f"Rank table: {path}")
    if not quiet:
        rows = [(info.model, info.task, _shown(_mean_gain(table, info))) for table, info in tables]
        print()
        print(text_table(rows, ("model", "task", "multilingual mAP by interleaving"), left=2))


def _mean_gain(table: pa.Table, info: TableInfo) -> float | None:
    """Return the mean over question languages of the mean gain; None where too few questions have one."""
    from beir_hybrid.corpora.registry import is_judged_in_own_language
    from beir_hybrid.scoring.bias import is_covered
    from beir_hybrid.scoring.interleaving import round_robin_gain

    frame = table.to_pandas()
    if is_judged_in_own_language(info.task):
        frame = frame[frame["passage_language"] == frame["query_language"]]
    gain = round_robin_gain(frame, info.pool_sizes)
    if not is_covered(gain.notna().mean()):
        return None
    languages = frame.groupby("query_id")["query_language"].first()
    return float(gain.groupby(languages).mean().mean())


def _shown(gain: float | None) -> str:
    return "-" if gain is None else f"{gain:+.4f}"
