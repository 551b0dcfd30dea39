"""Rank tables that cannot be: every one is refused in one line that names the file, before anything is computed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from beir_hybrid.cli import app
from beir_hybrid.errors import BeirHybridError, RankTableError
from beir_hybrid.leaderboard.inputs.evaluations import find_rank_tables
from beir_hybrid.leaderboard.inputs.settings import ModelEntry, Settings
from beir_hybrid.leaderboard.publish import Inputs, make_board
from beir_hybrid.ranks import rank_table
from beir_hybrid.ranks.schema import SCHEMA
from tests.support.small_ranks import LANGUAGES, POOL, info_of, ranks_of, write_ranks
from tools.store_ranks import store_ranks

Rows = list[dict[str, Any]]
SETTINGS = Settings(flips=200, resamples=100, ask_mteb=False)


def write(path: Path, rows: Rows, facts: Any) -> Path:
    """Write a file as an attacker would: any rows, any metadata."""
    columns = {name: pa.array([row[name] for row in rows], SCHEMA.field(name).type) for name in SCHEMA.names}
    described = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
    table = pa.table(columns).replace_schema_metadata({"beir_hybrid": described})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def sound() -> tuple[Rows, dict[str, Any]]:
    return [{"task": "XQuADR", **row} for row in ranks_of(0.6, 3, LANGUAGES, 0, False)], asdict(info_of("me/model"))


def refused(path: Path) -> str:
    with pytest.raises(RankTableError) as caught:
        rank_table.read(path)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 1000
    assert str(path) in message
    return message


def test_the_table_that_is_spoilt_below_is_sound(tmp_path: Path) -> None:
    rows, facts = sound()
    path = write(tmp_path / "t.parquet", rows, facts)
    assert rank_table.read(path)[0].num_rows == len(rows) == 27


def setting(name: str, value: Any, row: int = 5) -> Callable[[Rows], object]:
    return lambda rows: rows[row].update({name: value})


def all_of_query(**values: Any) -> Callable[[Rows], object]:
    """Change every row of the first query, so that its rows agree."""
    return lambda rows: [row.update(values) for row in rows if row["query_id"] == rows[0]["query_id"]]


ROWS: dict[str, tuple[Callable[[Rows], object], str]] = {
    **{
        f"null {name}": (setting(name, None), f"row 6: {name} is missing")
        for name in SCHEMA.names
        if name not in ("rank_in_language", "rank_in_pool", "outranked_by_query_language", "top_languages")
    },
    "the same row twice": (lambda rows: rows.append(dict(rows[4])), "row 28: passage_id is 'en:p0': this passage"),
    "a row twice with other ranks": (
        lambda rows: rows.append({**rows[4], "rank_in_pool": 99, "rank_in_language": 9}),
        "this passage of this query has another row",
    ),
    "a row twice at the start": (lambda rows: rows.insert(0, dict(rows[8])), "another row"),
    "a query in two languages": (setting("query_language", "th", 1), "query_language is 'th': other rows of its query"),
    "a query of two questions": (setting("question_id", "q9", 2), "question_id is 'q9': other rows of its query"),
    "a question in two articles": (setting("cluster_id", "elsewhere", 4), "other rows of its question have another"),
    "a passage in two languages": (setting("passage_language", "de", 4), "other rows of its passage have another"),
    "a passage without a pool": (
        lambda rows: [row.update(passage_language="fr") for row in rows if row["passage_id"] == "th:p0"],
        "passage_language is 'fr': it has no pool",
    ),
    "a passage in multi": (
        lambda rows: [row.update(passage_language="multi") for row in rows if row["passage_id"] == "th:p0"],
        "passage_language is 'multi': it has no pool",
    ),
    "a query without a pool": (all_of_query(query_language="fr"), "query_language is 'fr': it has no pool"),
    "a query in multi": (all_of_query(query_language="multi", rank_in_pool=None), "is not the name of a language"),
    "a query in a path": (all_of_query(query_language="../x", rank_in_pool=None), "is not the name of a language"),
    "a query in no language": (all_of_query(query_language="", rank_in_pool=None), "is not the name of a language"),
    "rank 0": (setting("rank_in_language", 0), "rank_in_language is 0: ranks count from 1"),
    "a rank below 0": (setting("rank_in_language", -3), "ranks count from 1"),
    "rank 0 in the pool": (setting("rank_in_pool", 0), "rank_in_pool is 0: ranks count from 1"),
    "a rank behind its pool": (setting("rank_in_language", POOL + 1), f"its pool has {POOL} passages"),
    "a rank behind the pool of all": (setting("rank_in_pool", 3 * POOL + 1), f"the pool of all has {3 * POOL}"),
    "the largest rank": (setting("rank_in_pool", 2**31 - 1), "the pool of all has"),
    "better among all than among some": (
        lambda rows: rows[5].update(rank_in_language=30, rank_in_pool=20, outranked_by_query_language=1),
        "rank_in_pool is 20: it is better than rank_in_language",
    ),
    "outranked by less than none": (setting("outranked_by_query_language", -1), "it is a number of passages"),
    "outranked by more than outrank": (
        lambda rows: rows[5].update(rank_in_language=1, rank_in_pool=2, outranked_by_query_language=2),
        "as many passages as rank_in_pool or more",
    ),
    "outranked by more than there are": (
        lambda rows: rows[5].update(rank_in_pool=None, outranked_by_query_language=POOL + 1),
        f"that pool has {POOL} passages",
    ),
    "grade 0": (setting("grade", 0), "grade is 0: "),
    "a grade below 0": (setting("grade", -1), "grade is -1: "),
    "top languages without a pool": (setting("top_languages", "enfrde"), "top_languages is 'enfrde': not the"),
    "half a top language": (setting("top_languages", "ende" + "e"), "top_languages is "),
    "101 top languages": (setting("top_languages", "en" * 101), "top_languages is "),
    "control letters as top languages": (setting("top_languages", "\x1b["), r"top_languages is '\x1b['"),
    "another task": (setting("task", "MLQAR"), "task is 'MLQAR': the table is of XQuADR"),
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_that_cannot_be(kind: str, tmp_path: Path) -> None:
    rows, facts = sound()
    spoil, reason = ROWS[kind]
    spoil(rows)
    assert reason in refused(write(tmp_path / "t.parquet", rows, facts))


MUCH = "[" * 10_000 + "]" * 10_000
TASKS = ("x/../../PWNED", "..", ".", "", "a b", "x\0", "\x1b[31m", "a" * 5000, "＝1", "C:\\x", "a\nb", ".hidden", "-rf")
NAMES = ("", " ", "a\0b", "\x1b]0;title\x07", "\x9b31m", "a\nb", "\u202eabc", "\ud800", "m" * 5000)
VALUES: tuple[Any, ...] = (None, 3, 1.5, True, [], ["a"], {}, {"a": 1})
FACTS: dict[str, dict[str, Any]] = {
    **{f"task {name!r:.20}": {"task": name} for name in TASKS},
    **{f"task of type {value!r}": {"task": value} for value in VALUES},
    **{
        f"{field} {name!r:.20}": {field: name}
        for field in ("model", "model_revision", "dataset_revision")
        for name in NAMES
    },
    **{f"{field} of type {value!r}": {field: value} for field in ("model", "model_revision") for value in VALUES},
    **{f"pools {value!r}": {"pool_sizes": value} for value in (None, 3, "en", [], [["en", 3]], True)},
    **{
        f"a pool of {value!r}": {"pool_sizes": {"en": value, "de": 40, "th": 40}}
        for value in (-1, 1.5, "40", None, True, 10**400, 2**31, [40], float("nan"))
    },
    **{
        f"a pool named {name!r:.20}": {"pool_sizes": {"en": 40, "de": 40, "th": 40, name: 40}}
        for name in ("multi", "", "../x", "\x1b[", "l" * 300, "e n")
    },
    **{f"cut {value!r}": {"cut": value} for value in (-1, "10", 1.5, True, [])},
    **{f"versions {value!r}": {"versions": value} for value in (None, 3, "1", ["a"], {"mteb": 2})},
}


@pytest.mark.parametrize("kind", FACTS)
def test_metadata_that_cannot_be(kind: str, tmp_path: Path) -> None:
    rows, facts = sound()
    assert str(tmp_path) in refused(write(tmp_path / "t.parquet", rows, {**facts, **FACTS[kind]}))


@pytest.mark.parametrize("text", [MUCH, f'{{"format_version": 1, "task": {MUCH}}}', "{", "", "1e999", "[]", "\x00"])
def test_metadata_that_are_no_facts(text: str, tmp_path: Path) -> None:
    rows, _ = sound()
    refused(write(tmp_path / "t.parquet", rows, text.encode()))


def test_texts_that_are_not_utf_8(tmp_path: Path) -> None:
    rows, facts = sound()
    path = write(tmp_path / "t.parquet", rows, facts)
    ids = [row["query_id"].encode() + b"\xff" for row in rows]
    table = pq.read_table(path).set_column(1, "query_id", pa.array(ids, pa.binary()).view(pa.string()))
    pq.write_table(table, path)
    refused(path)


def test_names_that_are_unusual_but_can_be(tmp_path: Path) -> None:
    rows, facts = sound()
    names = ("..", ".", "a/../b", "m" * 300, "NUL", "模型", "=1+1", "@x", "<b>", "C:\\x")
    for number, name in enumerate(names):
        path = write(tmp_path / "ranks" / f"{number}.parquet", rows, {**facts, "model": name, "model_revision": name})
        assert rank_table.read(path)[1].model == name
    each = [ModelEntry(key=f"{number}", label="row", models=(f"{name}@{name}",)) for number, name in enumerate(names)]
    written = store_ranks(tmp_path / "ranks", Settings(models=tuple(each)), tmp_path / "a" / "b" / "stored")
    assert len(set(written)) == 10
    inside = (tmp_path / "a" / "b" / "stored").resolve()
    assert all(inside in path.resolve().parents for path in written)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "ranks"}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_task_that_is_a_path_writes_nothing_outside(tmp_path: Path) -> None:
    rows, facts = sound()
    task = "x/../../../PWNED"
    write(tmp_path / "in" / "t.parquet", [{**row, "task": task} for row in rows], {**facts, "task": task})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RankTableError, match="is not the name of a task"):
        make_board(Inputs(ranks=tmp_path / "in"), SETTINGS)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["bias", "leaderboard --ranks"])
def test_the_commands_end_in_one_line(command: str, tmp_path: Path) -> None:
    rows, facts = sound()
    ROWS["a question in two articles"][0](rows)
    path = write(tmp_path / "t.parquet", rows, facts)
    done = CliRunner().invoke(app, [*command.split(), str(path)])
    assert isinstance(done.exception, BeirHybridError)
    assert str(done.exception).startswith(f"{path}, row 5: cluster_id is 'elsewhere'")


def other_files(folder: Path) -> None:
    """Write Parquet files that are not rank tables, one of them with the same key in its metadata."""
    prints = pa.table({"language": ["en"], "kind": ["question"], "text_hash": pa.array([1], pa.uint64())})
    pq.write_table(prints.replace_schema_metadata({"beir_hybrid": '{"format_version": 1}'}), folder / "f.parquet")
    pq.write_table(pa.table({"a": [1]}), folder / "g.parquet")


def test_other_parquet_files_below_a_folder_are_passed_over(tmp_path: Path) -> None:
    write_ranks(tmp_path, "me/model", 0.5)
    other_files(tmp_path / "ranks")
    assert [source.model for source in find_rank_tables(tmp_path / "ranks")] == ["me/model"]
    done = CliRunner().invoke(app, ["bias", str(tmp_path / "ranks")], catch_exceptions=False)
    assert done.exit_code == 0 and "me/model" in done.output
    with pytest.raises(RankTableError, match=r"f\.parquet is not a rank table"):
        find_rank_tables(tmp_path / "ranks" / "f.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all" * 10])
def test_a_damaged_file_is_not_passed_over(content: bytes, tmp_path: Path) -> None:
    write_ranks(tmp_path, "me/model", 0.5)
    (tmp_path / "ranks" / "t.parquet").write_bytes(content)
    with pytest.raises(RankTableError, match=r"t\.parquet is truncated"):
        find_rank_tables(tmp_path / "ranks")


def test_without_input_tables_of_older_data_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = write_ranks(tmp_path, "me/old", 0.5, dataset_revision="before the correction")
    os.utime(old, (1, 1))
    write_ranks(tmp_path, "me/new", 0.6)
    (tmp_path / "ranks" / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(BeirHybridError, match="truncated"):
        make_board(Inputs(ranks=tmp_path / "ranks"), SETTINGS)
    board = make_board(Inputs(ranks=tmp_path / "ranks", lenient=True), SETTINGS)
    assert list(board["rows"]) == ["me__new"]
    [broken, older] = [note for note in board["notes"] if note.startswith("Left out: ")]
    assert "broken.parquet is truncated" in broken
    assert "me__old/main/XQuADR.parquet was made from revision before the c of XQuADR's data" in older
    (tmp_path / "ranks" / "broken.parquet").unlink()
    with pytest.raises(BeirHybridError, match="evaluate both on the same data"):
        make_board(Inputs(ranks=tmp_path / "ranks"), SETTINGS)
