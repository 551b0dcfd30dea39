"""Keeping the rank tables behind the published leaderboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from beir_hybrid.leaderboard.inputs.settings import read_settings
from beir_hybrid.ranks import rank_table
from tests.support.small_ranks import write_ranks
from tools.store_ranks import main, store_ranks

SETTINGS = """
[[model]]
label = "X-X"
models = ["me/x-x"]
[[model]]
label = "X-Y"
models = ["me/x-y"]
[[model]]
label = "hybrid"
models = ["me/hybrid-seed*"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "leaderboard.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    return path


def test_the_tables_that_rows_name_are_stored_smaller_and_without_top_languages(tmp_path: Path, settings: Path) -> None:
    sources = [write_ranks(tmp_path, f"me/{name}", 0.8, questions=300) for name in ("x-x", "x-y")]
    write_ranks(tmp_path, "me/other", 0.5)
    for seed in (1, 2):  # their scores are kept, in the file of their study
        write_ranks(tmp_path, f"me/hybrid-seed{seed}", 0.5, seed=seed)
    out = tmp_path / "published"
    written = store_ranks(tmp_path / "ranks", read_settings(settings), out)
    assert written == [out / source.relative_to(tmp_path / "ranks") for source in sources]
    for source, stored in zip(sources, written, strict=True):
        (table, info), (again, stored_info) = rank_table.read(source), rank_table.read(stored)
        assert again.drop_columns("top_languages").equals(table.drop_columns("top_languages"))
        assert again["top_languages"].null_count == len(again)
        assert stored_info == info
        assert stored.stat().st_size < source.stat().st_size
    before = written[0].read_bytes()
    store_ranks(tmp_path / "ranks", read_settings(settings), out)
    assert written[0].read_bytes() == before


def test_nothing_to_store_is_one_line(tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ranks(tmp_path, "me/other", 0.5)
    arguments = [str(tmp_path / "ranks"), "--settings", str(settings), "--out", str(tmp_path / "published")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no row of the settings is one of the 1 models below ")
    assert error.count("\n") == 1
    assert not (tmp_path / "published").exists()
