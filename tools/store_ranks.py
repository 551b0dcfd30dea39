"""Keep the rank tables that leaderboard.toml names: ``python -m tools.store_ranks DIR``.

They go to leaderboard/published/ranks, which ``regenerate.py`` reads. DIR holds rank tables of any number of models,
such as the folder ``ranks`` of a study; those that no row names are left out, and so are the training seeds of a row
that has several, whose scores a study keeps in one file (study.scores.parquet, to be copied to the same folder). What
is stored already and not found in DIR stays. The languages of the best 100 passages are not stored: no table of the
leaderboard needs them, and they are half of a file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import as_folder, shown
from beir_hybrid.leaderboard.inputs.settings import Settings, read_settings
from beir_hybrid.ranks import rank_table
from leaderboard.regenerate import RANKS, SETTINGS_FILE
from tools import one_line_errors


def store_ranks(source: Path, settings: Settings, target: Path) -> list[Path]:
    """Copy rank tables, compressed as well as they can be.

    Args:
        source: Folder of rank tables.
        settings: Whose rows say which models are wanted.
        target: Folder to copy to, laid out as ``<model>/<revision>/<task>.parquet``.

    Returns:
        The files written.

    Raises:
        BeirHybridError: A table cannot be read or written, or none is wanted.
    """
    from beir_hybrid.leaderboard.board.model_rows import runs_of
    from beir_hybrid.leaderboard.inputs.evaluations import find_rank_tables

    runs = runs_of(find_rank_tables(source), [])
    rows = [[run for run in runs if any(map(run.matches, entry.models))] for entry in settings.models]
    wanted = [run for of_row in rows if len(of_row) == 1 for run in of_row]
    if not wanted:
        raise BeirHybridError(f"no row of the settings is one of the {len(runs)} models below {shown(source)}")
    written = []
    for run in wanted:
        for ranks in run.ranks.values():
            path = target / as_folder(run.model) / as_folder(run.revision) / f"{as_folder(ranks.task)}.parquet"
            rank_table.write(path, _without_top_languages(ranks.read()), ranks.info, compact=True)
            written.append(path)
    return written


def _without_top_languages(table: pa.Table) -> pa.Table:
    name = "top_languages"
    unknown = pa.nulls(len(table), table.schema.field(name).type)
    return table.set_column(table.column_names.index(name), name, unknown)


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description="Store the rank tables behind the published leaderboard.")
    parser.add_argument("source", type=Path, help="folder of rank tables")
    parser.add_argument("--settings", type=Path, default=SETTINGS_FILE, help="what is shown, default: %(default)s")
    parser.add_argument("--out", type=Path, default=RANKS, help="folder to write to, default: %(default)s")
    options = parser.parse_args(arguments)
    written = store_ranks(options.source, read_settings(options.settings), options.out)
    size = sum(path.stat().st_size for path in written)
    print(f"{options.out}: {len(written)} rank tables, {size / 1e6:.1f} MB; now run regenerate.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
