"""The file of top passages: what comes back from it, what is put together, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.errors import RankTableError
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.interface.runs import load_run
from beir_hybrid.ranks import TableInfo, rank_table, tops
from beir_hybrid.ranks.model_state import ModelState
from beir_hybrid.ranks.tops import Tops, tops_path
from tests.ranks.test_rank_table import TABLE
from tests.support.helpers import ScoreTable, property_test, score_tables
from tests.support.sorted_tops import rows_of, tops_by_sorting, tops_of

INFO = TableInfo("Task", "data-1", "tests/model", "1", {"en": 30, "de": 20, "zh": 10})
ROWS = [
    ("en:q", "en", "en", 1, "en:2", "en", 0.5),
    ("en:q", "en", "multi", 1, "en:2", "en", 0.5),
    ("en:q", "en", "multi", 2, "zh:1", "zh", -0.25),
]
TOPS = tops_of(ROWS, 2, {"en": {"en": 3, "de": 0, "zh": 1}})
GERMAN = tops_of([("de:q", "de", "multi", 1, "de:1", "de", 0.75)], 2, {"de": {"en": 7, "de": 0, "zh": 0}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tops_path(tmp_path / "ranks" / "Task.parquet")


def kept(path: Path, info: TableInfo = INFO) -> Tops:
    found = tops.read(path, info)
    assert found is not None
    assert found.table.schema.equals(tops.SCHEMA, check_metadata=True)
    return found


def test_what_is_written_is_read_again(path: Path) -> None:
    assert path.name == "Task.tops.parquet"
    assert tops.read(path, INFO) is None
    tops.write(path, [TOPS, GERMAN], INFO)
    found = kept(path)
    assert found.k == 2
    assert found.outranking == TOPS.outranking | GERMAN.outranking
    assert rows_of(found) == sorted([*rows_of(GERMAN), *ROWS])


@property_test(150)
@given(st.data(), score_tables(), st.integers(1, 8))
def test_top_passages_of_shards_add_up_to_those_of_the_whole(data: st.DataObject, table: ScoreTable, k: int) -> None:
    """A shard is any part of the passages, within languages or across; equal scores are the rule."""
    languages = list(table.corpus.languages)
    ids = [name for part in table.corpus.languages.values() for name in part.passage_ids]
    shard_of = {name: data.draw(st.integers(0, 2)) for name in ids}
    for asked in languages:
        whole = tops_by_sorting(table, asked, languages, k)
        everything = tops_by_sorting(table, asked, languages, len(ids))
        parts = []
        for shard in range(3):
            rows = [row for row in rows_of(everything) if shard_of[row[4]] == shard]
            counts = {asked: {x: n if shard == 0 else 0 for x, n in whole.outranking[asked].items()}}
            parts.append(tops_of(in_places(rows, k), k, counts))
        merged = tops.merge(data.draw(st.permutations(parts)))
        assert rows_of(merged) == rows_of(whole)
        assert merged.outranking == whole.outranking
        assert rows_of(tops.merge([tops.merge(parts[:2]), parts[2]])) == rows_of(whole)


def in_places(rows: list[tuple[Any, ...]], k: int) -> list[tuple[Any, ...]]:
    """Number the rows of each query and pool, which are in their order, from 1, and keep the first k."""
    seen: dict[tuple[str, str], int] = {}
    found = []
    for row in rows:
        place = seen[row[0], row[2]] = seen.get((row[0], row[2]), 0) + 1
        if place <= k:
            found.append((*row[:3], place, *row[4:]))
    return found


def test_counts_of_shards_are_added() -> None:
    other = tops_of([("en:q", "en", "multi", 1, "en:3", "en", 0.5)], 2, {"en": {"en": 1, "fr": 2}})
    merged = tops.merge([TOPS, other, GERMAN])
    assert merged.outranking == {"en": {"en": 4, "de": 0, "zh": 1, "fr": 2}, **GERMAN.outranking}
    in_pool = [row[3:5] for row in rows_of(merged) if row[:3] == ("en:q", "en", "multi")]
    assert in_pool == [(1, "en:3"), (2, "en:2")]


def test_of_shards_with_different_numbers_the_smaller_is_exact() -> None:
    merged = tops.merge([TOPS, tops_of([("en:q", "en", "multi", 1, "de:9", "de", 0.0)], 1)])
    assert (merged.k, [row[4] for row in rows_of(merged)]) == (1, ["en:2", "en:2"])


def test_a_later_run_replaces_the_pairs_that_it_evaluated(path: Path) -> None:
    both = [("en", "en"), ("en", "multi")]
    tops.store(path, [TOPS], INFO, both)
    tops.store(path, [GERMAN], INFO, [("de", "multi")])
    assert rows_of(kept(path)) == sorted([*rows_of(GERMAN), *ROWS])
    again = tops_of([("en:q", "en", "en", 1, "en:9", "en", 0.5)], 2)
    tops.store(path, [again], INFO, [("en", "en")])
    assert rows_of(kept(path)) == sorted([*rows_of(GERMAN), *rows_of(again), *ROWS[1:]])
    assert kept(path).outranking == TOPS.outranking | GERMAN.outranking
    tops.store(path, [tops_of([], 2, {"en": {"en": 0}})], INFO, both)  # a search that returns nothing
    assert (rows_of(kept(path)), kept(path).outranking) == (rows_of(GERMAN), {"en": {"en": 0}, **GERMAN.outranking})
    tops.store(path, [], INFO, both)
    assert rows_of(kept(path)) == rows_of(GERMAN)


def test_of_more_passages_fewer_are_kept_and_never_fewer_than_it_says(path: Path) -> None:
    one = tops_of(rows_of(GERMAN), 1, GERMAN.outranking)
    tops.store(path, [TOPS], INFO, [("en", "en"), ("en", "multi")])
    tops.store(path, [one], INFO, [("de", "multi")])
    assert kept(path).k == 1
    assert rows_of(kept(path)) == sorted([*rows_of(one), *ROWS[:2]])
    tops.store(path, [TOPS], INFO, [("en", "en"), ("en", "multi")])
    assert (kept(path).k, rows_of(kept(path))) == (2, ROWS)


STATES = {"one": ModelState(fingerprint="a"), "another": ModelState(fingerprint="b")}


def test_those_of_another_state_or_of_other_data_are_not_read(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    info = replace(INFO, state=STATES["one"])
    tops.write(path, [TOPS], info)
    assert rows_of(kept(path, info)) == ROWS
    for other in (
        replace(info, state=STATES["another"]),
        replace(info, dataset_revision="data-2"),
        replace(info, cut=10),
        replace(info, task="Other"),
    ):
        caplog.clear()
        assert tops.read(path, other) is None
        assert f"{path} is of another state of the model, or of other data" in caplog.text


def test_they_lie_beside_the_rank_table_and_are_not_taken_for_one(tmp_path: Path) -> None:
    place = rank_table.default_path("Task", "tests/model", "1", tmp_path)
    whole = [("en", "multi"), ("en", "en")]
    info = replace(INFO, state=STATES["one"])
    rank_table.store(place, TABLE, info, whole, top_passages=[TOPS])
    assert rank_table.rank_tables_below(tmp_path) == [place]
    ranks = load_run(tmp_path)
    assert ranks.path == place
    assert ranks.tops is not None
    assert rows_of(ranks.tops) == ROWS
    rank_table.store(place, TABLE, info, whole)  # without any: those of the same state stay
    assert load_run(tmp_path).tops is not None
    beside = rank_table.store(place, TABLE, replace(info, state=STATES["another"]), whole, top_passages=[GERMAN])
    assert beside.parent != place.parent
    assert [rows_of(found) for file in (place, beside) if (found := RankTable.load(file).tops)] == [
        ROWS,
        rows_of(GERMAN),
    ]
    rank_table.store(place, TABLE, replace(info, dataset_revision="data-2"), whole)
    assert RankTable.load(place).tops is None
    copy = ranks.stored(tmp_path / "copy")
    assert copy.path is not None
    assert rows_of(kept(tops_path(copy.path), copy.info)) == ROWS
    for damage in (b"", b"PAR1"):
        tops_path(place).write_bytes(damage)
        assert rank_table.rank_tables_below(place.parent) == [place]
    with pytest.raises(RankTableError, match=r"tops\.parquet is not a rank table"):
        load_run(tops_path(beside))


def with_column(name: str, values: Any) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(values))


MALFORMED = {
    "a language without a pool": (with_column("passage_language", ["en", "fr", "zh"]), "passage_language is 'fr'"),
    "a pool that there is not": (with_column("pool", ["en", "fr", "multi"]), "pool is 'fr'"),
    "a place beyond k": (with_column("place", [1, 2, 3]), "places are between 1 and 2"),
    "a place of 0": (with_column("place", [1, 2, 0]), "places are between 1 and 2"),
    "no passage": (with_column("passage_id", ["a", None, "c"]), "passage_id is missing"),
    "texts for scores": (with_column("score", ["a", "b", "c"]), "is damaged"),
    "no score": (lambda table: table.drop_columns("score"), "is damaged"),
    "a score that is no number": (with_column("score", [0.5, float("nan"), 0.0]), "a score is not a number"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_cannot_be_is_one_line(what: str, path: Path) -> None:
    change, message = MALFORMED[what]
    tops.write(path, [TOPS], INFO)
    rewrite(path, change)
    assert message in refused(path)
    tops.store(path, [GERMAN], INFO, [("de", "multi")])  # and is replaced
    assert rows_of(kept(path)) == rows_of(GERMAN)


FACTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no k": (lambda facts: {**facts, "k": None}, "k is None"),
    "k of 0": (lambda facts: {**facts, "k": 0}, "k is 0"),
    "a negative count": (lambda facts: {**facts, "outranking": {"en": {"de": -1}}}, "outranking"),
    "a path for a language": (lambda facts: {**facts, "outranking": {"../x": {"de": 1}}}, "outranking"),
    "no table": (lambda facts: {"k": 2}, "malformed"),
    "no object": (lambda facts: [], "malformed"),
}


@pytest.mark.parametrize("what", FACTS)
def test_what_it_says_of_itself_is_checked(what: str, path: Path) -> None:
    change, message = FACTS[what]
    tops.write(path, [TOPS], INFO)
    rewrite(path, facts=change)
    assert message in refused(path)


def test_a_damaged_file_is_one_line(path: Path) -> None:
    tops.write(path, [TOPS], INFO)
    content = path.read_bytes()
    for end in (0, 4, len(content) // 2, len(content) - 3):
        path.write_bytes(content[:end])
        assert "is damaged" in refused(path)
    path.unlink()
    path.mkdir()
    assert "it is a folder" in refused(path)


def rewrite(
    path: Path,
    change: Callable[[pa.Table], pa.Table] = lambda table: table,
    facts: Callable[[dict[str, Any]], Any] = lambda facts: facts,
) -> None:
    with path.open("rb") as file:
        parquet = pq.ParquetFile(file)
        table, described = parquet.read(), json.loads(parquet.metadata.metadata[b"beir_hybrid_tops"])
    table = change(table)
    pq.write_table(table.replace_schema_metadata({"beir_hybrid_tops": json.dumps(facts(described))}), path)


def refused(path: Path) -> str:
    with pytest.raises(RankTableError) as caught:
        tops.read(path, INFO)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_negative_zero_is_zero() -> None:
    rows = [("en:q", "en", "en", 1, f"en:{n}", "en", float(np.float32(score))) for n, score in enumerate([-0.0, 0.0])]
    assert [row[4] for row in rows_of(tops.merge([tops_of([row], 1) for row in rows]))] == ["en:1"]
    assert [row[4] for row in rows_of(tops.merge([tops_of([row], 1) for row in rows[::-1]]))] == ["en:1"]
