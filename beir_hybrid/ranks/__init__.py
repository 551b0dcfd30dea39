"""Rank tables: the rank of every relevant passage of every query, from which all figures are computed.

`rank_table` reads, merges and writes them, `schema` says what is in them, `rows` makes them.
"""

from beir_hybrid.ranks.rank_table import (
    default_path,
    evaluated_pairs,
    merge,
    rank_tables_below,
    ranked_in_pool,
    read,
    read_info,
    store,
    write,
)
from beir_hybrid.ranks.rows import build
from beir_hybrid.ranks.schema import SCHEMA, TableInfo

__all__ = [
    "SCHEMA",
    "TableInfo",
    "build",
    "default_path",
    "evaluated_pairs",
    "merge",
    "rank_tables_below",
    "ranked_in_pool",
    "read",
    "read_info",
    "store",
    "write",
]
