"""The command ``beir-hybrid interleave``, run in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from beir_hybrid.ranks import rank_table
from beir_hybrid.scoring.interleaving import interleaved_ranks, round_robin_gain
from tests.cli.test_cli import Cli, cli, rows  # noqa: F401 (a fixture)
from tests.support.small_ranks import write_ranks


def test_tables_of_interleaved_rankings_stand_beside_those_of_the_model(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    file = write_ranks(tmp_path, "tests/some", 0.5)
    code, output, _ = cli("interleave", tmp_path / "ranks", "--out", tmp_path)
    new = rank_table.default_path("XQuADR", "tests/some+interleaved", "main", tmp_path)
    assert code == 0
    assert f"Rank table: {new}\n" in output
    table, info = rank_table.read(file)
    frame = table.to_pandas()
    gain = round_robin_gain(frame, info.pool_sizes).mean()
    assert rows(output.partition("\n\n")[2]) == [["tests/some", "XQuADR", f"{gain:+.4f}"]]
    written, new_info = rank_table.read(new)
    assert new_info.model == "tests/some+interleaved"
    assert written["rank_in_language"] == table["rank_in_language"]
    assert written["rank_in_pool"].to_pylist() == interleaved_ranks(frame, info.pool_sizes).tolist()


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"model": "tests/some+interleaved"}, "there is no rank table here that is not interleaved already"),
        ({"evaluated": {"de": ["de"]}}, "of tests/some on XQuADR cannot be interleaved"),
    ],
)
def test_what_cannot_be_interleaved_is_one_line(cli: Cli, tmp_path: Path, facts: dict, says: str) -> None:  # noqa: F811
    write_ranks(tmp_path / "in", **{"model": "tests/some", "level": 0.5, **facts})
    code, _, error = cli("interleave", tmp_path / "in", "--out", tmp_path / "out")
    assert code == 2
    assert error.startswith("error: ") and error.count("\n") == 1 and says in error
    assert not list((tmp_path / "out").rglob("*.parquet"))
