"""A run as it is named on the command line: the file of its rank table, or a folder that holds it."""

from __future__ import annotations

from pathlib import Path

from beir_hybrid.errors import RankTableError
from beir_hybrid.files import user_path
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.ranks.rank_table import rank_tables_below


def load_run(path: str | Path, metric: str | None = None) -> RankTable:
    """Read a run.

    Args:
        path: A rank table, or a folder that holds one and no other, such as that of `beir-hybrid evaluate --out`.
        metric: As for ``RankTable.load``.

    Raises:
        RankTableError: There is none, several, or one that cannot be read.
        BeirHybridError: There is no such metric.
    """
    place = user_path(path)
    tables = rank_tables_below(place)
    if not tables:
        raise RankTableError(f"{place} holds no rank table; name the folder of `beir-hybrid evaluate --out`, or a file")
    if len(tables) > 1:
        named = ", ".join(str(table.relative_to(place)) for table in tables[:3]) + (", ..." if len(tables) > 3 else "")
        raise RankTableError(f"{place} holds {len(tables)} rank tables; name one of them: {named}")
    return RankTable.load(tables[0], metric)
