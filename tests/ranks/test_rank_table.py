"""The rank table's file: what comes back from it, what is merged, and what is left when something goes wrong."""

from __future__ import annotations

import json
import os
import signal
import stat
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.errors import BeirHybridError, RankTableError
from beir_hybrid.ranks import SCHEMA, TableInfo, build, default_path, merge, rank_table, read, schema, store, write
from beir_hybrid.scoring.corpus_scores import count_corpus, rank_rows
from tests.support.helpers import ScoreTable, property_test, score_tables
from tests.support.processes import run

INFO = TableInfo(
    task="Task",
    dataset_revision="data-1",
    model="tests/model",
    model_revision="1",
    pool_sizes={"en": 30, "de": 20, "zh": 10},
    versions={"mteb": "2.26"},
)

Row = dict[str, Any]


def row(query_id: str, passage_id: str, *ranks: int | None, **fields: Any) -> Row:
    """Make a row; ``ranks`` are those in the language and in the pool, and the passages of the query's language."""
    in_language, in_pool, outranked = (*ranks, None, None, None)[:3]
    return {
        "query_id": query_id,
        "question_id": query_id.partition(":")[2],
        "query_language": query_id.partition(":")[0],
        "passage_id": passage_id,
        "passage_language": passage_id.partition(":")[0],
        "rank_in_language": in_language,
        "rank_in_pool": in_pool,
        "outranked_by_query_language": outranked,
        "cluster_id": "0",
        "grade": 1,
        "top_languages": None,
        **fields,
    }


def table_of(*rows: Row, task: str = "Task") -> pa.Table:
    return build(task, [{name: [one[name] for one in rows] for name in SCHEMA.names if name != "task"}])


def rows_of(table: pa.Table) -> list[Row]:
    return [{name: value for name, value in one.items() if name != "task"} for one in table.to_pylist()]


ROWS = [
    row("en:q1", "de:10", 1, 2, 0, top_languages="endeen"),
    row("en:q1", "de:9", 2, 4, 1, top_languages="endeen"),
    row("en:q1", "zh:\U0001f600", 3, None, None, grade=3),
    row("en:é", "en:1", None, None, None, cluster_id="a b"),
]
TABLE = table_of(*ROWS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ranks" / "task.parquet"


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def refused(path: Path) -> str:
    """Return the one line that reading a file gives, less its path."""
    with pytest.raises(RankTableError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value).replace(str(path), "PATH")


def test_what_is_written_is_read_again(path: Path) -> None:
    write(path, TABLE, INFO)
    table, info = read(path)
    assert info == INFO
    assert table.schema.equals(SCHEMA, check_metadata=True)
    assert table.equals(TABLE)
    assert rows_of(table) == ROWS
    assert table["task"].to_pylist() == ["Task"] * 4
    assert files(path.parent) == ["task.parquet"]


def test_a_table_without_rows(path: Path) -> None:
    store(path, build("Task", []), INFO)
    assert read(path)[0].num_rows == 0
    store(path, TABLE, INFO)
    store(path, build("Task", []), INFO)
    assert rows_of(read(path)[0]) == ROWS


@property_test(25)
@given(score_tables(), st.booleans())
def test_counted_ranks_of_a_whole_corpus(
    tmp_path_factory: pytest.TempPathFactory, table: ScoreTable, whole: bool
) -> None:
    counted = list(count_corpus(table.corpus, table.embeddings, table.similarity))
    chunks = [rank_rows(one, table.corpus, whole_pool=whole) for one in counted]
    path = tmp_path_factory.mktemp("ranks") / "task.parquet"
    pool_sizes = {language: len(part.passages) for language, part in table.corpus.languages.items()}
    store(path, build("Task", chunks), replace(INFO, pool_sizes=pool_sizes))
    found = {(one["query_id"], one["passage_id"]): one for one in rows_of(read(path)[0])}
    in_language = [int(rank) for one in counted for rank in one.rank_in_language]
    in_pool = [int(rank) if whole else None for one in counted for rank in one.rank_in_pool]
    keys = [
        key for one in chunks for key in zip(one["query_id"].to_pylist(), one["passage_id"].to_pylist(), strict=True)
    ]
    assert set(found) == set(keys)
    assert [found[key]["rank_in_language"] for key in keys] == in_language
    assert [found[key]["rank_in_pool"] for key in keys] == in_pool
    assert all((one["top_languages"] is None) is not whole for one in found.values())


def test_equal_tables_are_equal_files(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name / "task.parquet" for name in "abc")
    store(first, TABLE, INFO)
    store(second, TABLE.take([3, 1, 2, 0]), replace(INFO, pool_sizes={"zh": 10, "de": 20, "en": 30}))
    for some in ([2], [3, 1], [0, 1]):
        store(third, TABLE.take(some), INFO)
    assert first.read_bytes() == second.read_bytes() == third.read_bytes()
    store(first, TABLE, INFO)
    assert first.read_bytes() == second.read_bytes()
    write(second, *read(first))
    assert first.read_bytes() == second.read_bytes()


def test_rows_are_in_order_of_their_ids_as_strings(path: Path) -> None:
    store(path, TABLE.take([3, 1, 2, 0]), INFO)
    assert rows_of(read(path)[0]) == ROWS
    store(path, table_of(row("de:q", "en:1", 7)), INFO)
    assert [(one["query_id"], one["passage_id"]) for one in rows_of(read(path)[0])] == [
        ("de:q", "en:1"),
        *((one["query_id"], one["passage_id"]) for one in ROWS),
    ]


def test_merging_completes_a_table() -> None:
    old = table_of(
        row("en:q", "en:1", 1, None, None),
        row("en:q", "de:1", 5, 50, 5, top_languages="ende"),
        row("en:r", "en:1", 9, 90, 9),
    )
    new = table_of(
        row("en:q", "en:1", 2, 20, 2, top_languages="deen"),
        row("en:q", "de:1", None, 51, None, grade=2),
        row("en:s", "en:1", None, None, None),
    )
    merged = merge(old, new)
    assert merged.schema == SCHEMA
    assert sorted(rows_of(merged), key=lambda one: (one["query_id"], one["passage_id"])) == [
        row("en:q", "de:1", 5, 51, None, grade=2),
        row("en:q", "en:1", 2, 20, 2, top_languages="deen"),
        row("en:r", "en:1", 9, 90, 9),
        row("en:s", "en:1", None, None, None),
    ]


def test_what_a_new_run_did_not_return_has_no_rank_from_an_earlier_one() -> None:
    old = table_of(row("en:q", "de:1", 5, 50, 5), row("en:q", "en:1", 1, 2, 0), row("de:q", "en:1", 4, 8, 1))
    new = table_of(row("en:q", "de:1", None, None, None), row("en:q", "en:1", 3, None, None))

    def merged(*evaluated: tuple[str, str]) -> list[Row]:
        return sorted(rows_of(merge(old, new, evaluated)), key=lambda one: (one["query_id"], one["passage_id"]))

    languages = merged(("en", "de"), ("en", "en"))
    assert [one["rank_in_language"] for one in languages] == [4, None, 3]
    assert [one["rank_in_pool"] for one in languages] == [8, 50, 2], "the pool was not evaluated again"
    pool = merged(("en", "multi"))
    assert [one["rank_in_language"] for one in pool] == [4, 5, 1]
    assert [one["rank_in_pool"] for one in pool] == [8, None, None]


KEYS = st.tuples(st.sampled_from(["en:q", "de:q", "de:é"]), st.sampled_from(["en:9", "en:10", "zh:1"]))
RANKS = st.none() | st.integers(1, 2**31 - 1)
SOME_ROWS = st.dictionaries(KEYS, st.tuples(RANKS, RANKS, RANKS))
PAIRS = st.sets(st.tuples(st.sampled_from(["en", "de"]), st.sampled_from(["en", "zh", "multi"])))


@property_test(30)
@given(SOME_ROWS, SOME_ROWS, PAIRS)
def test_merging_any_two_tables(
    old: dict[tuple[str, str], tuple[int | None, ...]],
    new: dict[tuple[str, str], tuple[int | None, ...]],
    evaluated: set[tuple[str, str]],
) -> None:
    tables = [table_of(*(row(*key, *ranks) for key, ranks in rows.items())) for rows in (old, new)]
    expected = []
    for key in {**old, **new}:
        query, passage = (text.partition(":")[0] for text in key)
        before, after = old.get(key, (None,) * 3), new.get(key, (None,) * 3)
        in_language = key in new and (query, passage) in evaluated
        in_pool = key in new and (query, "multi") in evaluated
        ranks = (after if in_language else before)[:1] + (after if in_pool else before)[1:]
        expected.append(row(*key, *ranks))
    found = rows_of(merge(*tables, evaluated))
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_storing_adds_to_the_same_run_only(path: Path) -> None:
    first, second = table_of(ROWS[0]), table_of(ROWS[3])
    store(path, first, replace(INFO, pool_sizes={"en": 30, "de": 20}, versions={"mteb": "2.26"}))
    store(path, second, replace(INFO, pool_sizes={"zh": 10}, versions={"mteb": "2.27"}))
    table, info = read(path)
    assert rows_of(table) == [ROWS[0], ROWS[3]]
    assert info == replace(INFO, versions={"mteb": "2.27"}, evaluated={"en": ["de", "multi"]})


def test_storing_adds_to_a_search_of_the_same_cut(path: Path) -> None:
    for rows in (ROWS[:1], ROWS[3:]):
        store(path, table_of(*rows), replace(INFO, cut=1000))
    assert read(path)[0].num_rows == 2
    beside = store(path, TABLE, INFO)
    assert read(path)[1].cut == 1000 and read(beside)[1].cut is None


@pytest.mark.parametrize(
    "change",
    [
        {"task": "Other"},
        {"model": "tests/other"},
        {"model_revision": "2"},
        {"cut": 1000},
    ],
)
def test_storing_leaves_another_run_alone(path: Path, change: dict[str, Any]) -> None:
    assert store(path, TABLE, INFO) == path
    other = replace(INFO, versions={"mteb": "2.27"}, **change)
    beside = store(path, table_of(ROWS[3], task=other.task), other)
    assert rows_of(read(path)[0]) == ROWS and replace(read(path)[1], evaluated=None) == INFO
    assert rows_of(read(beside)[0]) == [ROWS[3]]
    assert read(beside)[1].label == other.label
    assert store(path, table_of(ROWS[0], task=other.task), other) == beside, (
        "the second table of that run completes the first"
    )
    assert read(beside)[0].num_rows == 2


def test_a_pair_of_which_nothing_was_returned_was_evaluated_all_the_same(path: Path) -> None:
    nothing = table_of(row("en:q1", "de:9", None, None, None))
    store(path, nothing, INFO, [("en", "de")])
    store(path, table_of(row("en:q1", "en:1", 2, None, None)), INFO, [("en", "en")])
    table, info = read(path)
    assert info.evaluated == {"en": ["de", "en"]}
    assert rank_table.evaluated_pairs(table.to_pandas(), info) == {("en", "de"), ("en", "en")}
    assert rank_table.evaluated_pairs(table.to_pandas()) == {("en", "en")}, "what a table of before tells"


def test_storing_replaces_ranks_on_other_data(path: Path) -> None:
    store(path, TABLE, INFO)
    other = replace(INFO, dataset_revision="data-2", pool_sizes={"en": 5})
    assert store(path, table_of(ROWS[3]), other) == path
    assert rows_of(read(path)[0]) == [ROWS[3]]
    assert replace(read(path)[1], evaluated=None) == other


def test_tables_of_a_model_without_a_name_and_of_unknown_state_are_never_merged(path: Path) -> None:
    for changes in ({"model_revision": "no_revision_available"}, {"model": "no_model_name/available"}):
        nobody = replace(INFO, **changes)
        store(path, table_of(row("en:q1", "en:1", 1, 1, 0)), nobody)
        store(path, table_of(row("en:q1", "en:2", None, None, None)), nobody)
        assert rows_of(read(path)[0]) == [row("en:q1", "en:2", None, None, None)]
        path.unlink()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all, but long enough to have a footer" * 9])
def test_storing_replaces_what_cannot_be_read(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    store(path, TABLE, INFO)
    assert rows_of(read(path)[0]) == ROWS


def test_a_missing_file(path: Path) -> None:
    assert refused(path) == "there is no rank table PATH"


def test_a_file_truncated_anywhere(path: Path) -> None:
    write(path, TABLE, INFO)
    content = path.read_bytes()
    for size in range(0, len(content), 97):
        path.write_bytes(content[:size])
        assert refused(path).startswith("PATH is truncated or not a Parquet file: ")


def test_a_folder_in_place_of_the_file(path: Path) -> None:
    write(path / "inside.parquet", TABLE, INFO)
    assert refused(path).startswith("PATH is truncated or not a Parquet file: ")


def test_folders_that_look_like_columns_are_only_folders(tmp_path: Path) -> None:
    path = tmp_path / "task=7" / "grade=x" / "task.parquet"
    write(path, TABLE, INFO)
    assert read(path)[0].equals(TABLE)


def described(table: pa.Table, facts: Any = None) -> pa.Table:
    text = facts if isinstance(facts, (bytes, str)) else json.dumps(asdict(INFO) if facts is None else facts)
    return table.replace_schema_metadata({"beir_hybrid": text})


def with_column(name: str, values: Any) -> pa.Table:
    return TABLE.set_column(SCHEMA.names.index(name), name, values)


FOREIGN = {
    "no metadata": (TABLE, "the file says nothing about its task and model"),
    "other metadata": (TABLE.replace_schema_metadata({"a": "b"}), "the file says nothing about its task and model"),
    "no JSON": (described(TABLE, "{"), "what it says of itself is malformed"),
    "no UTF-8": (described(TABLE, b"\xff\xfe\xfa"), "what it says of itself is malformed"),
    "no object": (described(TABLE, "[1]"), "what it says of itself is malformed"),
    "null": (described(TABLE, "null"), "what it says of itself is malformed"),
    "a fact too few": (described(TABLE, {"format_version": 1, "task": "Task"}), "what it says of itself is malformed"),
    "a state that is none": (described(TABLE, {**asdict(INFO), "state": 1}), "what it says of itself is malformed"),
    "a state cut short": (
        described(TABLE, {**asdict(INFO), "state": {"texts": [], "width": 1, "sketch": "AAAA"}}),
        "what it says of itself is malformed",
    ),
    "deeply nested": (described(TABLE, "[" * 100_000), "what it says of itself is malformed"),
    "a column too few": (described(TABLE.drop_columns(["rank_in_pool"])), "it lacks the column rank_in_pool"),
    "a column twice": (described(TABLE.append_column("grade", TABLE["grade"])), "is not a rank table: "),
    "words for ranks": (described(with_column("rank_in_pool", [["a", "b", "c", "d"]])), "is not a rank table: "),
    "lists for ranks": (described(with_column("rank_in_pool", [[[1], [2], [3], [4]]])), "is not a rank table: "),
    "ranks too large": (described(with_column("rank_in_pool", [[1, 2, 3, 2**40]])), "is not a rank table: "),
    "another format": (described(TABLE, {**asdict(INFO), "format_version": 2}), "has format 2; this version reads 1"),
    "a format with other facts": (
        described(TABLE, {"format_version": 3, "x": 1}),
        "has format 3; this version reads 1",
    ),
}


def test_facts_and_columns_of_later_versions_are_no_fault(path: Path) -> None:
    later = TABLE.drop_columns(["top_languages"]).append_column("mood", [["good"] * len(ROWS)])
    path.parent.mkdir()
    pq.write_table(described(later, {**asdict(INFO), "mood": 1}), path)
    table, info = read(path)
    assert info == INFO
    assert rows_of(table) == [{**one, "top_languages": None, "mood": "good"} for one in ROWS]
    store(path, table_of(row("de:q", "en:1", 7)), INFO)
    assert [one.get("mood") for one in rows_of(read(path)[0])] == [None, *["good"] * len(ROWS)], "and kept"


def test_a_column_that_a_later_version_adds_is_null_in_the_tables_of_today(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(path, TABLE, INFO)
    monkeypatch.setattr(schema, "SCHEMA", pa.schema([*SCHEMA, ("distance", pa.float32())]))
    monkeypatch.setattr(schema, "ADDED", schema.ADDED | {"distance"})
    table, _ = read(path)
    assert table.schema.field("distance").type == pa.float32()
    assert rows_of(table) == [{**one, "distance": None} for one in ROWS]


def test_languages_of_any_tag_stand_in_one_text() -> None:
    assert schema.encode_languages(["en", "de", "en"]) == "endeen", "as tables of before have it"
    assert schema.encode_languages(["ceb", "en", "zh-Hant"]) == " ceb en zh-Hant"
    for languages in ([], ["en"], ["ceb"], ["zh-Hant", "zh"], ["fil", "ceb"], ["en", "de"]):
        assert schema.decode_languages(schema.encode_languages(languages)) == languages


def test_two_hundred_languages_of_any_tag(path: Path) -> None:
    codes = [f"{a}{b}{c}" for a in "abcdef" for b in "ghijkl" for c in "mnopqr"]
    languages = [*codes[:198], "en", "zh-Hant"]
    top = schema.encode_languages([*languages[:99], "zh-Hant"])
    rows = [row(f"{one}:q", "zh-Hant:1", 1, 1 if one == "zh-Hant" else 2, 0, top_languages=top) for one in languages]
    store(path, table_of(*rows), replace(INFO, pool_sizes=dict.fromkeys(languages, 3)))
    table, info = read(path)
    assert sorted(rows_of(table), key=str) == sorted(rows, key=str)
    assert len(info.pool_sizes) == 200
    other = [{**one, "top_languages": f"{top} zz"} for one in rows]
    write(path, table_of(*other), info)
    assert "not the languages of up to 100 passages" in refused(path)


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_that_are_no_rank_tables(kind: str, path: Path) -> None:
    table, reason = FOREIGN[kind]
    path.parent.mkdir()
    pq.write_table(table, path)
    assert reason in refused(path)


def test_further_columns_and_other_types_of_the_same_values_are_read(path: Path) -> None:
    table = TABLE.append_column("mood", [["good"] * 4])
    table = table.set_column(1, "query_id", TABLE["query_id"].cast(pa.large_string()))
    table = table.set_column(6, "rank_in_language", TABLE["rank_in_language"].cast(pa.int64()))
    path.parent.mkdir()
    pq.write_table(described(table), path)
    assert read(path)[0].equals(TABLE.append_column("mood", [["good"] * 4]))


@pytest.mark.parametrize(
    "table",
    [TABLE.drop_columns(["grade"]), with_column("rank_in_pool", [["a", "b", "c", "d"]]),
     with_column("rank_in_pool", [[[1], [2], [3], [4]]])],
)  # fmt: skip
def test_what_is_no_rank_table_is_not_written(table: pa.Table, path: Path) -> None:
    write(path, TABLE, INFO)
    with pytest.raises(RankTableError, match="is not a rank table") as caught:
        write(path, table, INFO)
    assert "\n" not in str(caught.value)
    assert rows_of(read(path)[0]) == ROWS


class Broken(Exception):
    """An error in the middle of writing."""


@pytest.mark.parametrize("error", [Broken("no"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_writer_that_fails_leaves_the_old_file(
    path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, TABLE, INFO)
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)
    expected = BeirHybridError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        write(path, table_of(ROWS[0]), INFO)
    if isinstance(error, OSError):
        assert str(caught.value) == f"cannot write {path}: No space left on device"
    assert path.read_bytes() == before
    assert files(path.parent) == ["task.parquet"]


def store_and_die(path: Path) -> None:
    def half(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    table, info = rank_table.read(path)
    pq.ParquetWriter.write_table = half
    rank_table.store(path, table.slice(0, 1), info)


def test_a_writer_that_is_killed_leaves_the_old_file(path: Path) -> None:
    write(path, TABLE, INFO)
    assert run(partial(store_and_die, path), path.parent).status == -signal.SIGKILL
    assert rows_of(read(path)[0]) == ROWS
    store(path, table_of(row("de:q", "en:1", 7)), INFO)
    assert read(path)[0].num_rows == 5


def test_others_may_read_it_as_any_file(path: Path, tmp_path: Path) -> None:
    write(path, TABLE, INFO)
    (tmp_path / "any").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "any").stat().st_mode)


def test_where_it_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_path("T", "org/a model", "main", tmp_path) == tmp_path / "ranks/org__a_model/main/T.parquet"
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    assert default_path("T", "a", "1/exp") == tmp_path / "home/ranks/a/1__exp/T.parquet"


def test_chunks_of_every_kind_become_one_table() -> None:
    columns = {name: [one[name] for one in ROWS] for name in SCHEMA.names if name != "task"}
    arrays = {
        **columns,
        "query_id": np.array(columns["query_id"]),
        "rank_in_pool": np.ma.masked_array([2, 4, 0, 0], [False, False, True, True]),
        "outranked_by_query_language": np.ma.masked_array([0, 1, 5, 6], np.array([0, 0, 1, 1], dtype=bool)),
        "grade": np.array([1, 1, 3, 1]),
    }
    table = build("Task", [columns, arrays])
    assert rows_of(table) == ROWS * 2
    assert table["task"].to_pylist() == ["Task"] * 8
    nothing_masked = build("Task", [{**columns, "rank_in_pool": np.ma.masked_array(np.arange(4), mask=False)}])
    assert nothing_masked["rank_in_pool"].to_pylist() == [0, 1, 2, 3]
    assert schema.FORMAT_VERSION == 1
